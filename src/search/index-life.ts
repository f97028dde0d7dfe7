import { asMillraceError, type Clock, type MillraceError, Wake } from '../runtime/index.js'
import type { IndexHost } from './index-session.js'
import type { IndexSize } from './protocol.js'
import type { FeedStep, TableFeed } from './table-feed.js'

/** Batches that the index has not taken in yet: one that it works at, and others so that it need not wait. */
const batchesInFlightMax = 3

export interface IndexLifeOptions {
  readonly feed: TableFeed
  readonly clock: Clock
  /** `onLost`: it is gone with what it held. */
  readonly openHost: (onLost: (error: MillraceError) => void) => IndexHost
  /** Called after each batch. `lagSeconds`: the age of the oldest change of it; undefined of items. */
  readonly onTaken: (size: IndexSize, changes: number, lagSeconds: number | undefined) => void
}

/** One building of an index and its following the table, until the table is gone, or something fails, or it is stopped. */
export class IndexLife {
  readonly feed: TableFeed
  readonly host: IndexHost
  readonly #options: IndexLifeOptions
  readonly #wake: Wake
  #failure: MillraceError | undefined
  #inFlight = 0
  #isStopped = false

  constructor(options: IndexLifeOptions) {
    this.#options = options
    this.feed = options.feed
    this.#wake = new Wake(options.clock)
    this.host = options.openHost((error) => this.#failed(error))
  }

  /** Resolves when the table is gone, or after `stop`. Throws SEARCH_FULL, SEARCH_FAILED, TRIMMED, and what reading threw. */
  async run(): Promise<void> {
    const stopListening = this.feed.onChange(() => this.#wake.raise())
    try {
      while (!this.#isStopped) {
        const { version } = this.#wake
        if (this.#failure) throw this.#failure
        const step = this.#inFlight < batchesInFlightMax ? await this.feed.next() : undefined
        if (step) this.#take(step)
        else if (this.#inFlight === 0 && this.feed.isGone) return
        else await this.#wake.news(version)
      }
    } finally {
      stopListening()
      await this.host.close()
    }
  }

  #take(step: FeedStep): void {
    const { clock, onTaken } = this.#options
    this.#inFlight++
    this.host
      .apply(step.batch)
      .then(({ size, changes }) => {
        this.#inFlight--
        this.feed.taken(step)
        const lagSeconds = step.oldest === undefined ? undefined : Math.max(0, (clock.now() - step.oldest) / 1000)
        if (!this.#isStopped) onTaken(size, changes, lagSeconds)
        this.#wake.raise()
      })
      .catch((error: unknown) => this.#failed(asMillraceError(error)))
  }

  #failed(error: MillraceError): void {
    this.#failure ??= error
    this.#wake.raise()
  }

  stop(): void {
    this.#isStopped = true
    this.#wake.raise()
  }
}
