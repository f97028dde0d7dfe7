import { describe, expect, test } from 'vitest'
import { createEncoder, type EncoderOptions } from '../../src/kafka/encoder.js'
import {
  BatchBuilder,
  BodyReader,
  type LogRecord,
  RecordFlag,
  RecordKind,
  RowEncoder,
  recordsOfBatch,
  type Sequence,
  type Shard,
  type Stream,
} from '../../src/log/index.js'
import { decodeChange } from '../../src/tables/index.js'
import { changeBody, MemoryLog, newRecord, origin } from './memory.js'

const commitTime = 1_700_000_000_123
const key = { ListId: { N: '2' }, TaskId: { S: '1_progress' } }
const old = { ...key, Done: { BOOL: false } }
const item = {
  ...key,
  Done: { BOOL: true },
  Blob: { B: 'AQI=' },
  Big: { N: '12345678901234567890.5' },
  Tags: { SS: ['a', 'b'] },
  More: { M: { x: { L: [{ NULL: true }, { NS: ['1', '2'] }] } } },
}

const read = (record: ReturnType<typeof newRecord>, flags = 0): LogRecord => ({
  ...record,
  flags,
  sequence: 77 as Sequence,
  commitTime,
})

function encoding(kind: Stream['kind'], options: Partial<EncoderOptions> = {}, images = { old: true, new: true }) {
  const log = new MemoryLog(kind, 'todo', images)
  const encode = createEncoder({
    stream: log.streams()[0] as Stream,
    sourceName: 'todo',
    format: 'envelope',
    images: 'dynamodb',
    tombstones: true,
    origin,
    decodeChange,
    bodies: () => new BodyReader(),
    ...options,
  })
  return (record: LogRecord) => encode(record, log.shards()[0] as Shard, 5)
}
const table = (options?: Partial<EncoderOptions>, images?: { old: boolean; new: boolean }) =>
  encoding('table', options, images)
const parsed = (message: { value: Buffer | null } | undefined): unknown => JSON.parse(String(message?.value))

const insert = read(newRecord('k', changeBody(key, item), RecordKind.insert))
const modify = read(newRecord('k', changeBody(key, item, old), RecordKind.modify))
const remove = read(newRecord('k', changeBody(key, undefined, old), RecordKind.remove))

describe('the envelope', () => {
  test('of an update has both images, its source and the operation', () => {
    const [message, ...more] = table()(modify)
    expect(more).toEqual([])
    expect(parsed(message)).toEqual({
      before: old,
      after: item,
      source: {
        version: '0.1.0',
        connector: 'millrace',
        region: 'local',
        epoch: 3,
        table: 'todo',
        shard: 1,
        sequence: 77,
        eventId: 'event-000000000000004d',
        ts_ms: 1_700_000_000_000,
      },
      op: 'u',
      ts_ms: commitTime,
    })
    expect(message?.key.toString()).toBe('{"ListId":{"N":"2"},"TaskId":{"S":"1_progress"}}')
    expect(message?.timestamp).toBe(commitTime)
    expect(message?.headers).toEqual({
      'millrace-shard': '1',
      'millrace-sequence': '77',
      'millrace-event-id': 'event-000000000000004d',
      'millrace-op': 'u',
    })
  })

  test('of an insert has nothing before', () => {
    expect(parsed(table()(insert)[0])).toMatchObject({ before: null, after: item, op: 'c' })
  })

  test('of a delete has nothing after, and a tombstone follows it to the same partition', () => {
    const [message, tombstone, ...more] = table()(remove)
    expect(parsed(message)).toMatchObject({ before: old, after: null, op: 'd' })
    expect(tombstone).toEqual({ ...message, value: null })
    expect(more).toEqual([])
    expect(table({ tombstones: false })(remove)).toHaveLength(1)
  })

  test('marks what the daemon itself removed', () => {
    expect(parsed(table()(read(remove, 1))[0])).toMatchObject({ source: { service: true } })
  })

  test('can carry plain images', () => {
    const [message] = table({ images: 'plain' })(modify)
    expect(String(message?.value)).toContain('"Big":12345678901234567890.5')
    expect(parsed(message)).toMatchObject({
      before: { ListId: 2, TaskId: '1_progress', Done: false },
      after: { ListId: 2, Done: true, Blob: 'AQI=', Tags: ['a', 'b'], More: { x: [null, [1, 2]] } },
    })
  })

  test('is the same, byte for byte, each time', () => {
    expect(table()(modify)).toEqual(table()(modify))
  })

  test('needs the image that it is about', () => {
    const keysOnly = read(newRecord('k', changeBody(key), RecordKind.modify))
    expect(() => table()(keysOnly)).toThrow(
      expect.objectContaining({ code: 'IMAGES_NOT_KEPT', details: { sequence: 77, shard: 1 } }),
    )
    expect(parsed(table()(read(newRecord('k', changeBody(key), RecordKind.remove)))[0])).toMatchObject({
      before: null,
      after: null,
      op: 'd',
    })
  })

  test('of a plain record has the JSON value, and the key is as it came', () => {
    const [message] = encoding('plain')(read(newRecord('user 1', '{"a":[1,2]}')))
    expect(parsed(message)).toMatchObject({ before: null, after: { a: [1, 2] }, source: { stream: 'todo' }, op: 'c' })
    expect(message?.key.toString()).toBe('user 1')
  })

  test('of bytes that are no JSON has them as base64', () => {
    // The second is a JSON string once its broken character is replaced, and no JSON before.
    for (const [bytes, codec] of [
      [Buffer.from([0xff, 0, 1]), 0],
      [Buffer.from([0xff, 0, 1]), 1],
      [Buffer.from([0x22, 0xff, 0x22]), 1],
    ] as const) {
      const value = parsed(encoding('plain')({ ...read(newRecord('k', bytes)), codec })[0])
      expect(value).toMatchObject({ after: bytes.toString('base64'), source: { encoding: 'base64' } })
    }
  })
})

