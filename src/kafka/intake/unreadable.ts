import { isUtf8 } from 'node:buffer'
import { Codec, type NewRecord, RecordKind } from '../../log/index.js'
import { hashKey, MillraceError } from '../../runtime/index.js'
import type { ConsumedRecord } from '../types.js'

/** Why a message cannot be stored as what it should be. */
export class Unreadable extends Error {}

/** Bytes of a key or value that a dead letter has; the message itself stays in Kafka as long as that keeps it. */
const keptBytesMax = 256 * 1024
const headersMax = 64
const headerBytesMax = 1024

/** Where messages come from. */
export interface Origin {
  readonly bridge: string
  readonly topic: string
  readonly partition: number
}

/** A message as what tells of it: where it lies, why it was not stored, and what it says. */
export function deadLetter(
  message: ConsumedRecord,
  { bridge, topic, partition }: Origin,
  why: string,
  now: number,
): NewRecord {
  const { offset, timestamp, headers } = message
  const letter = {
    error: why,
    bridge,
    topic,
    partition,
    offset,
    timestamp,
    ...shown('key', message.key, keptBytesMax),
    ...shown('value', message.value, keptBytesMax),
    headers: headers.slice(0, headersMax).map(([name, value]) => ({
      name: name.slice(0, headerBytesMax),
      ...shown('value', value, headerBytesMax),
    })),
  }
  const key = Buffer.from(`${topic}/${partition}`)
  const body = Buffer.from(JSON.stringify(letter))
  return { hash: hashKey(key), kind: RecordKind.append, flags: 0, codec: Codec.json, time: now, key, body }
}

/** Text as it is, other bytes as base64, both cut where they are too long. */
function shown(name: string, bytes: Buffer | null, bytesMax: number): object {
  if (bytes === null) return { [name]: null }
  const isCut = bytes.length > bytesMax
  const kept = isCut ? bytes.subarray(0, bytesMax) : bytes
  const text = isUtf8(kept) ? { [name]: kept.toString() } : { [`${name}Bytes`]: kept.toString('base64') }
  return isCut ? { ...text, [`${name}BytesInAll`]: bytes.length } : text
}

/** What stops a bridge that is to stop at what it cannot store. */
export function unreadableError(message: ConsumedRecord, { topic, partition }: Origin, why: string): MillraceError {
  const { offset } = message
  return new MillraceError(
    'KAFKA_REFUSED',
    `The message at offset ${offset} of partition ${partition} of ${topic} cannot be stored: ${why}.`,
    {
      remedy: 'Delete the bridge and create it again with what the messages are, or with --unreadable dead-letter.',
      details: { topic, partition, offset },
    },
  )
}
