import {
  type BodyReader,
  Codec,
  eventIdDigits,
  type LogRecord,
  RecordFlag,
  RecordKind,
  type Shard,
  type StoredBody,
  type Stream,
} from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import { canonicalKey } from './canonical-key.js'
import { eventHeaders, eventSource } from './cloud-events.js'
import { plainImage } from './images.js'
import { isJson } from './is-json.js'
import { partitionOf } from './murmur2.js'
import type { ImageStyle, MessageFormat } from './options.js'
import { Passing } from './passing.js'
import type { KafkaMessage } from './types.js'

/** A change of an item, as its record's body holds it. */
export interface Change {
  /** The whole primary key, DynamoDB JSON in UTF-8. */
  readonly keys: Buffer
  /** The item after the change; undefined when it was removed, or when the log does not keep it. */
  readonly newImage?: Buffer | undefined
  /** The item before the change; undefined when there was none, or when the log does not keep it. */
  readonly oldImage?: Buffer | undefined
  /** Bytes of each as DynamoDB counts them; 0 of an image that is not there. */
  readonly keysSize: number
  readonly newSize: number
  readonly oldSize: number
}

export type DecodeChange = (body: Buffer) => Change

/** Who speaks: part of every message. */
export interface Origin {
  /** Version of Millrace. */
  readonly version: string
  readonly region: string
  /** The store's epoch when a sequence number was given: numbers are only comparable within one. */
  readonly epochOf: (sequence: number) => number
  /** The id of a change, the same for every reader and every delivery: this, and the number in `eventIdDigits` hexadecimal digits. */
  readonly eventIdPrefix: (sequence: number) => string
}

export interface EncoderOptions {
  readonly stream: Stream
  /** The name of the table or the plain stream. */
  readonly sourceName: string
  readonly format: MessageFormat
  readonly images: ImageStyle
  readonly tombstones: boolean
  /** Headers that every message has. */
  readonly headers?: Readonly<Record<string, string>>
  /** `$id` of the schema of the values. */
  readonly schemaId?: string | undefined
  /** The stream is a table's snapshot on its way. */
  readonly isSnapshot?: boolean
  readonly origin: Origin
  readonly decodeChange: DecodeChange
  /** Knows the shapes of the stream's rows by now. */
  readonly bodies: () => BodyReader
}

/**
 * Makes the messages of one record: one, or two for a delete with its tombstone, always for the same partition. What it
 * makes depends on the record alone, so that a repeated delivery has the same bytes. Throws IMAGES_NOT_KEPT.
 */
export type Encode = (record: LogRecord, shard: Shard, partitions: number) => KafkaMessage[]

export function eventIdOf({ eventIdPrefix }: Origin, sequence: number): string {
  return eventIdPrefix(sequence) + sequence.toString(16).padStart(eventIdDigits, '0')
}

type Op = 'c' | 'u' | 'd' | 'r'

const ops: Readonly<Record<RecordKind, Op>> = {
  [RecordKind.append]: 'c',
  [RecordKind.insert]: 'c',
  [RecordKind.modify]: 'u',
  [RecordKind.remove]: 'd',
}
const eventNames = { c: 'INSERT', u: 'MODIFY', d: 'REMOVE', r: 'INSERT' } as const
const eventTypes = { c: 'insert', u: 'modify', d: 'remove', r: 'read' } as const

/** What a message says, before it is put into a format. */
interface Content {
  readonly record: LogRecord
  readonly shard: Shard
  readonly op: Op
  readonly eventId: string
  readonly key: Buffer
  /** JSON values, or undefined for null. */
  readonly before: Buffer | undefined
  readonly after: Buffer | undefined
  /** The bytes of a plain record's body when they are not JSON; `after` is then their base64 string. */
  readonly bytes?: Buffer
  readonly change?: Change
}

type Format = (content: Content) => Buffer | null
/** Headers that a format has of its own, for messages with a value. */
type FormatHeaders = (content: Content) => Readonly<Record<string, string>>

export function createEncoder(options: EncoderOptions): Encode {
  const { tombstones, origin, headers } = options
  const read = isOfTable(options) ? tableReader(options) : plainReader(options)
  const format = formats[options.format](options)
  const formatHeaders = headersOf(options)
  return (record, shard, partitions) => {
    const op = record.flags & RecordFlag.snapshot ? 'r' : ops[record.kind]
    const eventId = eventIdOf(origin, record.sequence)
    const content = read(record, shard, op, eventId)
    const value = format(content)
    const { key } = content
    const partition = partitionOf(key, partitions)
    const timestamp = record.commitTime
    const own = {
      'millrace-shard': String(shard.id),
      'millrace-sequence': String(record.sequence),
      'millrace-event-id': eventId,
      'millrace-op': op,
    }
    // Nothing is copied for most records: a spread takes longer than all the rest.
    const base = headers === undefined ? own : { ...headers, ...own }
    const sent = formatHeaders && value !== null ? { ...base, ...formatHeaders(content) } : base
    const message: KafkaMessage = { key, value, partition, timestamp, headers: sent }
    if (op !== 'd' || !tombstones || value === null) return [message]
    return [message, { key, value: null, partition, timestamp, headers: base }]
  }
}

