import { describe, expect, test } from 'vitest'
import { checkIntakeRequest } from '../../src/kafka/intake/options.js'
import { attributesOfJson } from '../../src/kafka/intake/plain-json.js'
import { recordOfMessage } from '../../src/kafka/intake/stream-messages.js'
import { tableReaderOf } from '../../src/kafka/intake/table-messages.js'
import { Codec } from '../../src/log/index.js'
import { hashKey } from '../../src/runtime/index.js'
import type { KeySchema } from '../../src/tables/index.js'

const one: KeySchema = { hash: { name: 'id', type: 'S' } }
const two: KeySchema = { hash: { name: 'list', type: 'S' }, range: { name: 'n', type: 'N' } }
const binary: KeySchema = { hash: { name: 'id', type: 'B' } }

type Format = Parameters<typeof tableReaderOf>[0]
const message = (key: string | Buffer | null, value: unknown) => ({
  offset: 0,
  timestamp: 0,
  key: typeof key === 'string' ? Buffer.from(key) : key,
  value: value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
  headers: [],
})
const read = (options: Format, schema: KeySchema, key: string | Buffer | null, value: unknown) =>
  tableReaderOf(options)(message(key, value), schema)

describe('messages for a table', () => {
  const envelope = { format: 'envelope', images: 'dynamodb' } as const
  const plain = { format: 'image', images: 'plain' } as const
  const typedKey = '{"list":{"S":"a"},"n":{"N":"1"}}'
  const item = { list: { S: 'a' }, n: { N: '1' }, text: { S: 'x' } }
  const key = { list: { S: 'a' }, n: { N: '1' } }

  test.each(['c', 'u', 'r'])('an envelope with op %s puts its item', (op) => {
    expect(read(envelope, two, typedKey, { op, after: item })).toEqual({ kind: 'put', item })
  })

  test('an envelope with op d deletes, by the item before it or by the key', () => {
    expect(read(envelope, two, null, { op: 'd', before: item, after: null })).toEqual({ kind: 'delete', key })
    expect(read(envelope, two, typedKey, { op: 'd', before: null })).toEqual({ kind: 'delete', key })
    expect(read(envelope, two, typedKey, null)).toEqual({ kind: 'delete', key })
  })

  test('plain envelopes and images', () => {
    const value = '{"op":"u","after":{"list":"a","n":1,"big":12345678901234567890.25,"more":[true,null,{"x":"y"}]}}'
    expect(read({ format: 'envelope', images: 'plain' }, two, null, value)).toEqual({
      kind: 'put',
      item: {
        list: { S: 'a' },
        n: { N: '1' },
        big: { N: '12345678901234567890.25' },
        more: { L: [{ BOOL: true }, { NULL: true }, { M: { x: { S: 'y' } } }] },
      },
    })
    expect(read(plain, binary, null, { id: '/w==' })).toEqual({ kind: 'put', item: { id: { B: '/w==' } } })
  })

  test('a plain envelope with a binary key deletes what it puts', () => {
    const of = (op: string, images: object) =>
      read({ format: 'envelope', images: 'plain' }, binary, null, { op, ...images })
    expect(of('c', { after: { id: '/w==' } })).toEqual({ kind: 'put', item: { id: { B: '/w==' } } })
    expect(of('d', { before: { id: '/w==' } })).toEqual({ kind: 'delete', key: { id: { B: '/w==' } } })
    expect(read({ format: 'envelope', images: 'plain' }, binary, Buffer.from([255]), { op: 'd' })).toEqual({
      kind: 'delete',
      key: { id: { B: '/w==' } },
    })
  })

  test.each([[5], [true], ['text'], [[]], [[{ id: { S: 'a' } }]]])(
    'an image that is %j is no item: nothing is overwritten',
    (image) => {
      const streams = { format: 'dynamodb-streams', images: 'dynamodb' } as const
      const plainEnvelope = { format: 'envelope', images: 'plain' } as const
      expect(() => read(envelope, one, 'a', { op: 'u', after: image })).toThrow(/after is no JSON object/)
      expect(() => read(envelope, one, 'a', { op: 'd', before: image })).toThrow(/before is no JSON object/)
      expect(() => read(plainEnvelope, one, 'a', { op: 'u', after: image })).toThrow(/no item after/)
      expect(() => read(streams, one, 'a', { eventName: 'MODIFY', dynamodb: { NewImage: image } })).toThrow(
        /NewImage is no JSON object/,
      )
      expect(() => read(streams, one, 'a', { eventName: 'REMOVE', dynamodb: { Keys: image } })).toThrow(
        /Keys is no JSON object/,
      )
    },
  )

  test('records of DynamoDB Streams', () => {
    const format = { format: 'dynamodb-streams', images: 'dynamodb' } as const
    const record = (eventName: string, dynamodb: object) => read(format, two, typedKey, { eventName, dynamodb })
    expect(record('INSERT', { Keys: key, NewImage: item })).toEqual({ kind: 'put', item })
    expect(record('MODIFY', { Keys: key, NewImage: item })).toEqual({ kind: 'put', item })
    expect(record('REMOVE', { Keys: key, OldImage: item })).toEqual({ kind: 'delete', key })
    expect(() => record('MODIFY', { Keys: key })).toThrow(/no new image/)
  })

  test('key attributes that the value lacks come from the key', () => {
    expect(read(plain, one, 'a', { n: 1 })).toEqual({ kind: 'put', item: { id: { S: 'a' }, n: { N: '1' } } })
    expect(read(plain, one, '{"id":"a"}', { n: 1 })).toMatchObject({ item: { id: { S: 'a' } } })
    expect(read(plain, two, typedKey, { n: 1 })).toEqual({ kind: 'put', item: key })
    expect(read(plain, binary, Buffer.from([1, 255]), null)).toEqual({ kind: 'delete', key: { id: { B: 'Af8=' } } })
    expect(read(plain, { hash: { name: 'id', type: 'N' } }, '17', null)).toEqual({
      kind: 'delete',
      key: { id: { N: '17' } },
    })
  })

  test.each([
    [envelope, one, 'a', 'no JSON', /value is no JSON/],
    [envelope, one, 'a', '[1]', /no JSON object/],
    [envelope, one, 'a', '{"id":"a"}', /no envelope/],
    [envelope, one, 'a', '{"op":"c","after":null}', /no item after the change/],
    [plain, one, 'a', '7', /no JSON object/],
    [plain, one, null, '{}', /has no key/],
    [plain, two, 'a', '{}', /no JSON object with the key attributes list and n/],
    [plain, two, '{"list":"a"}', null, /does not have the key attributes/],
    [plain, two, '{', null, /key is no JSON/],
    [plain, one, Buffer.from([0xff]), null, /key is not UTF-8/],
  ] as const)('%o %o %o %o is put aside', (options, schema, messageKey, value, why) => {
    expect(() => read(options, schema, messageKey, value)).toThrow(why)
  })
})

