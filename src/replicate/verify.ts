import { type Clock, sleep } from '../runtime/index.js'
import { digestRanges, type RangeDigest } from '../tables/index.js'

/** A range of key hashes whose items are not the same everywhere. */
export interface DifferentRange {
  /** First byte of the key hashes. */
  readonly range: number
  /** Items and digest, by region. */
  readonly regions: Readonly<Record<string, { readonly items: number; readonly digest: string }>>
}

export interface Verification {
  readonly regions: readonly string[]
  readonly ranges: number
  /** Items of this region. */
  readonly items: number
  readonly different: readonly DifferentRange[]
}

export interface CompareOptions {
  readonly here: (ranges: readonly number[]) => Promise<readonly RangeDigest[]>
  readonly there: (region: string, ranges: readonly number[]) => Promise<readonly RangeDigest[]>
  readonly home: string
  readonly regions: readonly string[]
  readonly clock: Clock
}

/** What is written while it is looked at differs for a moment: such ranges are looked at again. */
const looksMax = 5
const againMs = 300

/** Compares digests range by range over all replicas. */
export async function compareRanges({ here, there, home, regions, clock }: CompareOptions): Promise<Verification> {
  let ranges: readonly number[] = Array.from({ length: digestRanges }, (_, range) => range)
  let items = 0
  let different: DifferentRange[] = []
  for (let look = 0; look < looksMax && ranges.length > 0; look++) {
    if (look > 0) await sleep(clock, againMs)
    const wanted = ranges
    const [ours, ...theirs] = await Promise.all([here(wanted), ...regions.map((region) => there(region, wanted))])
    if (look === 0) items = (ours as readonly RangeDigest[]).reduce((sum, each) => sum + each.items, 0)
    different = wanted.flatMap((range, i) => {
      const found = [ours, ...theirs].map((digests) => digests?.[i])
      if (found.every((each) => each?.digest === found[0]?.digest)) return []
      const shown = found.map((each, n) => {
        const { items: count, digest } = each as RangeDigest
        return [n === 0 ? home : (regions[n - 1] as string), { items: count, digest }] as const
      })
      return [{ range, regions: Object.fromEntries(shown) }]
    })
    ranges = different.map(({ range }) => range)
  }
  return { regions: [home, ...regions], ranges: digestRanges, items, different }
}
