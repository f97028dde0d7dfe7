import type { OpenWindow } from './types.js'

/** Bytes of a state above which its window ends before its time. */
export const stateBytesMax = 1024 * 1024

const emptyState = '{}'

/** The tumbling window of a shard: its bounds follow from the times of records, its state from what the function returns. */
export class TumblingWindow {
  readonly #ms: number
  #open: OpenWindow | undefined
  /** No record with a time below this one is still to come. */
  #complete = 0

  constructor(ms: number, open: OpenWindow | undefined) {
    this.#ms = ms
    this.#open = open
  }

  get open(): OpenWindow | undefined {
    return this.#open
  }

  get endOf(): number | undefined {
    return this.#open && this.#open.start + this.#ms
  }

  get unknownEnd(): number | undefined {
    const end = this.endOf
    return end !== undefined && this.#complete < end ? end : undefined
  }

  completeTo(time: number): void {
    this.#complete = Math.max(this.#complete, time)
  }

  /** The end of the window that a record of this time goes into: the open one, or its own. */
  endFor(time: number): number {
    return this.endOf ?? Math.floor(time / this.#ms) * this.#ms + this.#ms
  }

  isComplete(end: number): boolean {
    return this.#complete >= end
  }

  /** A batch whose first record has this time goes to the function. */
  begin(time: number): void {
    this.#open ??= { start: Math.floor(time / this.#ms) * this.#ms, state: emptyState, isEarly: false }
  }

  /** Whether nothing more goes into the open window: it is to be closed by a last invocation. */
  isOver(firstWaiting: number | undefined, isAtEnd: boolean): boolean {
    const end = this.endOf
    if (end === undefined || !this.#open) return false
    if (this.#open.isEarly) return true
    return firstWaiting === undefined ? isAtEnd || this.#complete >= end : firstWaiting >= end
  }

  /** A batch of the open window is done; undefined: its records were given up, and the state stays. */
  went(state: string | undefined): void {
    if (!this.#open || state === undefined) return
    this.#open = { ...this.#open, state, isEarly: Buffer.byteLength(state) > stateBytesMax }
  }

  close(): void {
    this.#open = undefined
  }
}
