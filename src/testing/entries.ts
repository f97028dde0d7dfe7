import { Codec, type NewRecord } from '../log/types.js'
import { hashKey } from '../runtime/index.js'

/** A record of a stream that appends JSON. */
export function streamRecord(key: string, json: string, time: number): NewRecord {
  const bytes = Buffer.from(key)
  return { hash: hashKey(bytes), kind: 0, flags: 0, codec: Codec.json, time, key: bytes, body: Buffer.from(json) }
}

/** What a stream sink made, as the record that the daemon appends. */
export function recordOfEntry(entry: string, now: number): NewRecord {
  const end = entry.indexOf('\n')
  const [key, time] = JSON.parse(entry.slice(0, end)) as [string, number | null]
  return streamRecord(key, entry.slice(end + 1), time ?? now)
}
