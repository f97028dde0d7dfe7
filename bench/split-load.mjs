// Skewed loads for `bench split`: which key each record has, batches that say what they are, and where the load lies.
import { Codec, encodeBatch } from '../dist/log/index.js'
import { compareHash, hashKey } from '../dist/runtime/index.js'

/** The same numbers in every run (mulberry32), so that a batch can be told from its number alone. */
export function seeded(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

export const loadNames = ['uniform', 'zipf-0.99', 'zipf-1.2', 'zipf-1.5', 'clustered']

/** Keys with their hash and share. Clustered: 80 % of the keys, all of one weight, in 2 % of the range of hashes. */
export class KeyLoad {
  constructor(name, count) {
    const exponent = name.startsWith('zipf-') ? Number(name.slice(5)) : 0
    const random = seeded(1)
    this.keys = Array.from({ length: count }, (_, i) => {
      const key = Buffer.from(`key ${i}`)
      const hash = hashKey(key)
      // A key hash in a batch is taken as the client gives it; this squeezes most of them together.
      if (name === 'clustered' && i < 0.8 * count)
        return { key, hash: { hi: Math.floor(random() * 0x1_0000_0000 * 0.02), lo: hash.lo } }
      return { key, hash }
    })
    this.below = new Float64Array(count + 1)
    for (let i = 0; i < count; i++) this.below[i + 1] = this.below[i] + 1 / (i + 1) ** exponent
    const total = this.below[count]
    this.below = this.below.map((value) => value / total)
    this.byHash = Array.from({ length: count }, (_, i) => i).sort((a, b) =>
      compareHash(this.keys[a].hash, this.keys[b].hash),
    )
  }

  pick(random) {
    const at = random()
    let [low, high] = [0, this.keys.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.below[middle + 1] <= at) low = middle + 1
      else high = middle
    }
    return low
  }

  share(i) {
    return this.below[i + 1] - this.below[i]
  }

  /** The part of the load that lies in each of these shards, which are in the order of their ranges. */
  sharesOf(shards) {
    const shares = new Float64Array(shards.length)
    let at = 0
    for (const i of this.byHash) {
      while (compareHash(shards[at].high, this.keys[i].hash) < 0) at++
      shares[at] += this.share(i)
    }
    return shares
  }

  /** Batch `number` of the run: each body says batch, place in it and key. */
  batch(number, size, bytes) {
    const random = seeded(number + 1)
    const time = Date.now()
    const records = Array.from({ length: size }, (_, place) => {
      const i = this.pick(random)
      const body = Buffer.alloc(bytes, 46)
      body.writeUInt32LE(number, 0)
      body.writeUInt32LE(place, 4)
      body.writeUInt32LE(i, 8)
      return { ...this.keys[i], kind: 0, flags: 0, codec: Codec.raw, time, body }
    })
    return encodeBatch(records)
  }
}
