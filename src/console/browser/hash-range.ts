/** The key hashes of a shard as a part of all there are: from 0 to 1. */
export interface HashRange {
  readonly from: number
  readonly to: number
}

/** From the 16 hex digits of its lowest and its highest hash, both inclusive. */
export function hashRange(low: string, high: string): HashRange {
  // A double is exact enough for a picture, and a range of a single hash still has a width above 0 in the table.
  return { from: Number(BigInt(`0x${low}`)) / 2 ** 64, to: Number(BigInt(`0x${high}`) + 1n) / 2 ** 64 }
}
