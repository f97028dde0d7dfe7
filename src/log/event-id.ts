import { createHash } from 'node:crypto'

/**
 * The id of a change, the same for every reader: 32 hex digits from the region, the store's epoch and the sequence number.
 * The first 16 digits are a hash of region and epoch (made once), the last 16 the number itself.
 */
export function eventIds(region: string, storeId: string, epoch: number): (sequence: number) => string {
  const prefix = createHash('sha256').update(`${region}\0${storeId}\0${epoch}`).digest('hex').slice(0, 16)
  return (sequence) => prefix + sequence.toString(16).padStart(16, '0')
}
