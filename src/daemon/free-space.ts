import { statfs } from 'node:fs/promises'
import type { Clock, Logger, Timer } from '../runtime/index.js'

const everyMs = 1000

/** Looks at the free space of the data directory's disk and says when it crosses the bound. */
export class FreeSpaceWatch {
  readonly #freeBytes: () => Promise<number>
  readonly #freeBytesMin: number
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #onChange: (full: boolean) => void
  #timer: Timer | undefined
  #free = 0
  #full = false
  #stopped = false

  constructor(options: {
    path: string
    freeBytesMin: number
    clock: Clock
    logger: Logger
    onChange: (full: boolean) => void
    /** Free bytes of the disk; the system says them. */
    freeBytes?: () => Promise<number>
  }) {
    this.#freeBytes = options.freeBytes ?? (() => freeBytesOf(options.path))
    this.#freeBytesMin = options.freeBytesMin
    this.#clock = options.clock
    this.#logger = options.logger
    this.#onChange = options.onChange
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
    await this.#look()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  async #look(): Promise<void> {
    try {
      const free = await this.#freeBytes()
      this.#free = free
      // Writes need a tenth more to be accepted again than to be refused, or they would be let in and out every second.
      const full = free < this.#freeBytesMin * (this.#full ? 1.1 : 1)
      if (full !== this.#full) {
        this.#full = full
        if (full)
          this.#logger.error(
            { free, freeBytesMin: this.#freeBytesMin },
            'The disk is nearly full: writes are refused, reads go on.',
          )
        else this.#logger.info({ free }, 'There is space on the disk again: writes are accepted.')
        this.#onChange(full)
      }
    } catch (error) {
      this.#logger.warn({ error: String(error) }, 'The free space of the data directory cannot be read.')
    }
    if (!this.#stopped) this.#timer = this.#clock.setTimeout(() => void this.#look(), everyMs)
  }
}

async function freeBytesOf(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}
