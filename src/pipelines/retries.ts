import type { ParkedRows } from './parked-list.js'
import type { RetriedQueue } from './run-parking.js'

/** Share of what one commit may hold that rows take which are tried again together: their results go into the same one. */
const retriedShare = 1 / 4

/** The queues of a pipeline that somebody wants tried again, by their names, until a commit has what became of them. */
export class Retries {
  #names: ReadonlySet<string> = new Set()

  add(names: ReadonlySet<string>): void {
    this.#names = new Set([...this.#names, ...names])
  }

  /** They stay parked until somebody asks for them again. */
  clear(): void {
    this.#names = new Set()
  }

  /** What the next run tries of them: as much as fits into a commit of so many bytes, the rest is for those that follow. */
  async next(parked: ParkedRows, effectBytesMax: number): Promise<readonly RetriedQueue[]> {
    // Of what has been dropped there is nothing to try.
    this.#names = parked.known(this.#names)
    return parked.queues(this.#names, effectBytesMax * retriedShare)
  }

  /** A commit has what became of these. */
  tried(names: readonly string[]): void {
    if (names.length === 0) return
    const tried = new Set(names)
    this.#names = new Set([...this.#names].filter((name) => !tried.has(name)))
  }
}
