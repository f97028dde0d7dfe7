import type { FunctionPool } from './function-pool.js'
import type { FunctionThread } from './function-thread.js'

export interface HostedRevisionOptions {
  readonly revision: number
  /** Makes its pool, when its first thread is wanted; its threads are to be given to `drop` when they end. */
  readonly open: () => Promise<FunctionPool>
}

/** The threads of one revision of a function, from its first call until its last thread has ended. */
export class HostedRevision {
  readonly #options: HostedRevisionOptions
  readonly threads = new Set<FunctionThread>()
  /** Those without a call; the one that was used last is at the end. None of a revision that is retired. */
  idle: FunctionThread[] = []
  #pool: Promise<FunctionPool> | undefined
  /** Threads that are promised and not there yet. */
  #beginning = 0
  #isRetired = false
  #isStopped = false
  #isClosing = false
  /** Resolves when it is retired and its last thread has ended. */
  readonly closed: Promise<void>
  #close!: () => void

  constructor(options: HostedRevisionOptions) {
    this.#options = options
    this.closed = new Promise((resolve) => {
      this.#close = resolve
    })
  }

  get revision(): number {
    return this.#options.revision
  }

  /** A new thread; undefined when the host stops. A revision that is retired meanwhile still gives it: the call came before. */
  async begin(): Promise<FunctionThread | undefined> {
    this.#beginning++
    this.#pool ??= this.#options.open()
    const pool = this.#pool
    try {
      const opened = await pool
      if (this.#isStopped) return undefined
      const thread = opened.start()
      this.threads.add(thread)
      return thread
    } catch (error) {
      // Code that could not be read may be there for the next call.
      if (this.#pool === pool) this.#pool = undefined
      throw error
    } finally {
      this.#beginning--
      this.#closeAtEnd()
    }
  }

  /** A thread without a call: it waits for the next one, unless there is none. */
  rest(thread: FunctionThread): void {
    if (thread.isEnding) return
    if (this.#isRetired) thread.end({ kind: 'stopped' })
    else this.idle.push(thread)
  }

  /** The thread has ended. */
  drop(thread: FunctionThread): void {
    this.threads.delete(thread)
    this.idle = this.idle.filter((each) => each !== thread)
    this.#closeAtEnd()
  }

  /** Idle threads end now, the others after their calls. Resolves when its code is not read any more. */
  async retire(): Promise<void> {
    this.#isRetired = true
    for (const thread of this.idle.splice(0)) thread.end({ kind: 'stopped' })
    this.#closeAtEnd()
    await this.#pool?.catch(() => {})
  }

  /** Threads end now, whatever they do. Resolves when the last one has. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const thread of this.threads) thread.end({ kind: 'stopped' })
    await this.retire()
    await this.closed
  }

  #closeAtEnd(): void {
    if (!this.#isRetired || this.#isClosing || this.#beginning > 0 || this.threads.size > 0) return
    this.#isClosing = true
    Promise.resolve(this.#pool)
      .then((pool) => pool?.close())
      .catch(() => {})
      .finally(this.#close)
  }
}
