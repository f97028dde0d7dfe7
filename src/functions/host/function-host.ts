import { randomBytes, randomUUID } from 'node:crypto'
import { type Clock, type Logger, MillraceError } from '../../runtime/index.js'
import type { FunctionLogs } from '../logs/function-logs.js'
import type { FunctionAnswer, FunctionCall } from '../types.js'
import { type AnsweredCall, answerOfCall, answerOfInit } from './call-answer.js'
import { CallLog } from './call-log.js'
import type { HandlerKey } from './environment.js'
import { type CallObserver, type FunctionCounts, newCounts } from './function-counts.js'
import { FunctionPool } from './function-pool.js'
import type { FunctionThread } from './function-thread.js'
import type { HostedFunction } from './hosted-function.js'
import { HostedRevision } from './hosted-revision.js'
import { ThreadWatch } from './thread-watch.js'

export interface FunctionHostOptions {
  readonly threadsMax: number
  readonly idleMs: number
  readonly initMsMax: number
  /** Size of the whole process above which the thread that holds most is ended. */
  readonly rssBytesMax: number
  readonly region: string
  readonly key: HandlerKey
  readonly logs: FunctionLogs
  readonly clock: Clock
  readonly logger: Logger
}

/** One function and its calls. */
interface Hosted {
  readonly name: string
  /** The newest one; undefined before its first call, and after it was changed. */
  current: HostedRevision | undefined
  /** Calls that hold a thread, or wait for the one that was begun for them. */
  running: number
  readonly counts: FunctionCounts
}

/** Runs handlers on threads of their own. It outlives the rooms of the daemon, as its worker pool does. */
export class FunctionHost {
  readonly #options: FunctionHostOptions
  readonly #functions = new Map<string, Hosted>()
  /** Those of all functions that have threads, former ones and those of deleted functions among them. */
  readonly #revisions = new Set<HostedRevision>()
  #endpoint: string | undefined
  #isClosed = false
  /** Threads that there are, and those that were promised to a call and do not run yet. */
  #threads = 0
  readonly #watch: ThreadWatch
  #observer: CallObserver | undefined

  constructor(options: FunctionHostOptions) {
    this.#options = options
    this.#watch = new ThreadWatch({ ...options, revisions: this.#revisions, hasThreads: () => this.#threads > 0 })
  }

  /** From here on functions can be called: handlers know where the daemon is. */
  serveAt(url: string): void {
    this.#endpoint = url
  }

  observe(observer: CallObserver): void {
    this.#observer = observer
  }

  get threads(): number {
    return this.#threads
  }

  countsOf(name: string): FunctionCounts {
    return this.#hosted(name).counts
  }