/** Writes what the encoder would send as it is; undefined where there is nothing of the kind. */
export function createPassing(options: EncoderOptions): Passing | undefined {
  const { format, headers, schemaId, origin } = options
  if (isOfTable(options) || format !== 'image' || headers !== undefined || schemaId !== undefined) return undefined
  return new Passing(origin)
}

const isOfTable = ({ stream, isSnapshot }: EncoderOptions): boolean => stream.kind === 'table' || isSnapshot === true

/** A tombstone has none of them: it is no event of its own. */
function headersOf(options: EncoderOptions): FormatHeaders | undefined {
  const { format, schemaId, origin, sourceName } = options
  if (format === 'cloudevents') {
    const contentType = { 'content-type': 'application/cloudevents+json; charset=UTF-8' }
    return () => contentType
  }
  if (format === 'cloudevents-binary') {
    const source = eventSource(origin, isOfTable(options), sourceName)
    return ({ record, op, eventId, key, bytes }) =>
      eventHeaders({
        id: eventId,
        source,
        type: eventType(options, op),
        time: record.commitTime,
        sequence: record.sequence,
        subject: isOfTable(options) ? key.toString('utf8') : undefined,
        schema: schemaId,
        isJson: bytes === undefined,
      })
  }
  if (schemaId === undefined) return undefined
  const schema = { 'millrace-schema': schemaId }
  return () => schema
}

const eventType = (options: EncoderOptions, op: Op): string =>
  isOfTable(options) ? `millrace.table.${eventTypes[op]}` : 'millrace.stream.append'

/** Readers of JSON take no deeper values everywhere. */
const valueDepthMax = 500

type Read = (record: LogRecord, shard: Shard, op: Op, eventId: string) => Content

function tableReader({ decodeChange, images, format, sourceName }: EncoderOptions): Read {
  const image = images === 'plain' ? plainImage : (bytes: Buffer): Buffer => bytes
  // A reader takes an upsert without its item for an empty item, or for a tombstone.
  const needsImage = format !== 'dynamodb-streams'
  return (record, shard, op, eventId) => {
    const change = decodeChange(record.body)
    if (needsImage && op !== 'd' && change.newImage === undefined) {
      throw new MillraceError(
        'IMAGES_NOT_KEPT',
        `The change ${record.sequence} of the table ${sourceName} was logged without its new image.`,
        {
          details: { sequence: record.sequence, shard: shard.id },
        },
      )
    }
    return {
      record,
      shard,
      op,
      eventId,
      key: canonicalKey(change.keys),
      before: change.oldImage && image(change.oldImage),
      after: change.newImage && image(change.newImage),
      change,
    }
  }
}

function plainReader({ format, bodies }: EncoderOptions): Read {
  // The bare format takes bytes and JSON as they are, whatever they are.
  const asIs = format === 'image'
  // Bytes have a content type of their own then.
  const asBytes = format === 'cloudevents-binary'
  return (record, shard, op, eventId) => {
    const { key } = record
    const before = undefined
    const isEncoded = record.codec === Codec.row || record.codec === Codec.msgpack
    const after = isEncoded ? decodedJson(record, bodies()) : record.body
    // A producer may call anything JSON: one body that is not would spoil the envelope around it.
    if (after && (isEncoded || asIs || (record.codec === Codec.json && isJson(after))))
      return { record, shard, op, eventId, key, before, after }
    const bytes = record.body
    if (asBytes) return { record, shard, op, eventId, key, before, after: bytes, bytes }
    return { record, shard, op, eventId, key, before, after: Buffer.from(`"${bytes.toString('base64')}"`), bytes }
  }
}

/** A value that is no JSON yet, as some; undefined for bytes that only claim to be one. */
function decodedJson(record: LogRecord, bodies: BodyReader): Buffer | undefined {
  const value = bodies.shown(record as StoredBody, valueDepthMax)
  return value === undefined ? undefined : Buffer.from(JSON.stringify(value))
}

