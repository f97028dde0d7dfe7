import { asMillraceError, type Clock, type MillraceError } from '../runtime/index.js'

/** Between two tries: this, doubled each time up to the maximum, of which a random half is taken off. */
export const backOffMsMin = 100
export const backOffMsMax = 10_000

/** Thrown out of what was stopped. */
export class Stopped extends Error {}

export interface AttemptsOptions {
  readonly clock: Clock
  readonly random: () => number
  /** Aborted when the bridge stops: nothing new is tried any more. */
  readonly stop: AbortSignal
  readonly onWaiting: (error: MillraceError, tryAgainInMs: number) => void
}

/** Tries again what a broker did not take, with growing pauses. Only what it would refuse again is thrown. */
export class Attempts {
  readonly #options: AttemptsOptions
  #failures = 0

  constructor(options: AttemptsOptions) {
    this.#options = options
  }

  /** The pauses begin at the shortest again. */
  succeeded(): void {
    this.#failures = 0
  }

  /** Waits after a failure. Throws the error when another try is of no use, and Stopped. */
  async failed(thrown: unknown): Promise<void> {
    const { stop, clock, random, onWaiting } = this.#options
    if (stop.aborted) throw new Stopped()
    const error = asMillraceError(thrown)
    if (error.code !== 'KAFKA_UNAVAILABLE' && error.code !== 'KAFKA_UNAUTHORIZED') throw error
    const pauseMs = Math.min(backOffMsMax, backOffMsMin * 2 ** Math.min(this.#failures++, 20)) * (1 - random() / 2)
    onWaiting(error, pauseMs)
    await pause(clock, pauseMs, stop)
  }

  /** @param onFailure puts away what the failed attempt used */
  async untilItWorks(attempt: () => Promise<unknown>, onFailure: () => void): Promise<void> {
    for (;;) {
      if (this.#options.stop.aborted) throw new Stopped()
      try {
        await attempt()
        return
      } catch (thrown) {
        onFailure()
        await this.failed(thrown)
      }
    }
  }
}

/** What a broker says, but not beyond the stop: then it throws Stopped, and whatever comes is given to `late`. */
export async function orStopped<T>(
  asked: Promise<T>,
  stop: AbortSignal,
  late: (answer: T) => void = () => {},
): Promise<T> {
  let onStop = (): void => {}
  const stopped = new Promise<never>((_, reject) => {
    onStop = () => reject(new Stopped())
    stop.addEventListener('abort', onStop)
    if (stop.aborted) onStop()
  })
  asked.then(
    (answer) => {
      if (stop.aborted) late(answer)
    },
    () => {},
  )
  try {
    return await Promise.race([asked, stopped])
  } finally {
    stop.removeEventListener('abort', onStop)
  }
}

/** Waits, but not beyond the stop. */
function pause(clock: Clock, ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel()
      stop.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.setTimeout(end, ms)
    stop.addEventListener('abort', end)
  })
}
