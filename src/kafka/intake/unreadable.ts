import type { NewRecord } from '../../log/index.js'
import { MillraceError } from '../../runtime/index.js'
import { letterRecord } from '../dead-letters.js'
import type { ConsumedRecord } from '../types.js'

/** Why a message cannot be stored as what it should be. */
export class Unreadable extends Error {}

/** Where messages come from. */
export interface Origin {
  readonly bridge: string
  readonly topic: string
  readonly partition: number
}

/** A message as what tells of it: where it lies, why it was not stored, and what it says. */
export function deadLetter(
  { offset, timestamp, key, value, headers }: ConsumedRecord,
  { bridge, topic, partition }: Origin,
  why: string,
  now: number,
): NewRecord {
  return letterRecord({ error: why, bridge, topic, partition, offset, timestamp, key, value, headers }, now)
}

/** What stops a bridge that is to stop at what it cannot store. */
export function unreadableError(message: ConsumedRecord, { topic, partition }: Origin, why: string): MillraceError {
  const { offset } = message
  return new MillraceError(
    'KAFKA_REFUSED',
    `The message at offset ${offset} of partition ${partition} of ${topic} cannot be stored: ${why}.`,
    {
      remedy: `Pass over it with \`millrace bridges seek NAME --offsets ${partition}=${offset + 1}\`; or delete the bridge and create it again with what the messages are, or with --unreadable dead-letter.`,
      details: { topic, partition, offset },
    },
  )
}