  free({ name, settings }: HostedFunction): number {
    if (this.#endpoint === undefined || this.#isClosed) return 0
    const hosted = this.#hosted(name)
    const spare = this.#options.threadsMax - this.#threads + this.#idleOfAll()
    return Math.max(0, Math.min(settings.concurrency - hosted.running, spare))
  }

  /** Rejects with FUNCTION_BUSY and FUNCTION_STOPPED. */
  async invoke(called: HostedFunction, call: Pick<FunctionCall, 'payload' | 'requestId'>): Promise<FunctionAnswer> {
    if (this.#isClosed) throw stopped(called.name)
    const hosted = this.#hosted(called.name)
    if (this.#endpoint === undefined || hosted.running >= called.settings.concurrency) throw this.#busy(hosted)
    const revision = this.#current(called, hosted)
    const idle = revision.idle.pop()
    if (!idle) this.#makeRoom(hosted)
    hosted.running++
    try {
      return await this.#call(called, hosted, revision, call, idle)
    } finally {
      hosted.running--
    }
  }

  /**
   * The function was changed or is gone: no further call runs on its present threads, and those that are under way end as they
   * began. Resolves when none of them reads the code of the store any more.
   */
  async retire(name: string, isGone: boolean): Promise<void> {
    const hosted = this.#functions.get(name)
    if (!hosted) return
    const { current } = hosted
    hosted.current = undefined
    if (isGone) this.#functions.delete(name)
    await current?.retire()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch.close()
    await Promise.all([...this.#revisions].map((revision) => revision.stop()))
  }

  #hosted(name: string): Hosted {
    const known = this.#functions.get(name)
    if (known) return known
    const made: Hosted = { name, current: undefined, running: 0, counts: newCounts() }
    this.#functions.set(name, made)
    return made
  }

  #current(called: HostedFunction, hosted: Hosted): HostedRevision {
    if (hosted.current?.revision === called.revision) return hosted.current
    void hosted.current?.retire()
    const made: HostedRevision = new HostedRevision({
      revision: called.revision,
      open: () => this.#openPool(called, made),
    })
    hosted.current = made
    this.#revisions.add(made)
    void made.closed.then(() => this.#revisions.delete(made))
    return made
  }

  #busy(hosted: Hosted): MillraceError {
    hosted.counts.throttles++
    return new MillraceError('FUNCTION_BUSY', `All threads of the function ${hosted.name} are taken.`)
  }

  #idleOfAll(): number {
    let idle = 0
    for (const each of this.#revisions) idle += each.idle.length
    return idle
  }

  /** Takes a place for a new thread, for which an idle one of another function may have to go. Throws FUNCTION_BUSY. */
  #makeRoom(hosted: Hosted): void {
    if (this.#threads >= this.#options.threadsMax) {
      const others = [...this.#revisions].flatMap(({ idle }) => idle)
      const oldest = others.sort((left, right) => left.usedAt - right.usedAt)[0]
      if (!oldest) throw this.#busy(hosted)
      for (const each of this.#revisions) each.idle = each.idle.filter((thread) => thread !== oldest)
      oldest.end({ kind: 'stopped' })
    }
    this.#threads++
  }

  /** The place for it is taken. */
  async #begin({ name }: HostedFunction, revision: HostedRevision): Promise<FunctionThread> {
    let thread: FunctionThread | undefined
    try {
      thread = await revision.begin()
    } finally {
      if (!thread) this.#threads--
    }
    if (!thread) throw stopped(name)
    this.#watch.keep()
    return thread
  }

  async #openPool(called: HostedFunction, revision: HostedRevision): Promise<FunctionPool> {
    const { region, key, initMsMax, logs, clock, logger } = this.#options
    const log = logs.of(called.name)
    const day = new Date(clock.now()).toISOString().slice(0, 10).replaceAll('-', '/')
    return new FunctionPool({
      function: called,
      code: await called.code(),
      endpoint: this.#endpoint as string,
      region,
      key,
      initMsMax,
      logStreamName: `${day}/[$LATEST]${randomBytes(16).toString('hex')}`,
      clock,
      logger,
      onText: (text, thread) => {
        const call = this.#calls.get(thread)
        if (call) call.write(text)
        else log.append(text)
      },
      onEnd: (thread) => {
        this.#threads--
        revision.drop(thread)
      },
    })
  }

  readonly #calls = new WeakMap<FunctionThread, CallLog>()

  async #call(
    called: HostedFunction,
    hosted: Hosted,
    revision: HostedRevision,
    { payload, requestId = randomUUID() }: Pick<FunctionCall, 'payload' | 'requestId'>,
    idle: FunctionThread | undefined,
  ): Promise<FunctionAnswer> {
    const { clock, logs } = this.#options
    const { name, settings } = called
    const log = new CallLog(logs.of(name), requestId, settings, hosted.counts)
    const call = (): AnsweredCall => ({
      requestId,
      settings,
      log,
      now: clock.now(),
      onUnhandled: (told) => this.#warn(name, told),
    })
    const thread = idle ?? (await this.#begin(called, revision))
    this.#calls.set(thread, log)
    try {
      const init = idle ? undefined : await thread.loaded
      if (init?.kind === 'ended' && init.end.kind === 'stopped') throw stopped(name)
      if (init && init.kind !== 'ready') return answerOfInit(call(), init)
      log.start(init?.ms)
      const began = clock.monotonic()
      const result = await thread.invoke(requestId, payload, settings.timeoutMs)
      const durationMs = clock.monotonic() - began
      this.#observer?.(name, durationMs / 1000)
      if (result.kind === 'ended' && result.end.kind === 'stopped') throw stopped(name)
      return answerOfCall(call(), result, durationMs)
    } finally {
      this.#calls.delete(thread)
      revision.rest(thread)
    }
  }

  readonly #warnedAt = new Map<string, number>()

  /** Once in ten seconds for each function: its own log has every one. */
  #warn(name: string, told: string): void {
    const { clock, logger } = this.#options
    const now = clock.monotonic()
    if (now - (this.#warnedAt.get(name) ?? Number.NEGATIVE_INFINITY) < 10_000) return
    this.#warnedAt.set(name, now)
    logger.warn({ function: name }, told)
  }
}

const stopped = (name: string): MillraceError =>
  new MillraceError('FUNCTION_STOPPED', `The function ${name} was not called to its end: the daemon stops.`, {
    outcome: 'unknown',
  })
