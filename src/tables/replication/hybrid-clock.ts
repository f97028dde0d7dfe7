import { type CommitTime, Family, type RowEffect } from '../../commit/index.js'
import { type Stamp, stampCounterMax } from '../items/item-value.js'
import { compareStamps, tick } from './stamps.js'

/** The row that says how far the clock was ahead of commit time; table 0 is none. */
export const clockKey = Buffer.from([Family.replication, 0, 0, 0, 0, 0])

export function clockMsOf(value: Buffer | undefined): number {
  return value ? value.readUIntBE(1, 6) : 0
}

/**
 * A hybrid logical clock (Kulkarni and others, "Logical Physical Clocks", 2014): commit time, and a counter within a
 * millisecond; never behind a stamp that it has given or seen. Commit time is durable with each commit, so after a restart
 * the clock goes on above whatever it gave. Where it is ahead of commit time, because another region's clock is, a row says so:
 * it goes into the commit of each write that has such a stamp.
 */
export class HybridClock {
  readonly #time: Pick<CommitTime, 'next'>
  #ms: number
  #counter = stampCounterMax

  /** @param durableMs what the row of the clock says */
  constructor(time: Pick<CommitTime, 'next'>, durableMs: number) {
    this.#time = time
    this.#ms = Math.max(durableMs, time.next())
  }

  /** A stamp above all that were given and seen. */
  next(): Stamp {
    const now = this.#time.next()
    if (now > this.#ms) {
      this.#ms = now
      this.#counter = 0
    } else if (++this.#counter > stampCounterMax) {
      this.#ms++
      this.#counter = 0
    }
    return { ms: this.#ms, counter: this.#counter }
  }

  /**
   * The stamp of a write over another version of the item: above the next one, too, which belongs to the deletion of that version
   * when its time to live is over.
   */
  after(version: Stamp | undefined): Stamp {
    const stamp = this.next()
    const end = version && tick(version)
    if (!end || compareStamps(stamp, end) > 0) return stamp
    const above = tick(end)
    this.see(above)
    return above
  }

  /** The milliseconds of the newest stamp that there may be. */
  get newestMs(): number {
    return Math.max(this.#ms, this.#time.next())
  }

  /** A stamp of another region: what is written here from now on is newer. */
  see({ ms, counter }: Stamp): void {
    if (compareStamps({ ms, counter }, { ms: this.#ms, counter: this.#counter }) <= 0) return
    this.#ms = ms
    this.#counter = counter
  }

  /** The row that a write needs in its effect set, where the clock is ahead of commit time. */
  row(): RowEffect | undefined {
    if (this.#ms <= this.#time.next()) return undefined
    const value = Buffer.alloc(7)
    value[0] = 1
    value.writeUIntBE(this.#ms, 1, 6)
    return { key: clockKey, value }
  }
}
