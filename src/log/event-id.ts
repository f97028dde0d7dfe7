import { createHash } from 'node:crypto'
import { type Epoch, epochOf } from '../commit/index.js'

/** Hexadecimal digits of the sequence number at the end of an event id. */
export const eventIdDigits = 16

/**
 * The id of a change, the same for every reader and for ever: 32 hex digits from the region, the store, the epoch in which
 * its sequence number was given, and that number. The first 16 digits are a hash of the former (made once an epoch), the
 * last 16 the number itself.
 */
export function eventIds(region: string, storeId: string, epochs: readonly Epoch[]): (sequence: number) => string {
  const prefixOf = eventIdPrefixes(region, storeId, epochs)
  return (sequence) => prefixOf(sequence) + sequence.toString(16).padStart(eventIdDigits, '0')
}

/** What stands before the digits of the sequence number. */
export function eventIdPrefixes(
  region: string,
  storeId: string,
  epochs: readonly Epoch[],
): (sequence: number) => string {
  const prefixes = new Map(
    epochs.map(({ epoch }) => [
      epoch,
      createHash('sha256').update(`${region}\0${storeId}\0${epoch}`).digest('hex').slice(0, 16),
    ]),
  )
  return (sequence) => prefixes.get(epochOf(epochs, sequence)) as string
}
