import { setTimeout as sleep } from 'node:timers/promises'
import type { Daemon } from './daemon.js'
import { flightsTable } from './expectation.js'
import { native } from './native.js'

const everyMs = 1000
/** Below log.shardsMax: the shards of a table are not merged while its stream can be read. */
const openShardsMax = 200

interface Shard {
  readonly id: number
  readonly state: string
}

/** Forces a split of one of the flights' shards every second, and counts those that were made. */
export class SplitStorm {
  splits = 0
  readonly #daemon: Daemon
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>

  constructor(daemon: Daemon) {
    this.#daemon = daemon
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      // Between a kill and the next start nobody answers, and what was under way may or may not have been done.
      if (await this.#split().catch(() => false)) this.splits++
      await sleep(everyMs, undefined, { signal: this.#stopping.signal }).catch(() => {})
    }
  }

  async #split(): Promise<boolean> {
    await this.#daemon.ready()
    const path = `streams/table:${flightsTable}/shards`
    const { shards } = await native<{ shards: readonly Shard[] }>(this.#daemon, 'GET', path)
    const open = shards.filter(({ state }) => state === 'open')
    if (open.length >= openShardsMax) return false
    const { id } = open[Math.floor(Math.random() * open.length)] as Shard
    await native(this.#daemon, 'POST', `${path}/${id}/split`, {})
    return true
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }
}
