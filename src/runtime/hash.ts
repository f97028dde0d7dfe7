/**
 * MurmurHash3_x86_128 (Austin Appleby, public domain), seed 0: of its four 32-bit lanes the first two are the key hash.
 * Two lanes instead of a 64-bit number, because a BigInt costs more than the hash itself.
 */
export interface Hash64 {
  readonly hi: number
  readonly lo: number
}

const c1 = 0x239b961b
const c2 = 0xab0e9789
const c3 = 0x38b34ae5
const c4 = 0xa1e38b93

const rotl = (x: number, r: number): number => (x << r) | (x >>> (32 - r))

function finalise(h: number): number {
  h ^= h >>> 16
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

export function hashKey(bytes: Uint8Array, start = 0, end = bytes.length): Hash64 {
  const length = end - start
  let h1 = 0
  let h2 = 0
  let h3 = 0
  let h4 = 0
  let at = start
  const word = (i: number): number =>
    (bytes[i] as number) |
    ((bytes[i + 1] as number) << 8) |
    ((bytes[i + 2] as number) << 16) |
    ((bytes[i + 3] as number) << 24)
  for (const stop = start + (length & ~15); at < stop; at += 16) {
    h1 ^= Math.imul(rotl(Math.imul(word(at), c1), 15), c2)
    h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0
    h2 ^= Math.imul(rotl(Math.imul(word(at + 4), c2), 16), c3)
    h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0
    h3 ^= Math.imul(rotl(Math.imul(word(at + 8), c3), 17), c4)
    h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0
    h4 ^= Math.imul(rotl(Math.imul(word(at + 12), c4), 18), c1)
    h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0
  }
  let k1 = 0
  let k2 = 0
  let k3 = 0
  let k4 = 0
  const rest = length & 15
  for (let i = rest - 1; i >= 0; i--) {
    const byte = bytes[at + i] as number
    const shift = (i & 3) << 3
    if (i >= 12) k4 |= byte << shift
    else if (i >= 8) k3 |= byte << shift
    else if (i >= 4) k2 |= byte << shift
    else k1 |= byte << shift
  }
  if (rest > 12) h4 ^= Math.imul(rotl(Math.imul(k4, c4), 18), c1)
  if (rest > 8) h3 ^= Math.imul(rotl(Math.imul(k3, c3), 17), c4)
  if (rest > 4) h2 ^= Math.imul(rotl(Math.imul(k2, c2), 16), c3)
  if (rest > 0) h1 ^= Math.imul(rotl(Math.imul(k1, c1), 15), c2)

  h1 ^= length
  h2 ^= length
  h3 ^= length
  h4 ^= length
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = (h2 + h1) | 0
  h3 = (h3 + h1) | 0
  h4 = (h4 + h1) | 0
  h1 = finalise(h1)
  h2 = finalise(h2)
  h3 = finalise(h3)
  h4 = finalise(h4)
  h1 = (h1 + h2 + h3 + h4) | 0
  h2 = (h2 + h1) | 0
  return { hi: h1 >>> 0, lo: h2 >>> 0 }
}

/** Orders hash points as unsigned 64-bit numbers. */
export function compareHash(a: Hash64, b: Hash64): number {
  return a.hi - b.hi || a.lo - b.lo
}

export const hashMin: Hash64 = { hi: 0, lo: 0 }
export const hashMax: Hash64 = { hi: 0xffff_ffff, lo: 0xffff_ffff }

/** The point before a hash: the last one of a lower neighbour. Not for the lowest of all. */
export function hashBefore({ hi, lo }: Hash64): Hash64 {
  return lo > 0 ? { hi, lo: lo - 1 } : { hi: hi - 1, lo: 0xffff_ffff }
}

/** The point after a hash: the first one of a higher neighbour. Not for the highest of all. */
export function hashAfter({ hi, lo }: Hash64): Hash64 {
  return lo < 0xffff_ffff ? { hi, lo: lo + 1 } : { hi: hi + 1, lo: 0 }
}

/** The middle of a range, as the first hash of its upper half. */
export function middleOf(low: Hash64, high: Hash64): Hash64 {
  const from = bits(low)
  const middle = from + (bits(high) - from + 1n) / 2n
  return { hi: Number(middle >> 32n), lo: Number(middle & 0xffff_ffffn) }
}

const bits = ({ hi, lo }: Hash64): bigint => (BigInt(hi) << 32n) | BigInt(lo)

/** A key hash as people and the wire see it: 16 hexadecimal digits. */
export const hashText = ({ hi, lo }: Hash64): string =>
  hi.toString(16).padStart(8, '0') + lo.toString(16).padStart(8, '0')

/** A key hash of 16 hexadecimal digits, or undefined when the text is none. */
export function hashOfText(text: string): Hash64 | undefined {
  if (!/^[0-9a-f]{16}$/i.test(text)) return undefined
  return { hi: Number.parseInt(text.slice(0, 8), 16), lo: Number.parseInt(text.slice(8), 16) }
}
