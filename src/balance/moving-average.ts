/** The average of the last values, as many as fit; of fewer while there are not so many yet. */
export class MovingAverage {
  readonly #values: Float64Array
  #count = 0
  #at = 0
  #sum = 0

  constructor(size: number) {
    this.#values = new Float64Array(size)
  }

  add(value: number): void {
    const size = this.#values.length
    this.#sum += value - (this.#values[this.#at] as number)
    this.#values[this.#at] = value
    this.#at = (this.#at + 1) % size
    if (this.#count < size) this.#count++
    // Rounding would add up over days.
    if (this.#at === 0) this.#sum = this.#values.reduce((sum, each) => sum + each, 0)
  }

  get value(): number {
    return this.#count === 0 ? 0 : Math.max(0, this.#sum) / this.#count
  }
}
