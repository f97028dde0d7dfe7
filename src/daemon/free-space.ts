import { statfsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import type { Clock, Logger, Timer } from '../runtime/index.js'
import type { Ballast } from './ballast.js'

const everyMs = 1000
/** A daemon that is gone again within this time writes no ballast. */
export const ballastAfterMs = 5000

export interface FreeSpaceOptions {
  readonly path: string
  readonly freeBytesMin: number
  readonly ballast?: Ballast
  readonly clock: Clock
  readonly logger: Logger
  readonly onChange: (full: boolean) => void
  /** Free bytes of the disk; the system says them. */
  readonly freeBytes?: () => Promise<number>
}

/**
 * Looks at the free space of the data directory's disk and says when it crosses the bound; keeps the ballast. While the
 * ballast is spent, its space is not given to writers: the next opening may need it again.
 */
export class FreeSpaceWatch {
  readonly #options: FreeSpaceOptions
  readonly #freeBytes: () => Promise<number>
  #timer: Timer | undefined
  #startedAt = 0
  #free = 0
  #full = false
  #stopped = false

  constructor(options: FreeSpaceOptions) {
    this.#options = options
    this.#freeBytes = options.freeBytes ?? (async () => freeBytesOf(await statfs(options.path)))
  }

  get full(): boolean {
    return this.#full
  }

  /** As of the newest look. */
  get freeBytes(): number {
    return this.#free
  }

  /** Looks once, then every second. */
  async start(): Promise<void> {
    this.#startedAt = this.#options.clock.monotonic()
    await this.#look()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#options.ballast?.stop()
  }

  /** Before the store is opened: on a disk without room for that the ballast is given away. */
  makeRoom(): void {
    const { path, ballast } = this.#options
    if (!ballast) return
    this.#free = freeBytesOf(statfsSync(path))
    if (this.#free >= ballast.bytes) return
    ballast.release()
    this.#judge()
  }

  async #look(): Promise<void> {
    const { clock, logger } = this.#options
    try {
      this.#free = await this.#freeBytes()
      await this.#keepBallast()
      this.#judge()
    } catch (error) {
      logger.warn({ error: String(error) }, 'The free space of the data directory cannot be read.')
    }
    if (!this.#stopped) this.#timer = clock.setTimeout(() => void this.#look(), everyMs)
  }

  /** Free bytes from which on there is room for the ballast, and some to write to beside it. */
  #roomFor(ballast: Ballast): number {
    return this.#options.freeBytesMin + 2 * ballast.bytes
  }

  async #keepBallast(): Promise<void> {
    const { ballast, clock } = this.#options
    if (!ballast || ballast.isThere || this.#stopped) return
    if (this.#free < this.#roomFor(ballast) || clock.monotonic() - this.#startedAt < ballastAfterMs) return
    await ballast.make()
    this.#free -= ballast.isThere ? ballast.bytes : 0
  }

  #judge(): void {
    const { freeBytesMin, ballast, logger, onChange } = this.#options
    const free = this.#free
    // Writes need a tenth more to be accepted again than to be refused, or they would be let in and out every second.
    const isBelow = free < freeBytesMin * (this.#full ? 1.1 : 1)
    const full = isBelow || (ballast?.isSpent === true && free < this.#roomFor(ballast))
    if (full === this.#full) return
    this.#full = full
    if (full) logger.error({ free, freeBytesMin }, 'The disk is nearly full: writes are refused, reads go on.')
    else logger.info({ free }, 'There is space on the disk again: writes are accepted.')
    onChange(full)
  }
}

const freeBytesOf = ({ bavail, bsize }: { bavail: number; bsize: number }): number => bavail * bsize
