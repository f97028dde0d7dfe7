import type { Placement } from '../commit/index.js'
import { Codec, checkBatch, encodeBatch, type LogRecord, type NewRecord } from '../log/index.js'
import { hashKey, MillraceError } from '../runtime/index.js'
import { decodeChange } from '../tables/index.js'

/** A record as clients of the native API write it. */
interface RecordInput {
  readonly key: string
  readonly value: unknown
  /** The event's time, milliseconds since 1970. */
  readonly time?: number
}

const bad = (message: string): MillraceError => new MillraceError('BAD_REQUEST', message)

/** A body of records as one batch: JSON `{records: [...]}`, NDJSON (a record a line), or a binary batch as it lies. */
export function batchOfBody(contentType: string, body: Buffer, now: number): { batch: Buffer; count: number } {
  if (contentType === 'application/octet-stream') return { batch: body, count: checkBatch(body) }
  const records = contentType === 'application/x-ndjson' ? ndjson(body) : jsonRecords(body)
  if (records.length === 0) throw bad('There are no records in the body.')
  return { batch: encodeBatch(records.map((record, i) => newRecord(record, i, now))), count: records.length }
}

function jsonRecords(body: Buffer): unknown[] {
  const value = parse(body.toString(), 'The body') as { records?: unknown }
  if (typeof value !== 'object' || value === null || !Array.isArray(value.records))
    throw bad('The body is not {"records": [...]}.')
  return value.records
}

function ndjson(body: Buffer): unknown[] {
  const records: unknown[] = []
  body
    .toString()
    .split('\n')
    .forEach((line, i) => {
      if (line.trim() !== '') records.push(parse(line, `Line ${i + 1}`))
    })
  return records
}

export function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw bad(`${what} is not JSON: ${(error as Error).message}.`)
  }
}

function newRecord(input: unknown, index: number, now: number): NewRecord {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw bad(`Record ${index} is not an object with key and value.`)
  const { key, value, time, ...rest } = input as RecordInput
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined)
    throw bad(`Record ${index} has the unknown member ${unknown}; a record has key, value and time.`)
  if (typeof key !== 'string') throw bad(`The key of record ${index} is not a string.`)
  if (value === undefined) throw bad(`Record ${index} has no value; null is one.`)
  if (time !== undefined && (!Number.isSafeInteger(time) || time < 0))
    throw bad(`The time of record ${index} is not milliseconds since 1970.`)
  const bytes = Buffer.from(key)
  if (bytes.length > 0xffff) throw bad(`The key of record ${index} has more than 65535 bytes.`)
  return {
    hash: hashKey(bytes),
    kind: 0,
    flags: 0,
    codec: Codec.json,
    time: time ?? now,
    key: bytes,
    body: Buffer.from(JSON.stringify(value)),
  }
}

/** A record as clients read it. */
export function shownRecord(record: LogRecord, shard: number): object {
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
  if (record.codec === Codec.json) return { ...base, key, value: JSON.parse(record.body.toString()) as unknown }
  return { ...base, key, bytes: record.body.toString('base64') }
}

const changeNames = ['append', 'insert', 'modify', 'remove'] as const

export function shownPlacements(placed: readonly Placement[]): object[] {
  return placed.map(({ shard, firstSequence, count }) => ({ shard, firstSequence, count }))
}
