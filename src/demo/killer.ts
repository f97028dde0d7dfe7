import { statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Daemon } from './daemon.js'

/** Kills that there must be, and the fraction of the writes after which the first and the last of them come. */
export const killsMin = 5
const firstAt = 0.08
const lastAt = 0.8
/** So long as no kill has met a commit in flight, there are more of them, at most this many in all. */
const killsMax = 30
const moreEvery = 0.01
/** How long one look at the file may hold up this process, and how often it looks before it kills anyway. */
const lookMsMax = 100
const looksMax = 100
const awaitedLooksMax = 20

export interface KillerOptions {
  readonly daemon: Daemon
  /** Writes that the whole load has. */
  readonly writes: number
  /** The file of a file sink: its bytes are written before the commit that takes them in. */
  readonly filePath: string
  /** How many kills so far have met a pipeline's commit in flight, by what the daemon said when it came back. */
  readonly commitsMet: () => number
}

/**
 * Kills the daemon with SIGKILL on the way. A pipeline's commit has two parts: the bytes of its file are written and
 * synced, then one commit takes in the new length together with the position. So a file that has just grown says that
 * such a commit is in flight, and that is when most kills come. Whether one really was is shown by the next start: it cuts
 * off the bytes that no commit has taken in.
 */
export class Killer {
  readonly #options: KillerOptions
  #kills = 0
  #busy: Promise<void> | undefined
  #nextAt: number
  #isLoadOver = false
  /** The load waits for the kill under way, so that soon nothing is left to be committed. */
  #isAwaited = false

  constructor(options: KillerOptions) {
    this.#options = options
    this.#nextAt = options.writes * firstAt
  }

  get kills(): number {
    return this.#kills
  }

  /**
   * Call it with each acknowledged write. What it returns is to be waited for before the next one: the load has come to the
   * next kill before this one is over, and a load that is through has no commits in flight for the kills that are left.
   */
  written(writes: number): Promise<void> | undefined {
    if (writes < this.#nextAt) return undefined
    if (this.#busy) {
      this.#isAwaited = true
      return this.#busy
    }
    if (!this.#needsMore()) return undefined
    this.#nextAt += this.#options.writes * this.#step()
    const busy = this.#kill().finally(() => {
      this.#busy = undefined
    })
    this.#busy = busy
    // A daemon that does not come back is noticed by whoever waits for it.
    busy.catch(() => undefined)
    return undefined
  }

  #needsMore(): boolean {
    return this.#kills < killsMin || (this.#options.commitsMet() === 0 && this.#kills < killsMax)
  }

  /** From the kill that is due to the one after it. */
  #step(): number {
    return this.#kills + 1 < killsMin ? (lastAt - firstAt) / (killsMin - 1) : moreEvery
  }

  /** The writes are over: waits for the last kill, and does those that a short load had no time for. */
  async finish(): Promise<void> {
    this.#isLoadOver = true
    await this.#busy
    while (this.#kills < killsMin) await this.#kill()
  }

  async #kill(): Promise<void> {
    // One in three at any moment, the others when a commit is in flight.
    const isAnyMoment = this.#kills % 3 === 0
    this.#isAwaited = false
    let awaited = 0
    for (let look = 0; !isAnyMoment && !this.#isLoadOver && look < looksMax; look++) {
      if (this.#growsNow() || (this.#isAwaited && ++awaited > awaitedLooksMax)) break
      await sleep(1)
    }
    const { restarted } = this.#options.daemon.kill()
    this.#kills++
    await restarted
  }

  /** Watches the file without a pause: what a timer would notice later is over by then. */
  #growsNow(): boolean {
    const size = (): number => statSync(this.#options.filePath, { throwIfNoEntry: false })?.size ?? 0
    const before = size()
    for (const end = performance.now() + lookMsMax; performance.now() < end; ) {
      if (size() > before) return true
    }
    return false
  }
}
