import { asMillraceError, type Clock, type MillraceError } from '../runtime/index.js'

const firstWaitMs = 50
const lastWaitMs = 5_000

/** Waits between attempts: doubling, and never all clients at once. */
export class Backoff {
  readonly #clock: Clock
  readonly #random: () => number
  #waitMs = firstWaitMs

  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock
    this.#random = random
  }

  succeeded(): void {
    this.#waitMs = firstWaitMs
  }

  /** Resolves after the next wait, or at once when the signal says that nobody waits any more. */
  wait(signal: AbortSignal): Promise<void> {
    const waitMs = this.#waitMs * (0.5 + this.#random() / 2)
    this.#waitMs = Math.min(lastWaitMs, this.#waitMs * 2)
    return sleepUntil(this.#clock, waitMs, signal)
  }
}

export function sleepUntil(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = clock.setTimeout(done, ms)
    signal.addEventListener('abort', done)
    function done(): void {
      timer.cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}

/** Whether the same request may be answered otherwise later: no answer came, or the daemon says so. */
export function isPassing(thrown: unknown): boolean {
  return asMillraceError(thrown).retryable
}

/** Runs until it is answered with something that will not pass, or the signal is aborted: then throws the last error. */
export async function persistently<T>(
  clock: Clock,
  signal: AbortSignal,
  attempt: () => Promise<T>,
  onRetry: (error: MillraceError) => void = () => {},
): Promise<T> {
  const backoff = new Backoff(clock)
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isPassing(error) || signal.aborted) throw error
      onRetry(asMillraceError(error))
      await backoff.wait(signal)
      if (signal.aborted) throw error
    }
  }
}
