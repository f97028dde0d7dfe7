const buckets = 6

/** The largest value of a window of time; up to a fifth more than the window is looked back. */
export class Peak {
  readonly #peaks = new Float64Array(buckets)
  #bucket = -1

  /** @param windowMs may change from call to call */
  add(value: number, now: number, windowMs: number): void {
    const bucket = Math.floor(now / (windowMs / (buckets - 1)))
    if (this.#bucket < 0) this.#bucket = bucket
    const passed = Math.min(buckets, Math.abs(bucket - this.#bucket))
    for (let i = 1; i <= passed; i++) this.#peaks[(bucket - passed + i) % buckets] = 0
    this.#bucket = bucket
    const at = bucket % buckets
    this.#peaks[at] = Math.max(this.#peaks[at] as number, value)
  }

  get value(): number {
    return Math.max(...this.#peaks)
  }
}
