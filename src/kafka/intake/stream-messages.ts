import { isUtf8 } from 'node:buffer'
import { Codec, type NewRecord, RecordKind, recordKeyBytesMax } from '../../log/index.js'
import { hashKey } from '../../runtime/index.js'
import { isJson } from '../is-json.js'
import type { ConsumedRecord } from '../types.js'
import { Unreadable } from './unreadable.js'

const jsonNull = Buffer.from('null')

/**
 * A message as a record of a stream: its key and value as they are. A value that is JSON is stored as such, a tombstone as JSON's null,
 * everything else as bytes. A message without a key has the number of its partition as key, so that its order stays. Throws Unreadable.
 */
export function recordOfMessage(message: ConsumedRecord, partition: number, now: number): NewRecord {
  const key = message.key ?? Buffer.from(String(partition))
  if (key.length > recordKeyBytesMax)
    throw new Unreadable(`its key has ${key.length} bytes, more than ${recordKeyBytesMax}`)
  // Readers take keys for text: bytes that are none would make one key of several.
  if (!isUtf8(key)) throw new Unreadable('its key is not UTF-8')
  const value = message.value ?? jsonNull
  return {
    hash: hashKey(key),
    kind: RecordKind.append,
    flags: 0,
    codec: isJson(value) ? Codec.json : Codec.raw,
    time: timeOf(message, now),
    key,
    body: value,
  }
}

/** A producer may give any number as time, and the broker says -1 for none. */
export const timeOf = ({ timestamp }: ConsumedRecord, now: number): number =>
  timestamp >= 0 && timestamp <= 8.64e15 ? timestamp : now