describe('the other formats', () => {
  test('image is the bare item, and a delete its tombstone alone', () => {
    expect(parsed(table({ format: 'image' })(modify)[0])).toEqual(item)
    expect(table({ format: 'image' })(remove).map((message) => message.value)).toEqual([null])
    const bytes = Buffer.from([0xff, 0, 1])
    expect(encoding('plain', { format: 'image' })(read(newRecord('k', bytes)))[0]?.value).toEqual(bytes)
  })

  test('dynamodb-streams is the record of a Lambda event', () => {
    const body = changeBody(key, item, old)
    expect(parsed(table({ format: 'dynamodb-streams' })(read(newRecord('k', body, RecordKind.modify)))[0])).toEqual({
      eventID: 'event-000000000000004d',
      eventName: 'MODIFY',
      eventVersion: '1.1',
      eventSource: 'aws:dynamodb',
      awsRegion: 'local',
      dynamodb: {
        ApproximateCreationDateTime: 1_700_000_000,
        Keys: key,
        NewImage: item,
        OldImage: old,
        SequenceNumber: '100000000000000000077',
        SizeBytes: body.length - 24,
        StreamViewType: 'NEW_AND_OLD_IMAGES',
      },
    })
    const keysOnly = read(newRecord('k', changeBody(key), RecordKind.remove), 1)
    expect(parsed(table({ format: 'dynamodb-streams' }, { old: false, new: false })(keysOnly)[0])).toMatchObject({
      eventName: 'REMOVE',
      userIdentity: { type: 'Service', principalId: 'dynamodb.amazonaws.com' },
      dynamodb: { StreamViewType: 'KEYS_ONLY' },
    })
  })

  test('cloudevents is a structured event', () => {
    const [message] = table({ format: 'cloudevents' })(modify)
    expect(parsed(message)).toEqual({
      specversion: '1.0',
      id: 'event-000000000000004d',
      source: '/millrace/local/tables/todo',
      type: 'millrace.table.modify',
      time: new Date(commitTime).toISOString(),
      sequence: '0000000000000077',
      subject: '{"ListId":{"N":"2"},"TaskId":{"S":"1_progress"}}',
      datacontenttype: 'application/json',
      data: { before: old, after: item },
    })
    expect(message?.headers['content-type']).toBe('application/cloudevents+json; charset=UTF-8')
    const plain = encoding('plain', { format: 'cloudevents' })
    expect(parsed(plain(read(newRecord('k', '[1]')))[0])).toMatchObject({ type: 'millrace.stream.append', data: [1] })
    expect(parsed(plain({ ...read(newRecord('k', Buffer.from([255]))), codec: 0 })[0])).toMatchObject({
      data_base64: '/w==',
    })
  })
})