describe('plain JSON as attributes', () => {
  test('keeps every digit of numbers, and texts that look like them', () => {
    const text = '{"a":0.12345678901234567890,"b":"0.12345678901234567890","c":-1e100,"d":[1234567890123456789]}'
    expect(attributesOfJson(text)).toEqual({
      a: { N: '0.12345678901234567890' },
      b: { S: '0.12345678901234567890' },
      c: { N: '-1e100' },
      d: { L: [{ N: '1234567890123456789' }] },
    })
    expect(() => attributesOfJson('{1234567890123456789:1}')).toThrow(SyntaxError)
    expect(attributesOfJson('[1]')).toBeUndefined()
    expect(Object.keys(attributesOfJson('{"__proto__":1}') ?? {})).toEqual(['__proto__'])
  })
})

describe('messages for a stream', () => {
  const of = (key: string | Buffer | null, value: unknown, timestamp = 5) =>
    recordOfMessage({ ...message(key, value), timestamp }, 3, 1_000)

  test('are stored with key, time and value as they are', () => {
    expect(of('k', '{"a":1}')).toMatchObject({
      key: Buffer.from('k'),
      codec: Codec.json,
      time: 5,
      body: Buffer.from('{"a":1}'),
    })
    expect(of('k', 'text')).toMatchObject({ codec: Codec.raw, body: Buffer.from('text') })
    expect(of('k', null)).toMatchObject({ codec: Codec.json, body: Buffer.from('null') })
    expect(of(null, '1', -1)).toMatchObject({ key: Buffer.from('3'), hash: hashKey(Buffer.from('3')), time: 1_000 })
    expect(() => of(Buffer.alloc(70_000), '1')).toThrow(/key has 70000 bytes/)
  })

  test.each([
    ['{}', true],
    [' 12', true],
    ['nul', false],
    ['', false],
    ['{"a"', false],
    ['"\u00e9"', true],
  ])('%j is JSON: %s', (text, isJson) => {
    expect(of('k', text).codec).toBe(isJson ? Codec.json : Codec.raw)
  })
})

describe('what is asked for', () => {
  const request = { name: 'a', topic: 't', into: 'table:x', brokers: 'b:1' }
  test('has defaults', () => {
    expect(checkIntakeRequest(request)).toEqual({
      ...request,
      direction: 'in',
      brokers: ['b:1'],
      format: 'envelope',
      images: 'dynamodb',
      start: 'oldest',
      unreadable: 'dead-letter',
    })
  })
  test.each([
    [{ ...request, into: 'x' }, /into: is stream:NAME or table:NAME/],
    [{ ...request, topic: undefined }, /topic/],
    [{ ...request, into: 'stream:a.dead-letters' }, /where everything else goes/],
    [{ ...request, topic: 'a b' }, /topic: has letters/],
    [{ ...request, tombstones: true }, /unknown: tombstones \(known of a bridge in: /],
    [{ ...request, format: 'dynamodb-streams', images: 'plain' }, /DynamoDB JSON/],
  ])('%o is refused', (given, why) => {
    expect(() => checkIntakeRequest(given)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringMatching(why) }),
    )
  })
})
