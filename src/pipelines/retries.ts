import type { ParkedRows } from './parked-list.js'
import type { RetriedQueue } from './run-parking.js'

/** Share of what one commit may hold that rows take which are tried again together: their results go into the same one. */
const retriedShare = 1 / 4

/** The queues of a pipeline that somebody wants tried again, by their names, until a commit has what became of them. */
export class Retries {
  #names: ReadonlySet<string> = new Set()
  /** Those of them whose keys no task of a run had: their shard has ended, and its child waits for another one. */
  readonly #unreached = new Set<string>()

  add(names: ReadonlySet<string>): void {
    this.#names = new Set([...this.#names, ...names])
    for (const name of names) this.#unreached.delete(name)
  }

  get unreached(): ReadonlySet<string> {
    return this.#unreached
  }

  /** A run is over that had no task for these: those that follow do not try them. */
  leave(names: readonly string[]): void {
    for (const name of names) this.#unreached.add(name)
  }

  /** A task has come that has some of them: the next run tries them all. */
  reached(): void {
    this.#unreached.clear()
  }

  /** They stay parked until somebody asks for them again. */
  clear(): void {
    this.#names = new Set()
    this.#unreached.clear()
  }

  /** What the next run tries of them: as much as fits into a commit of so many bytes, the rest is for those that follow. */
  async next(parked: ParkedRows, effectBytesMax: number): Promise<readonly RetriedQueue[]> {
    // Of what has been dropped there is nothing to try.
    this.#names = parked.known(this.#names)
    const names = [...this.#names].filter((name) => !this.#unreached.has(name))
    return parked.queues(new Set(names), effectBytesMax * retriedShare)
  }

  /** A commit has what became of these. */
  tried(names: readonly string[]): void {
    if (names.length === 0) return
    const tried = new Set(names)
    this.#names = new Set([...this.#names].filter((name) => !tried.has(name)))
  }
}
