import { compareHash, type Hash64 } from '../runtime/index.js'

/**
 * A weighted sample of key hashes without replacement that forgets: each offer gets the priority
 * `gumbel + ln(weight) + time / fadeMs`, and the highest stay (Efraimidis and Spirakis 2006 with forward decay). An item
 * that is `fadeMs` older counts e times less.
 */
export class Reservoir {
  readonly #size: number
  readonly #fadeMs: number
  readonly #random: () => number
  /** A heap whose root has the lowest priority. */
  readonly #priority: Float64Array
  readonly #hi: Uint32Array
  readonly #lo: Uint32Array
  #count = 0

  constructor(size: number, fadeMs: number, random: () => number) {
    this.#size = size
    this.#fadeMs = fadeMs
    this.#random = random
    this.#priority = new Float64Array(size)
    this.#hi = new Uint32Array(size)
    this.#lo = new Uint32Array(size)
  }

  add(hi: number, lo: number, weight: number, now: number): void {
    const priority = Math.log(weight) - Math.log(-Math.log(this.#random() || 1e-300)) + now / this.#fadeMs
    if (this.#count < this.#size) {
      this.#set(this.#count, priority, hi, lo)
      this.#rise(this.#count++)
    } else if (priority > (this.#priority[0] as number)) {
      this.#set(0, priority, hi, lo)
      this.#sink(0)
    }
  }

  /** Ascending. */
  points(): Hash64[] {
    const points: Hash64[] = []
    for (let i = 0; i < this.#count; i++) points.push({ hi: this.#hi[i] as number, lo: this.#lo[i] as number })
    return points.sort(compareHash)
  }

  #set(at: number, priority: number, hi: number, lo: number): void {
    this.#priority[at] = priority
    this.#hi[at] = hi
    this.#lo[at] = lo
  }

  #swap(a: number, b: number): void {
    const [priority, hi, lo] = [this.#priority[a] as number, this.#hi[a] as number, this.#lo[a] as number]
    this.#set(a, this.#priority[b] as number, this.#hi[b] as number, this.#lo[b] as number)
    this.#set(b, priority, hi, lo)
  }

  #rise(at: number): void {
    while (at > 0) {
      const parent = (at - 1) >> 1
      if ((this.#priority[parent] as number) <= (this.#priority[at] as number)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #sink(at: number): void {
    for (;;) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2])
        if (child < this.#count && (this.#priority[child] as number) < (this.#priority[least] as number)) least = child
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }
}
