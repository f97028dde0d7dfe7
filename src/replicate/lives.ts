import { randomUUID } from 'node:crypto'
import { type Commit, Family } from '../commit/index.js'
import type { Storage } from '../storage/index.js'
import { type Gap, type StoreLife, withGap } from './types.js'

/*
 * `replication`, table 0, 01: what this store may have lost of its own writes. Version u8 (1), JSON. A restored copy, and a store
 * whose last run did not sync, begin a new epoch: what was written here between the last time that was noted and that opening
 * may be in other regions alone. Each such opening is a life of its own, with a name that no other one has.
 */
const key = Buffer.from([Family.replication, 0, 0, 0, 0, 1])
const version = 1

interface Stored {
  readonly epoch: number
  /** Commit time up to which everything is here, as of this epoch. */
  readonly at: number
  readonly gaps: readonly Gap[]
  /** Absent in what was written before lives had names. */
  readonly life?: string
}

export class Lives {
  readonly #commit: Commit
  #stored: Stored

  private constructor(commit: Commit, stored: Stored) {
    this.#commit = commit
    this.#stored = stored
  }

  static async open(storage: Pick<Storage, 'get'>, commit: Commit, skewMsMax: number): Promise<Lives> {
    const value = await storage.get(key)
    const now = commit.time.next()
    const { epoch } = commit
    const stored: Stored = value
      ? JSON.parse(value.toString('utf8', 1))
      : { epoch, at: now, gaps: [], life: randomUUID() }
    const begun = { epoch, at: now, gaps: withGap(stored.gaps, { from: stored.at, to: now + skewMsMax }) }
    const lives = new Lives(
      commit,
      stored.epoch < epoch ? { ...begun, life: randomUUID() } : { ...stored, epoch, at: now },
    )
    await lives.note()
    return lives
  }

  /** Notes the time: what is older was never lost. */
  async note(): Promise<void> {
    this.#stored = { ...this.#stored, at: this.#commit.time.next() }
    const value = Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(this.#stored))])
    await this.#commit.submit({ essential: true, rows: [{ key, value }] })
  }

  get store(): StoreLife {
    const { epoch, life } = this.#stored
    return { id: this.#commit.storeId, epoch, ...(life === undefined ? {} : { life }) }
  }

  /** What of this region's own writes may have been lost here. */
  get gaps(): readonly Gap[] {
    return this.#stored.gaps
  }
}
