/** Taken entries that are kept in front before the rest is moved down. */
const takenMax = 1024

/** First in, first out; taking from the front moves nothing most of the time. */
export class RecordQueue<R> {
  #entries: R[] = []
  #head = 0

  get length(): number {
    return this.#entries.length - this.#head
  }

  get first(): R | undefined {
    return this.#entries[this.#head]
  }

  get last(): R | undefined {
    return this.length === 0 ? undefined : this.#entries[this.#entries.length - 1]
  }

  at(index: number): R {
    return this.#entries[this.#head + index] as R
  }

  push(entry: R): void {
    this.#entries.push(entry)
  }

  take(count: number): R[] {
    const taken = this.#entries.slice(this.#head, this.#head + count)
    this.skip(count)
    return taken
  }

  skip(count: number): void {
    this.#head += count
    if (this.#head >= this.#entries.length) {
      this.#entries = []
      this.#head = 0
    } else if (this.#head > takenMax && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }
}
