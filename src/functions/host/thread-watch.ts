import type { Clock, Timer } from '../../runtime/index.js'
import type { FunctionThread } from './function-thread.js'
import type { HostedRevision } from './hosted-revision.js'

/** How often threads are looked at, ms. */
const watchMs = 100

export interface ThreadWatchOptions {
  readonly clock: Clock
  /** A thread without a call ends after so long, ms. */
  readonly idleMs: number
  /** Size of the whole process above which the thread that holds most is ended. */
  readonly rssBytesMax: number
  readonly revisions: Iterable<HostedRevision>
  readonly hasThreads: () => boolean
}

/** Looks at all threads from time to time, while there are any: ends those that were not called for long, or hold too much memory. */
export class ThreadWatch {
  readonly #options: ThreadWatchOptions
  #timer: Timer | undefined
  #isClosed = false

  constructor(options: ThreadWatchOptions) {
    this.#options = options
  }

  /** There is a thread. */
  keep(): void {
    this.#timer ??= this.#options.clock.setTimeout(() => {
      this.#timer = undefined
      this.#look()
      if (this.#options.hasThreads() && !this.#isClosed) this.keep()
    }, watchMs)
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #look(): void {
    const { clock, idleMs, rssBytesMax, revisions } = this.#options
    const now = clock.monotonic()
    let largest: { thread: FunctionThread; bytes: number } | undefined
    for (const revision of revisions) {
      for (const thread of revision.idle) if (now - thread.usedAt > idleMs) thread.end({ kind: 'stopped' })
      revision.idle = revision.idle.filter((thread) => !thread.isEnding)
      for (const thread of revision.threads) {
        const { bytes, isSilent } = thread.look()
        // One that does not even say how much it has may hold all of what the process has grown by.
        const guessed = isSilent && !revision.idle.includes(thread) ? Number.MAX_SAFE_INTEGER : bytes
        if (!thread.isEnding && guessed > (largest?.bytes ?? 0)) largest = { thread, bytes: guessed }
      }
    }
    const rss = largest ? process.memoryUsage.rss() : 0
    if (rss > rssBytesMax && largest && largest.bytes > rssBytesMax / 8)
      largest.thread.end({
        kind: 'memory',
        why: `the process has ${rss} bytes, more than workers.rssBytesMax (${rssBytesMax})`,
      })
  }
}
