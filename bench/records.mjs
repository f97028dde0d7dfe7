// The records of the benchmarks of the log: 200 bytes of key and body, half of a body random, half repeating.
import { Codec, encodeBatch } from '../dist/log/index.js'
import { hashKey } from '../dist/runtime/index.js'

/** Bytes that a record takes in a batch, its header included. */
export const recordBytes = 232

/** @param place makes the hash of the i-th record, where a benchmark wants it in a shard of its choice */
export function batchOf(count, place = undefined) {
  const records = []
  for (let i = 0; i < count; i++) {
    const key = Buffer.from(`key ${i % 1000}`)
    const text = `${Math.random().toString(36).repeat(8).slice(0, 92)}{"name":"value","repeats":"in every record","of":"the stream"}`
    const body = Buffer.from(text.padEnd(200 - key.length, '.'))
    const hash = place ? place(i) : hashKey(key)
    records.push({ hash, kind: 0, flags: 0, codec: Codec.raw, time: Date.now(), key, body })
  }
  return encodeBatch(records)
}
