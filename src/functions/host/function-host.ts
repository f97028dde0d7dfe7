import { randomBytes, randomUUID } from 'node:crypto'
import { type Clock, type Logger, MillraceError, type Timer } from '../../runtime/index.js'
import type { FunctionLogs } from '../logs/function-logs.js'
import type { FunctionAnswer, FunctionCall } from '../types.js'
import { CallLog } from './call-log.js'
import type { HandlerKey } from './environment.js'
import { type CallObserver, type FunctionCounts, newCounts } from './function-counts.js'
import { FunctionPool } from './function-pool.js'
import type { FunctionThread, InitResult, ThreadResult } from './function-thread.js'
import type { HostedFunction } from './hosted-function.js'
import type { ErrorDocument } from './protocol.js'
import { endDocument, endText } from './thread-failure.js'

/** How often threads are looked at, ms. */
const watchMs = 100

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

/** The threads and calls of one function. */
interface Hosted {
  readonly name: string
  revision: number
  pool: Promise<FunctionPool> | undefined
  /** Of the newest revision, with no call; the one that was used last is at the end. */
  idle: FunctionThread[]
  readonly threads: Set<FunctionThread>
  /** Calls that hold a thread, or wait for the one that was begun for them. */
  running: number
  readonly counts: FunctionCounts
}

/** Runs handlers on threads of their own. It outlives the rooms of the daemon, as its worker pool does. */
export class FunctionHost {
  readonly #options: FunctionHostOptions
  readonly #functions = new Map<string, Hosted>()
  /** Pools of former revisions whose last threads are still at work. */
  readonly #closing = new Set<Promise<void>>()
  #endpoint: string | undefined
  #isClosed = false
  /** Threads that there are, and those that were promised to a call and do not run yet. */
  #threads = 0
  #watch: Timer | undefined
  #observer: CallObserver | undefined

  constructor(options: FunctionHostOptions) {
    this.#options = options
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
    const hosted = this.#current(called)
    if (this.#endpoint === undefined || hosted.running >= called.settings.concurrency) throw this.#busy(hosted)
    const idle = hosted.idle.pop()
    if (!idle) this.#makeRoom(hosted)
    hosted.running++
    try {
      return await this.#call(called, hosted, call, idle)
    } finally {
      hosted.running--
    }
  }

  /** The function was changed or is gone: no further call runs on its present threads. */
  async retire(name: string, isGone: boolean): Promise<void> {
    const hosted = this.#functions.get(name)
    if (!hosted) return
    this.#dropThreads(hosted)
    if (isGone) this.#functions.delete(name)
  }

  /** Begins a thread, so that the first call finds one. */
  warm(called: HostedFunction): void {
    const hosted = this.#current(called)
    const isFull = this.#threads >= this.#options.threadsMax
    if (this.#endpoint === undefined || this.#isClosed || isFull || hosted.threads.size > 0) return
    this.#threads++
    this.#begin(called, hosted)
      .then(async (thread) => {
        const { kind } = await thread.loaded
        if (kind === 'ready') this.#rest(hosted, called.revision, thread)
      })
      .catch((error: unknown) =>
        this.#options.logger.warn({ function: called.name, error: String(error) }, 'A function could not be warmed.'),
      )
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch?.cancel()
    const pools = [...this.#functions.values()].flatMap(({ pool }) => (pool ? [pool] : []))
    for (const { threads } of this.#functions.values()) for (const thread of threads) thread.end({ kind: 'stopped' })
    await Promise.all(pools.map(async (pool) => (await pool.catch(() => undefined))?.close()))
    await Promise.all(this.#closing)
  }

  #hosted(name: string): Hosted {
    const known = this.#functions.get(name)
    if (known) return known
    const made: Hosted = {
      name,
      revision: 0,
      pool: undefined,
      idle: [],
      threads: new Set(),
      running: 0,
      counts: newCounts(),
    }
    this.#functions.set(name, made)
    return made
  }

  #current({ name, revision }: HostedFunction): Hosted {
    const hosted = this.#hosted(name)
    if (hosted.revision !== revision) {
      this.#dropThreads(hosted)
      hosted.revision = revision
    }
    return hosted
  }

  /** Idle threads end now, the others after their calls. */
  #dropThreads(hosted: Hosted): void {
    for (const thread of hosted.idle) thread.end({ kind: 'stopped' })
    hosted.idle = []
    const { pool } = hosted
    hosted.pool = undefined
    if (!pool) return
    const threads = [...hosted.threads]
    const closing = Promise.all(threads.map(({ ended }) => ended))
      .then(() => pool)
      .then((each) => each.close())
      .catch(() => {})
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  #busy(hosted: Hosted): MillraceError {
    hosted.counts.throttles++
    return new MillraceError('FUNCTION_BUSY', `All threads of the function ${hosted.name} are taken.`)
  }

  #idleOfAll(): number {
    let idle = 0
    for (const each of this.#functions.values()) idle += each.idle.length
    return idle
  }

  /** Takes a place for a new thread, for which an idle one of another function may have to go. Throws FUNCTION_BUSY. */
  #makeRoom(hosted: Hosted): void {
    if (this.#threads >= this.#options.threadsMax) {
      const others = [...this.#functions.values()].flatMap(({ idle }) => idle)
      const oldest = others.sort((left, right) => left.usedAt - right.usedAt)[0]
      if (!oldest) throw this.#busy(hosted)
      for (const each of this.#functions.values()) each.idle = each.idle.filter((thread) => thread !== oldest)
      oldest.end({ kind: 'stopped' })
    }
    this.#threads++
  }

  async #begin(called: HostedFunction, hosted: Hosted): Promise<FunctionThread> {
    try {
      hosted.pool ??= this.#openPool(called)
      const pool = await hosted.pool
      const thread = pool.start()
      hosted.threads.add(thread)
      this.#keepWatch()
      return thread
    } catch (error) {
      this.#threads--
      hosted.pool = undefined
      throw error
    }
  }

  async #openPool(called: HostedFunction): Promise<FunctionPool> {
    const { region, key, initMsMax, logs, clock, logger } = this.#options
    const log = logs.of(called.name)
    const hosted = this.#hosted(called.name)
    const day = new Date(clock.now()).toISOString().slice(0, 10).replaceAll('-', '/')
    return new FunctionPool({
      function: called,
      root: await called.root(),
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
        hosted.threads.delete(thread)
        hosted.idle = hosted.idle.filter((each) => each !== thread)
      },
    })
  }

