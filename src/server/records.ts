import type { Placement } from '../commit/index.js'
import {
  type BodyReader,
  Codec,
  checkBatch,
  encodeBatch,
  type LogRecord,
  type NewRecord,
  recordKeyBytesMax,
  type Shape,
  type StoredBody,
  splitShapes,
  unknownShapes,
} from '../log/index.js'
import { hashKey, MillraceError } from '../runtime/index.js'
import { decodeChange } from '../tables/index.js'
import { isTooDeep, jsonDepthMax } from './json-depth.js'

/** A record as clients of the native API write it. */
interface RecordInput {
  readonly key: string
  readonly value: unknown
  /** Base64, in place of the value: what is no JSON. */
  readonly bytes?: unknown
  /** The event's time, milliseconds since 1970. */
  readonly time?: number
}

const bad = (message: string, details?: Readonly<Record<string, unknown>>): MillraceError =>
  new MillraceError('BAD_REQUEST', message, details ? { details } : {})

/** A batch that was checked, and the shapes that came in front of it. */
export interface ReceivedBatch {
  readonly batch: Buffer
  readonly count: number
  readonly shapes: readonly Shape[]
}

/**
 * A body of records as one batch: JSON `{records: [...]}`, NDJSON (a record a line), or a binary batch as it lies, behind
 * shapes of its rows. Throws BAD_REQUEST, FORMAT_INVALID, and SHAPE_UNKNOWN for rows of which nobody has the shape.
 */
export function batchOfBody(
  contentType: string,
  body: Buffer,
  now: number,
  hasShape: (shape: number) => boolean,
): ReceivedBatch {
  if (contentType === 'application/octet-stream') return binaryBatch(body, hasShape)
  const records = contentType === 'application/x-ndjson' ? ndjsonRecords(body, now) : jsonRecords(body, now)
  if (records.length === 0) throw bad('There are no records in the body.')
  return { batch: encodeBatch(records), count: records.length, shapes: [] }
}

function binaryBatch(body: Buffer, hasShape: (shape: number) => boolean): ReceivedBatch {
  const { shapes, batch } = splitShapes(body)
  const count = checkBatch(batch)
  const unknown = unknownShapes(batch, (id) => hasShape(id) || shapes.some((shape) => shape.id === id))
  if (unknown.length > 0)
    throw new MillraceError('SHAPE_UNKNOWN', `The batch has rows of the unknown shapes ${unknown.join(', ')}.`, {
      details: { shapes: unknown },
    })
  return { batch, count, shapes }
}

function jsonRecords(body: Buffer, now: number): NewRecord[] {
  const value = parse(body.toString(), 'The body') as { records?: unknown }
  if (typeof value !== 'object' || value === null || !Array.isArray(value.records))
    throw bad('The body is not {"records": [...]}.')
  const unknown = Object.keys(value).find((name) => name !== 'records')
  if (unknown !== undefined) throw bad(`The member ${unknown} is not known; there is records.`)
  return recordsOf(value.records, now)
}

/** Records as clients write them in JSON. Throws BAD_REQUEST. */
export function recordsOf(inputs: readonly unknown[], now: number): NewRecord[] {
  return inputs.map((record, i) => newRecord(record, `Record ${i}`, { record: i }, now))
}

function ndjsonRecords(body: Buffer, now: number): NewRecord[] {
  const records: NewRecord[] = []
  body
    .toString()
    .split('\n')
    .forEach((text, i) => {
      if (text.trim() === '') return
      const line = i + 1
      records.push(newRecord(parse(text, `Line ${line}`, { line }), `Line ${line}`, { line }, now))
    })
  return records
}

/** Throws BAD_REQUEST that begins with `what`. */
export function parse(text: string, what: string, details?: Readonly<Record<string, unknown>>): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw bad(`${what} is not JSON: ${(error as Error).message}.`, details)
  }
}

function newRecord(input: unknown, what: string, details: Readonly<Record<string, unknown>>, now: number): NewRecord {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw bad(`${what} is not an object with key and value.`, details)
  const { key, value, bytes: raw, time, ...rest } = input as RecordInput
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined)
    throw bad(`${what} has the unknown member ${unknown}; a record has key, value (or bytes) and time.`, details)
  if (typeof key !== 'string') throw bad(`${what} has a key that is not a string.`, details)
  if (value === undefined && raw === undefined) throw bad(`${what} has no value; null is one.`, details)
  if (value !== undefined && raw !== undefined) throw bad(`${what} has a value and bytes.`, details)
  if (time !== undefined && (!Number.isSafeInteger(time) || time < 0))
    throw bad(`${what} has a time that is not milliseconds since 1970.`, details)
  // Unpaired surrogates have no bytes of their own: several keys would become one.
  if (/\p{Surrogate}/u.test(key)) throw bad(`${what} has a key that is not well-formed Unicode.`, details)
  const bytes = Buffer.from(key)
  if (bytes.length > recordKeyBytesMax) throw bad(`${what} has a key of more than ${recordKeyBytesMax} bytes.`, details)
  return {
    hash: hashKey(bytes),
    kind: 0,
    flags: 0,
    codec: raw === undefined ? Codec.json : Codec.raw,
    time: time ?? now,
    key: bytes,
    body: raw === undefined ? jsonOf(value, what, details) : bytesOf(raw, what, details),
  }
}

function bytesOf(text: unknown, what: string, details: Readonly<Record<string, unknown>>): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined
  if (bytes?.toString('base64') !== text) throw bad(`${what} has bytes that are not base64.`, details)
  return bytes as Buffer
}

function jsonOf(value: unknown, what: string, details: Readonly<Record<string, unknown>>): Buffer {
  const tooDeep = () => bad(`${what} has a value that is nested deeper than ${jsonDepthMax}.`, details)
  let text: string
  try {
    text = JSON.stringify(value)
  } catch {
    // What came from JSON can be written as JSON, but for its depth.
    throw tooDeep()
  }
  const body = Buffer.from(text)
  if (isTooDeep(body)) throw tooDeep()
  return body
}

/** A record as clients read it. */
export function shownRecord(record: LogRecord, shard: number, bodies: BodyReader): object {
  const base = { sequence: record.sequence, shard, time: record.time, commitTime: record.commitTime }
  if (record.codec === Codec.dynamoJsonChange) {
    const { keys, newImage, oldImage } = decodeChange(record.body)
    return {
      ...base,
      type: changeNames[record.kind],
      keys: JSON.parse(keys.toString()) as unknown,
      ...(newImage ? { new: JSON.parse(newImage.toString()) as unknown } : {}),
      ...(oldImage ? { old: JSON.parse(oldImage.toString()) as unknown } : {}),
    }
  }
  const key = record.key.toString()
  const value = shownValue(record, bodies)
  return value === undefined ? { ...base, key, bytes: record.body.toString('base64') } : { ...base, key, value }
}

/** Undefined for a body that no JSON can show. */
function shownValue(record: LogRecord, bodies: BodyReader): unknown {
  if (record.codec === Codec.json && isTooDeep(record.body)) return undefined
  return bodies.shown(record as StoredBody, jsonDepthMax)
}

const changeNames = ['append', 'insert', 'modify', 'remove'] as const

export function shownPlacements(placed: readonly Placement[]): object[] {
  return placed.map(({ shard, firstSequence, count }) => ({ shard, firstSequence, count }))
}
