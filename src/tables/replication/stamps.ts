import { type Stamp, stampCounterMax } from '../items/item-value.js'

/** When and where something was written. Of two versions of an item the newer one stays, in every region the same. */
export interface Version {
  readonly stamp: Stamp
  /** Name of the region. */
  readonly region: string
}

/** Below zero when the first is older. */
export function compareStamps(a: Stamp, b: Stamp): number {
  return a.ms - b.ms || a.counter - b.counter
}

/** By stamp, then by the name of the region: no two regions decide otherwise. */
export function compareVersions(a: Version, b: Version): number {
  return compareStamps(a.stamp, b.stamp) || (a.region < b.region ? -1 : a.region > b.region ? 1 : 0)
}

/** The next stamp: nothing lies between the two. */
export function tick({ ms, counter }: Stamp): Stamp {
  return counter < stampCounterMax ? { ms, counter: counter + 1 } : { ms: ms + 1, counter: 0 }
}
