import { isUtf8 } from 'node:buffer'
import { Codec, type Log, type NewRecord, RecordKind, type StreamId } from '../log/index.js'
import { hashKey } from '../runtime/index.js'

/** Retention of the stream of dead letters that a bridge makes, bytes. */
export const deadLetterBytesMax = 256 * 1024 * 1024

/** Bytes of a key or value that a dead letter has; the message itself stays where it came from as long as that keeps it. */
const keptBytesMax = 256 * 1024
const headersMax = 64
const headerBytesMax = 1024

/** What a dead letter tells of a message that was passed over: why, where it lies or should have gone, and what it says. */
export interface DeadLetter {
  readonly error: string
  readonly bridge: string
  readonly topic: string
  readonly partition: number
  /** Of a bridge in: where the message lies. */
  readonly offset?: number
  /** Of a bridge out: where its record lies. */
  readonly shard?: number
  readonly sequence?: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly (readonly [name: string, value: Buffer | null])[]
}

/** The stream that takes a bridge's dead letters, made when it is not there. */
export async function deadLetterStream(
  log: Pick<Log, 'streamNamed' | 'createStream'>,
  name: string,
): Promise<StreamId> {
  const images = { old: false, new: false }
  const own = { retention: { bytes: deadLetterBytesMax } }
  const stream = log.streamNamed(name) ?? (await log.createStream({ name, kind: 'plain', shards: 1, images, own }))
  return stream.id
}

/** A dead letter as a record of its stream. */
export function letterRecord({ key, value, headers, ...rest }: DeadLetter, now: number): NewRecord {
  const letter = {
    ...rest,
    ...shown('key', key, keptBytesMax),
    ...shown('value', value, keptBytesMax),
    headers: headers.slice(0, headersMax).map(([name, text]) => ({
      name: name.slice(0, headerBytesMax),
      ...shown('value', text, headerBytesMax),
    })),
  }
  const recordKey = Buffer.from(`${rest.topic}/${rest.partition}`)
  const body = Buffer.from(JSON.stringify(letter))
  const kind = RecordKind.append
  return { hash: hashKey(recordKey), kind, flags: 0, codec: Codec.json, time: now, key: recordKey, body }
}

/** Text as it is, other bytes as base64, both cut where they are too long. */
function shown(name: string, bytes: Buffer | null, bytesMax: number): object {
  if (bytes === null) return { [name]: null }
  const isCut = bytes.length > bytesMax
  const kept = isCut ? bytes.subarray(0, bytesMax) : bytes
  const text = isUtf8(kept) ? { [name]: kept.toString() } : { [`${name}Bytes`]: kept.toString('base64') }
  return isCut ? { ...text, [`${name}BytesInAll`]: bytes.length } : text
}
