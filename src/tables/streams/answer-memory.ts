/** Answers that are kept to be written again; more may be under way at one time. */
const freeMax = 4

/**
 * Memory of GetRecords' answers that is written again: a megabyte of fresh pages costs 0.3 to 1 ms of the main thread for each
 * answer, and makes the garbage collector run.
 */
export class AnswerMemory {
  readonly #bytes: number
  readonly #free: Buffer[] = []

  /** @param bytes of one answer */
  constructor(bytes: number) {
    this.#bytes = bytes
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#bytes)
  }

  /** Takes back what `take` gave, when nobody looks at it any more. */
  giveBack(memory: Buffer): void {
    if (this.#free.length < freeMax) this.#free.push(memory)
  }
}