  readonly #calls = new WeakMap<FunctionThread, CallLog>()

  async #call(
    called: HostedFunction,
    hosted: Hosted,
    { payload, requestId = randomUUID() }: Pick<FunctionCall, 'payload' | 'requestId'>,
    idle: FunctionThread | undefined,
  ): Promise<FunctionAnswer> {
    const { clock, logs } = this.#options
    const call = new CallLog(called.name, logs.of(called.name), requestId, called.settings, hosted.counts)
    const thread = idle ?? (await this.#begin(called, hosted))
    this.#calls.set(thread, call)
    try {
      const init = idle ? undefined : await thread.loaded
      if (init && init.kind !== 'ready') return this.#initFailed(call, init, requestId)
      call.start(init?.ms)
      const began = clock.monotonic()
      const result = await thread.invoke(requestId, payload, called.settings.timeoutMs)
      const durationMs = clock.monotonic() - began
      this.#observer?.(called.name, durationMs / 1000)
      if (result.kind === 'ended' && result.end.kind === 'stopped') throw stopped(called.name)
      return this.#answer(called, call, result, durationMs, requestId)
    } finally {
      this.#calls.delete(thread)
      this.#rest(hosted, called.revision, thread)
    }
  }

  /** A thread without a call: it waits for the next one, unless it is of a former revision. */
  #rest(hosted: Hosted, revision: number, thread: FunctionThread): void {
    if (thread.isEnded || thread.isEnding) return
    if (hosted.revision === revision && hosted.pool !== undefined && !this.#isClosed) hosted.idle.push(thread)
    else thread.end({ kind: 'stopped' })
  }

  #initFailed(call: CallLog, init: InitResult & { kind: 'failed' | 'ended' }, requestId: string): FunctionAnswer {
    if (init.kind === 'ended' && init.end.kind === 'stopped') throw stopped(call.functionName)
    const now = this.#options.clock.now()
    call.start(undefined)
    if (init.kind === 'ended') call.write(endText(init.end, requestId, now))
    const document = init.kind === 'failed' ? init.document : endDocument(init.end, requestId)
    return call.end({ durationMs: init.ms, memoryBytes: 0, payload: JSON.stringify(document), document })
  }

  #answer(
    called: HostedFunction,
    call: CallLog,
    result: ThreadResult,
    durationMs: number,
    requestId: string,
  ): FunctionAnswer {
    const { memoryBytes } = result
    if (result.kind === 'ended') {
      call.write(endText(result.end, requestId, this.#options.clock.now()))
      const document = endDocument(result.end, requestId)
      return call.end({ durationMs, memoryBytes, payload: JSON.stringify(document), document })
    }
    const { payload, isError, failed } = result
    if (failed) call.countFailed(failed)
    if (!failed || isError)
      return call.end({ durationMs, memoryBytes, payload, ...(isError ? { document: isError } : {}) })
    const told = call.warn(failed)
    this.#warn(called.name, told)
    if (!called.settings.failOnUnhandledSdkError) return call.end({ durationMs, memoryBytes, payload })
    const document: ErrorDocument = { errorType: 'Millrace.UnhandledSdkError', errorMessage: told }
    return call.end({ durationMs, memoryBytes, payload: JSON.stringify(document), document })
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

  #keepWatch(): void {
    this.#watch ??= this.#options.clock.setTimeout(() => {
      this.#watch = undefined
      this.#look()
      if (this.#threads > 0 && !this.#isClosed) this.#keepWatch()
    }, watchMs)
  }

  /** Ends threads that were not called for long, or hold too much memory. */
  #look(): void {
    const { clock, idleMs, rssBytesMax } = this.#options
    const now = clock.monotonic()
    let largest: { thread: FunctionThread; bytes: number } | undefined
    for (const hosted of this.#functions.values()) {
      for (const thread of hosted.idle) if (now - thread.usedAt > idleMs) thread.end({ kind: 'stopped' })
      hosted.idle = hosted.idle.filter((thread) => !thread.isEnding)
      for (const thread of hosted.threads) {
        const { bytes, isSilent } = thread.look()
        // One that does not even say how much it has may hold all of what the process has grown by.
        const guessed = isSilent && !hosted.idle.includes(thread) ? Number.MAX_SAFE_INTEGER : bytes
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

const stopped = (name: string): MillraceError =>
  new MillraceError('FUNCTION_STOPPED', `The function ${name} was not called to its end: the daemon stops.`, {
    outcome: 'unknown',
  })
