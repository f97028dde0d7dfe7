/** Of a longer key the beginning is kept. */
const keyBytesMax = 256

/** A key hash that is counted, with the first bytes of its key. */
export interface Counted {
  readonly hi: number
  readonly lo: number
  readonly key: Buffer
  count: number
  /** What it took over from the key that it replaced: its true weight is at least `count - over`. */
  over: number
}

/**
 * SpaceSaving (Metwally, Agrawal, El Abbadi 2005): the heaviest keys of an endless stream in a fixed number of counters.
 * A key with more than 1/size of all weight is always among them. `fade` makes it forget.
 */
export class SpaceSaving {
  readonly #size: number
  readonly #byHash = new Map<number, Counted>()
  readonly #counters: Counted[] = []
  total = 0

  constructor(size: number) {
    this.#size = size
  }

  /** The key lies in `source` from `start` to `end`; its first bytes are copied when it is not among the counters yet. */
  add(hi: number, lo: number, weight: number, source: Buffer, start: number, end: number): void {
    this.total += weight
    const name = nameOf(hi, lo)
    const present = this.#byHash.get(name)
    if (present) {
      present.count += weight
      return
    }
    const key = Buffer.from(source.subarray(start, Math.min(end, start + keyBytesMax)))
    const counted: Counted = { hi, lo, key, count: weight, over: 0 }
    if (this.#counters.length < this.#size) this.#counters.push(counted)
    else {
      let least = 0
      for (let i = 1; i < this.#counters.length; i++)
        if ((this.#counters[i] as Counted).count < (this.#counters[least] as Counted).count) least = i
      const replaced = this.#counters[least] as Counted
      this.#byHash.delete(nameOf(replaced.hi, replaced.lo))
      counted.count += replaced.count
      counted.over = replaced.count
      this.#counters[least] = counted
    }
    this.#byHash.set(name, counted)
  }

  /** Multiplies everything counted so far, so that what is new weighs more. */
  fade(factor: number): void {
    this.total *= factor
    for (const counted of this.#counters) {
      counted.count *= factor
      counted.over *= factor
    }
  }

  /** Heaviest first. */
  heaviest(): readonly Counted[] {
    return [...this.#counters].sort((a, b) => b.count - b.over - (a.count - a.over))
  }
}

/** The upper 53 bits: exact in a double, and as good as all 64 for telling 32 keys apart. */
const nameOf = (hi: number, lo: number): number => hi * 0x20_0000 + (lo >>> 11)
