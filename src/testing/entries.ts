import { BodyReader, type StoredBody } from '../log/bodies.js'
import { recordsOfBatch } from '../log/format.js'
import { Codec, type NewRecord } from '../log/types.js'
import { type SinkBatch, timeless } from '../operators/task/index.js'
import { hashKey } from '../runtime/index.js'

/** A record of a stream that appends JSON. */
export function streamRecord(key: string, json: string, time: number): NewRecord {
  const bytes = Buffer.from(key)
  return { hash: hashKey(bytes), kind: 0, flags: 0, codec: Codec.json, time, key: bytes, body: Buffer.from(json) }
}

/** What a stream sink made, as the records that the daemon appends. */
export function recordsOf({ batch }: SinkBatch, now: number): readonly NewRecord[] {
  return recordsOfBatch(Buffer.from(batch)).map((record) =>
    record.time === timeless ? { ...record, time: now } : record,
  )
}

/** What a stream sink made, for people: `[key, time]`, a line end, the value's JSON. */
export function entriesOf({ batch, shapes }: SinkBatch): readonly string[] {
  const bodies = new BodyReader()
  bodies.add(shapes)
  return recordsOfBatch(Buffer.from(batch)).map((record) => {
    const time = record.time === timeless ? null : record.time
    // Bytes have no JSON: they are shown as elsewhere.
    const shown = bodies.shown(record as StoredBody, Number.POSITIVE_INFINITY)
    const value = shown === undefined ? record.body.toString('base64') : shown
    return `${JSON.stringify([record.key.toString(), time])}\n${JSON.stringify(value)}`
  })
}