describe('CloudEvents in binary mode', () => {
  const binary = { format: 'cloudevents-binary' } as const

  test('have their attributes as headers and the data as the value; a tombstone has none', () => {
    const [message, tombstone] = table({ ...binary, schemaId: 'urn:a:b' })(remove)
    expect(parsed(message)).toEqual({ before: old, after: null })
    expect(message?.headers).toEqual({
      'millrace-shard': '1',
      'millrace-sequence': '77',
      'millrace-event-id': 'event-000000000000004d',
      'millrace-op': 'd',
      ce_specversion: '1.0',
      ce_id: 'event-000000000000004d',
      ce_source: '/millrace/local/tables/todo',
      ce_type: 'millrace.table.remove',
      ce_time: new Date(commitTime).toISOString(),
      ce_sequence: '0000000000000077',
      ce_subject: '{"ListId":{"N":"2"},"TaskId":{"S":"1_progress"}}',
      ce_dataschema: 'urn:a:b',
      'content-type': 'application/json',
    })
    expect(Object.keys(tombstone?.headers ?? {}).filter((name) => !name.startsWith('millrace-'))).toEqual([])
  })

  test('of a plain stream are its JSON, or its bytes', () => {
    const encode = encoding('plain', binary)
    const [message] = encode(read(newRecord('k', '[1]')))
    expect(parsed(message)).toEqual([1])
    expect(message?.headers).toMatchObject({ ce_type: 'millrace.stream.append', 'content-type': 'application/json' })
    expect(message?.headers).not.toHaveProperty('ce_subject')
    const bytes = Buffer.from([0xff, 0, 1])
    const [raw] = encode({ ...read(newRecord('k', bytes)), codec: 0 })
    expect(raw?.value).toEqual(bytes)
    expect(raw?.headers['content-type']).toBe('application/octet-stream')
  })
})

describe('what every format can have', () => {
  test('headers of the bridge, which cannot hide its own, and the id of a schema', () => {
    const headers = { tenant: 'blue', 'millrace-op': 'x' }
    const [message, tombstone] = table({ headers, schemaId: 'urn:a:b' })(remove)
    expect(message?.headers).toMatchObject({ tenant: 'blue', 'millrace-op': 'd', 'millrace-schema': 'urn:a:b' })
    expect(tombstone?.headers).toMatchObject({ tenant: 'blue', 'millrace-op': 'd' })
    expect(tombstone?.headers).not.toHaveProperty('millrace-schema')
    expect(parsed(table({ format: 'cloudevents', schemaId: 'urn:a:b' })(modify)[0])).toMatchObject({
      dataschema: 'urn:a:b',
    })
  })

  test.each([
    ['envelope', { op: 'r', before: null, after: item, source: { snapshot: true, table: 'todo' } }],
    ['image', item],
    ['dynamodb-streams', { eventName: 'INSERT', dynamodb: { NewImage: item, StreamViewType: 'NEW_AND_OLD_IMAGES' } }],
    ['cloudevents', { type: 'millrace.table.read', source: '/millrace/local/tables/todo', data: { after: item } }],
    ['cloudevents-binary', { before: null, after: item }],
  ] as const)('items as a snapshot found them (%s)', (format, expected) => {
    // The stream that they come through is a plain one.
    const encode = encoding('plain', { format, isSnapshot: true }, { old: false, new: false })
    const [message] = encode(read(insert, RecordFlag.snapshot))
    expect(parsed(message)).toMatchObject(expected)
    expect(message?.headers['millrace-op']).toBe('r')
    expect(encode(modify)[0]?.headers['millrace-op']).toBe('u')
  })
})

test.each(['image', 'envelope', 'cloudevents', 'cloudevents-binary'] as const)(
  'a row is JSON like any other in the format %s',
  (format) => {
    const builder = new BatchBuilder(new RowEncoder())
    builder.add({ key: 'k', value: { n: 1, big: 5n, bytes: new Uint8Array([1]) } }, 5)
    builder.add({ key: 'k', value: [1, 'list'] }, 5)
    const bodies = new BodyReader()
    bodies.learn(builder.shapes)
    const encode = encoding('plain', { format, bodies: () => bodies })
    const after = recordsOfBatch(builder.build()).map((record) => {
      const message = parsed(encode(read(record))[0]) as { after?: unknown; data?: unknown }
      return format === 'image' || format === 'cloudevents-binary'
        ? message
        : format === 'envelope'
          ? message.after
          : message.data
    })
    expect(after).toEqual([{ n: 1, big: '5', bytes: 'AQ==' }, [1, 'list']])
  },
)
