import { asMillraceError, type Clock, MillraceError, type Timer } from '../runtime/index.js'
import type { Connection } from './connection.js'
import { persistently } from './retry.js'
import type { Handled, ShardReader } from './shard-reader.js'

export interface CommitterOptions {
  readonly connection: Connection
  readonly clock: Clock
  /** Below `/v1/`: that of the member. */
  readonly path: string
  /** Between two commits of positions; the end of a shard does not wait. */
  readonly commitMs: number
  /** Aborted when nothing may be waited for any more. */
  readonly signal: AbortSignal
  readonly readers: () => Iterable<ShardReader>
  /** The lease of a shard, or with undefined the whole membership, is gone. */
  readonly onFenced: (shard: number | undefined) => unknown
  readonly onError: (error: unknown) => void
}

/** Commits what was handled: one request in flight, the newest position of each shard. */
export class Committer {
  readonly #options: CommitterOptions
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  /** What comes after the commit that runs: one after `commitMs`, or one at once. */
  #due: 'none' | 'later' | 'now' = 'none'
  #isClosed = false

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  handled(isUrgent: boolean): void {
    if (this.#isClosed) return
    if (isUrgent) this.#begin()
    else if (!this.#timer && !this.#running)
      this.#timer = this.#options.clock.setTimeout(() => this.#begin(), this.#options.commitMs)
    else if (this.#running && this.#due === 'none') this.#due = 'later'
  }

  #begin(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#isClosed) return
    if (this.#running) {
      this.#due = 'now'
      return
    }
    this.#running = this.#commit()
      .catch(this.#options.onError)
      .finally(() => {
        this.#running = undefined
        const due = this.#due
        this.#due = 'none'
        if (due !== 'none') this.handled(due === 'now')
      })
  }

  /**
   * Resolves when everything handled so far was committed, or lost. What other shards handle meanwhile keeps its own time:
   * it may be the last for long, so nothing that is due may be forgotten here.
   */
  async flush(): Promise<void> {
    await this.#running
    // One that began since then takes all of it too.
    if (!this.#running) this.#begin()
    await this.#running
  }

  /** The membership is over: what is handled later is committed by the next one, or not at all. */
  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  async #commit(): Promise<void> {
    const plain: Handled[] = []
    // Those of now: while a request is repeated the membership may end, and what the readers of the next one have handled
    // must not be taken for this one, which would be refused it.
    for (const reader of [...this.#options.readers()]) {
      const handled = reader.takeHandled()
      if (!handled) continue
      // Effects of one shard go with its position alone: they are refused together or not at all.
      if (handled.effects.size > 0) await this.#send([handled])
      else plain.push(handled)
    }
    if (plain.length > 0) await this.#send(plain)
  }

  async #send(handled: readonly Handled[]): Promise<void> {
    const { connection, clock, path, signal, onFenced } = this.#options
    const positions = handled.map(({ shard, lease, next, ended }) => ({ shard, lease, next, ended }))
    const append = handled.flatMap(({ effects }) =>
      [...effects].map(([stream, texts]) => `{"stream":${JSON.stringify(stream)},"records":[${texts.join()}]}`),
    )
    const body = `{"positions":${JSON.stringify(positions)},"append":[${append.join()}]}`
    try {
      // The daemon takes a repetition for what it is.
      await persistently(clock, signal, () => connection.json({ method: 'POST', path: `${path}/positions`, body }))
    } catch (thrown) {
      const error = asMillraceError(thrown)
      if (error.code !== 'FENCED') throw asFinal(error)
      const { shard } = error.details as { shard?: number }
      onFenced(shard)
      // One lease of many is gone: the others still count.
      const others = handled.filter((each) => each.shard !== shard)
      if (shard !== undefined && others.length > 0 && others.length < handled.length) await this.#send(others)
    }
  }
}

/** What could not be committed while the subscription was being closed is read again by whoever comes next. */
function asFinal(error: MillraceError): MillraceError {
  if (!error.retryable) return error
  const { code, message, details } = error
  return new MillraceError(code, `The last positions may not be committed: ${message}`, {
    details,
    cause: error,
    outcome: 'unknown',
    remedy: 'Nothing is lost: what was handled since the last commit will be read again.',
  })
}