/** Texts and what is JSON already, one behind the other, in one piece of memory. */
function json(parts: readonly (string | Buffer)[]): Buffer {
  let bytes = 0
  let isAscii = true
  for (const part of parts) {
    const partBytes = typeof part === 'string' ? Buffer.byteLength(part) : part.length
    bytes += partBytes
    isAscii &&= typeof part !== 'string' || partBytes === part.length
  }
  const whole = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const part of parts) {
    // Mostly ASCII, which is copied as it is.
    if (typeof part === 'string') at += whole.write(part, at, isAscii ? 'latin1' : 'utf8')
    else {
      whole.set(part, at)
      at += part.length
    }
  }
  return whole
}

const formats: Readonly<Record<MessageFormat, (options: EncoderOptions) => Format>> = {
  /** As Debezium writes it: `before`, `after`, `source`, `op`, `ts_ms`. */
  envelope: (options) => {
    const { origin, sourceName, isSnapshot } = options
    const noun = isOfTable(options) ? 'table' : 'stream'
    const snapshot = isSnapshot ? ',"snapshot":true' : ''
    const source = `,"source":{"version":"${origin.version}","connector":"millrace","region":${JSON.stringify(origin.region)}`
    const from = `"${noun}":${JSON.stringify(sourceName)}`
    return ({ record, shard, op, eventId, before, after, bytes }) =>
      json([
        '{"before":',
        before ?? 'null',
        ',"after":',
        after ?? 'null',
        `${source},"epoch":${origin.epochOf(record.sequence)},${from},"shard":${shard.id},"sequence":${record.sequence},"eventId":"${eventId}","ts_ms":${record.time}` +
          `${snapshot}${bytes ? ',"encoding":"base64"' : ''}${record.flags & RecordFlag.service ? ',"service":true' : ''}},"op":"${op}","ts_ms":${record.commitTime}}`,
      ])
  },

  /** The item as it is now, or a plain record's body; a delete is a tombstone. */
  image: () => (content) => content.after ?? null,

  /** As DynamoDB Streams hands it to a Lambda function. */
  'dynamodb-streams': ({ origin, isSnapshot }) => {
    const region = JSON.stringify(origin.region)
    return ({ record, shard, op, eventId, before, after, change }) => {
      const { keys, keysSize, newSize, oldSize } = change as Change
      const service =
        record.flags & RecordFlag.service
          ? ',"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}'
          : ''
      return json([
        `{"eventID":"${eventId}","eventName":"${eventNames[op]}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":${region}${service},` +
          `"dynamodb":{"ApproximateCreationDateTime":${Math.floor(record.commitTime / 1000)},"Keys":`,
        keys,
        ...(after ? [',"NewImage":', after] : []),
        ...(before ? [',"OldImage":', before] : []),
        `,"SequenceNumber":"1${String(record.sequence).padStart(20, '0')}","SizeBytes":${keysSize + newSize + oldSize}` +
          `,"StreamViewType":"${isSnapshot ? 'NEW_AND_OLD_IMAGES' : viewType(shard)}"}}`,
      ])
    }
  },

  /** CloudEvents 1.0, structured mode. */
  cloudevents: (options) => {
    const source = JSON.stringify(eventSource(options.origin, isOfTable(options), options.sourceName))
    const schema = options.schemaId === undefined ? '' : `"dataschema":${JSON.stringify(options.schemaId)},`
    return ({ record, op, eventId, key, before, after, bytes }) => {
      const type = eventType(options, op)
      const head =
        `{"specversion":"1.0","id":"${eventId}","source":${source},"type":"${type}","time":"${new Date(record.commitTime).toISOString()}",` +
        `"sequence":"${String(record.sequence).padStart(16, '0')}",${schema}`
      if (bytes) return json([`${head}"data_base64":`, after ?? 'null', '}'])
      if (!isOfTable(options))
        return json([`${head}"datacontenttype":"application/json","data":`, after ?? 'null', '}'])
      const subject = JSON.stringify(key.toString('utf8'))
      return json([
        `${head}"subject":${subject},"datacontenttype":"application/json","data":{"before":`,
        before ?? 'null',
        ',"after":',
        after ?? 'null',
        '}}',
      ])
    }
  },

  /** CloudEvents 1.0, binary mode: what is in `data` alone, and the attributes in the headers. */
  'cloudevents-binary': (options) => {
    if (!isOfTable(options)) return ({ after }) => after ?? Buffer.from('null')
    return ({ before, after }) => json(['{"before":', before ?? 'null', ',"after":', after ?? 'null', '}'])
  },
}

function viewType({ images }: Shard): string {
  if (images.new) return images.old ? 'NEW_AND_OLD_IMAGES' : 'NEW_IMAGE'
  return images.old ? 'OLD_IMAGE' : 'KEYS_ONLY'
}
