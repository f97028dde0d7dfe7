import { hashKey } from '../../src/runtime/index.js'

/** Keys with their hash and their part of the whole load. */
export interface KeyLoad {
  readonly hi: number
  readonly lo: number
  readonly key: Buffer
  readonly share: number
}

/** A generator of numbers from 0 to 1 that is the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

/** `count` keys whose load falls with their rank: share ~ 1 / rank^exponent; 0 is uniform. */
export function zipfKeys(count: number, exponent: number): KeyLoad[] {
  const weights = Array.from({ length: count }, (_, i) => 1 / (i + 1) ** exponent)
  const total = weights.reduce((sum, each) => sum + each, 0)
  return weights.map((weight, i) => {
    const key = Buffer.from(`key ${i}`)
    return { ...hashKey(key), key, share: weight / total }
  })
}

/** `count` keys of one weight, `part` of which lie in the first `width` of the range of hashes. */
export function clusteredKeys(count: number, part: number, width: number, random: () => number): KeyLoad[] {
  return Array.from({ length: count }, (_, i) => {
    const hi = Math.floor(random() * 0x1_0000_0000 * (i < count * part ? width : 1))
    return { hi, lo: Math.floor(random() * 0x1_0000_0000), key: Buffer.from(`key ${i}`), share: 1 / count }
  })
}
