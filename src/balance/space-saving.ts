/** Of a longer key the beginning is kept. */
const keyBytesMax = 256

/** A key hash that is counted, with the first bytes of its key. */
export interface Counted {
  readonly hi: number
  readonly lo: number
  readonly key: Buffer
  readonly count: number
  /** What it took over from the key that it replaced: its true weight is at least `count - over`. */
  readonly over: number
}

/**
 * SpaceSaving (Metwally, Agrawal, El Abbadi 2005): the heaviest keys of an endless stream in a fixed number of counters.
 * A key with more than 1/size of all weight is always among them. `fade` makes it forget. Few counters, so they are looked
 * through from end to end, which costs less than a map of them would, and nothing is allocated.
 */
export class SpaceSaving {
  readonly #size: number
  readonly #hi: Uint32Array
  readonly #lo: Uint32Array
  readonly #counts: Float64Array
  readonly #over: Float64Array
  readonly #keys: Buffer
  readonly #keyBytes: Uint16Array
  #used = 0
  total = 0

  constructor(size: number) {
    this.#size = size
    this.#hi = new Uint32Array(size)
    this.#lo = new Uint32Array(size)
    this.#counts = new Float64Array(size)
    this.#over = new Float64Array(size)
    this.#keys = Buffer.alloc(size * keyBytesMax)
    this.#keyBytes = new Uint16Array(size)
  }

  /** The key lies in `source` from `start` to `end`; its first bytes are copied when it is not among the counters yet. */
  add(hi: number, lo: number, weight: number, source: Buffer, start: number, end: number): void {
    this.total += weight
    let least = 0
    for (let i = 0; i < this.#used; i++) {
      if (this.#hi[i] === hi && this.#lo[i] === lo) {
        this.#counts[i] = (this.#counts[i] as number) + weight
        return
      }
      if ((this.#counts[i] as number) < (this.#counts[least] as number)) least = i
    }
    // A counter that was never used is at zero.
    if (this.#used < this.#size) least = this.#used++
    const over = this.#counts[least] as number
    this.#hi[least] = hi
    this.#lo[least] = lo
    this.#counts[least] = over + weight
    this.#over[least] = over
    this.#keyBytes[least] = source.copy(this.#keys, least * keyBytesMax, start, Math.min(end, start + keyBytesMax))
  }

  /** Multiplies everything counted so far, so that what is new weighs more. */
  fade(factor: number): void {
    this.total *= factor
    for (let i = 0; i < this.#used; i++) {
      this.#counts[i] = (this.#counts[i] as number) * factor
      this.#over[i] = (this.#over[i] as number) * factor
    }
  }

  /** Heaviest first. */
  heaviest(): readonly Counted[] {
    const counted = Array.from({ length: this.#used }, (_, i): Counted => {
      const at = i * keyBytesMax
      return {
        hi: this.#hi[i] as number,
        lo: this.#lo[i] as number,
        key: Buffer.from(this.#keys.subarray(at, at + (this.#keyBytes[i] as number))),
        count: this.#counts[i] as number,
        over: this.#over[i] as number,
      }
    })
    return counted.sort((a, b) => b.count - b.over - (a.count - a.over))
  }
}
