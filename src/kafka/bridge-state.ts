import type { Clock, MillraceError } from '../runtime/index.js'
import type { BridgeLogger } from './types.js'

/** What a bridge is doing, and since when (milliseconds since 1970). */
export type BridgeState =
  | { readonly kind: 'starting'; readonly since: number }
  | { readonly kind: 'running'; readonly since: number }
  /** The broker cannot be reached, or the store is busy or full; it is tried again by itself. */
  | { readonly kind: 'waiting'; readonly since: number; readonly nextTryAt: number; readonly error: MillraceError }
  | { readonly kind: 'paused'; readonly since: number }
  /** Only a `resume`, or the next start of the daemon, tries again. */
  | { readonly kind: 'failed'; readonly since: number; readonly error: MillraceError }
  | { readonly kind: 'stopped'; readonly since: number; readonly reason: 'closed' | 'sourceDeleted' }

/** How a run of a bridge ends. */
export type BridgeEnd =
  | { readonly kind: 'stopped' | 'sourceDeleted' }
  | { readonly kind: 'failed'; readonly error: MillraceError }

export interface BridgeConditionOptions {
  readonly bridge: string
  readonly topic: string
  readonly clock: Clock
  readonly logger: BridgeLogger
}

/** The state of one bridge, out or in, and what went wrong with it. Each state that it enters is logged. */
export class BridgeCondition {
  readonly #options: BridgeConditionOptions
  #state: BridgeState
  #errors = 0
  #lastError: { readonly error: MillraceError; readonly at: number } | undefined

  constructor(options: BridgeConditionOptions) {
    this.#options = options
    this.#state = { kind: 'paused', since: options.clock.now() }
  }

  get state(): BridgeState {
    return this.#state
  }

  /** Failed attempts and failures. */
  get errors(): number {
    return this.#errors
  }

  get lastError(): { readonly error: MillraceError; readonly at: number } | undefined {
    return this.#lastError
  }

  /** Counts an error. */
  failed(error: MillraceError): void {
    this.#errors++
    this.#lastError = { error, at: this.#options.clock.now() }
  }

  is(kind: 'starting' | 'running' | 'paused'): void {
    this.enter({ kind, since: this.#options.clock.now() })
  }

  waiting(error: MillraceError, tryAgainInMs: number): void {
    const now = this.#options.clock.now()
    this.enter({
      kind: 'waiting',
      since: this.#state.kind === 'waiting' ? this.#state.since : now,
      nextTryAt: Math.round(now + tryAgainInMs),
      error,
    })
  }

  /** The first success after an outage is what ends it. */
  succeeded(): void {
    if (this.#state.kind === 'waiting') this.is('running')
  }

  ended(end: BridgeEnd): void {
    const since = this.#options.clock.now()
    if (end.kind === 'failed') {
      this.failed(end.error)
      this.enter({ kind: 'failed', since, error: end.error })
    } else {
      this.enter({ kind: 'stopped', since, reason: end.kind === 'sourceDeleted' ? 'sourceDeleted' : 'closed' })
    }
  }

  /** One that has failed stays so. */
  paused(): void {
    if (this.#state.kind !== 'failed') this.is('paused')
  }

  /** One that has ended before stays as it was. */
  closed(): void {
    if (this.#state.kind !== 'failed' && this.#state.kind !== 'stopped') this.ended({ kind: 'stopped' })
  }

  enter(state: BridgeState): void {
    const changed = state.kind !== this.#state.kind
    this.#state = state
    if (!changed) return
    const { bridge, topic, logger } = this.#options
    const fields = { bridge, topic, state: state.kind }
    if (state.kind === 'failed')
      logger.error(
        { ...fields, error: state.error.toJSON() },
        `bridge ${bridge} failed: ${state.error.message} ${state.error.remedy}`,
      )
    else if (state.kind === 'waiting')
      logger.warn({ ...fields, error: state.error.toJSON() }, `bridge ${bridge} waits: ${state.error.message}`)
    else logger.info(fields, `bridge ${bridge} is ${state.kind}`)
  }
}
