import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Piscina } from 'piscina'
import type { NodeId, PlanDescription, StateQuestion } from '../operators/index.js'
import type { ChannelId, ParkAt, TimerPage, TimerRequest } from '../operators/task/index.js'
import { type Logger, MillraceError } from '../runtime/index.js'
import { overMemory } from './memory-watch.js'
import {
  type ChannelStart,
  describingTask,
  type FromWorker,
  type Handover,
  type OpenConverterOptions,
  type OpenTaskOptions,
  type SinkRecords,
  type TaskAddress,
  type TaskWork,
  type WireError,
  wireError,
} from './protocol.js'
import { rowsIn } from './rows/row-buffer.js'
import type { PackedBarrier } from './rows/task-rows.js'
import { Thread, watchMs } from './thread.js'

export interface PoolOptions {
  readonly threads: number
  readonly heapBytesMax: number
  /** Memory of a thread outside of its heap. */
  readonly externalBytesMax: number
  /** Size of the whole process above which the thread with the largest memory outside of its heap is ended. */
  readonly rssBytesMax: number
  /** A thread that gets to no other record and to no message for so long is ended. */
  readonly stepTimeoutMs: number
  readonly logger: Logger
}

/** Pipelines that are alone in a thread; further ones share theirs. */
const quarantineThreadsMax = 2
/** After the end of a thread with much memory. */
const settleMs = 1000

/** Where a task is opened. */
export interface OpenAt {
  readonly place?: number
  readonly isAlone?: boolean
}

/** Where in user code something happened. */
export interface Place {
  readonly node: NodeId | undefined
  readonly sequence: number | undefined
  /** The row cannot be parked here, but there. */
  readonly parkAt?: ParkAt | undefined
}

/** How a task comes to be without its thread. */
export interface Loss {
  readonly place: Place
  /** This task's code was running. */
  readonly isCulprit: boolean
  /** The thread took too much memory, and nothing speaks for this task: its code was running, or nothing of it has committed. */
  readonly isOfMemory: boolean
}

/** What a task hears of its worker. */
export interface TaskListener {
  done(buffer: ArrayBuffer | undefined, work: TaskWork): void
  barrier(number: number, result: PackedBarrier, work: TaskWork): void
  /** Timers of processing time have fired: there is something to commit. */
  ticked(): void
  /** Timers wait for a barrier; `isBehind`: also some of event time, up to which nothing more is to be read. */
  held(isBehind: boolean): void
  /** Asks for rows of cells, in the order of their keys. */
  fetchCells(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]>
  fetchTimers(wanted: TimerRequest): Promise<TimerPage>
  /** A user function threw. */
  failed(error: WireError, place: Place): void
  lost(error: MillraceError, loss: Loss): void
}

/** What the main thread hears of a sink of the user's own. */
export interface SinkListener {
  delivered(request: number, error: WireError | undefined): void
  /** The thread is gone. */
  lost(error: MillraceError): void
}

/** A sink of the user's own in a worker. */
export interface SinkHandle {
  deliver(request: number, records: SinkRecords): void
  close(): void
}

/** What the main thread hears of the converter of a bridge. */
export interface ConverterListener {
  /** ConvertedMessage[], as MessagePack; undefined with the error of a module that cannot be loaded. */
  converted(request: number, messages: Uint8Array | undefined, error: WireError | undefined): void
  /** The thread is gone. `isCulprit`: the converter's own code ended it, at that record, or while the module was loaded. */
  lost(error: MillraceError, at: { readonly isCulprit: boolean; readonly sequence: number | undefined }): void
}

/** The converter of a bridge in a worker. */
export interface ConverterHandle {
  /** @param messages MessageToConvert[], as MessagePack, in memory of its own, which is handed over */
  convert(request: number, messages: Uint8Array): void
  close(): void
}

/** A task in a worker, as the main thread holds it. What is said to it arrives in order. */
export interface TaskHandle {
  readonly address: TaskAddress
  send(handover: Handover): void
  idle(): void
  end(): void
  channels(opened: readonly ChannelStart[], closed: readonly ChannelId[]): void
  /** `isLast`: of a source task whose shard has been read to its end. */
  barrier(number: number, isLast: boolean): void
  committed(number: number): void
  close(): void
}

/** Threads in which a module is looked at, when they end through the fault of others. */
const describeAttemptsMax = 5

/**
 * The worker threads. User code runs nowhere else, not even to read a pipeline's plan. They start when the first is asked for:
 * a daemon without pipelines saves the 15 MiB that each takes.
 */
export class WorkerPool {
  readonly #options: PoolOptions
  #piscina: Piscina | undefined
  readonly #threads: Thread[] = []
  /** Threads of pipelines that took too much memory, each alone in its own. */
  readonly #quarantine: { readonly label: string; readonly thread: Thread }[] = []
  #quarantinePiscina: Piscina | undefined
  #watch: NodeJS.Timeout | undefined
  #task = 0
  #thread = 0
  #channel = 0
  #request = 0
  #isClosing = false
  /** Threads of the quarantine that were ended when their last task was closed. */
  readonly #left = new Set<Thread>()
  /** Before that the size of the process is not believed. */
  #settledAt = 0
  /** Threads that ended and were replaced, for the metrics. */
  restarts = 0
  /** Of these, those that took too much memory. */
  memoryRestarts = 0
  /** What a step has committed for a key, packed, for user code that asks. */
  answerState: ((question: StateQuestion) => Promise<Buffer | undefined>) | undefined

  constructor(options: PoolOptions) {
    this.#options = options
  }

  #open(): Piscina {
    const { threads } = this.#options
    const piscina = this.#openPiscina(threads, threads)
    this.#piscina = piscina
    for (let i = 0; i < threads; i++) this.#threads.push(this.#start(piscina))
    this.#watch = setInterval(() => this.#look(), watchMs)
    this.#watch.unref()
    return piscina
  }

  #openPiscina(minThreads: number, maxThreads: number): Piscina {
    const { heapBytesMax, logger } = this.#options
    // Loaded with them, and not awaited: a task is opened at once.
    const { Piscina } = createRequire(import.meta.url)('piscina') as typeof import('piscina')
    const piscina = new Piscina({
      filename: workerFile(),
      minThreads,
      maxThreads,
      concurrentTasksPerWorker: 1,
      resourceLimits: { maxOldGenerationSizeMb: Math.max(16, Math.floor(heapBytesMax / 2 ** 20)) },
    })
    // A thread that ends before it has its task (no file or memory is left) is replaced; unheard, its error would end the
    // process.
    piscina.on('error', (error: Error) =>
      logger.warn({ error: error.message }, 'A worker thread could not be started.'),
    )
    return piscina
  }

  #start(piscina: Piscina): Thread {
    return new Thread(
      ++this.#thread,
      piscina,
      (thread, message) => this.#take(thread, message),
      (thread, error) => this.#ended(thread, error),
    )
  }

  #all(): readonly Thread[] {
    return [...this.#threads, ...this.#quarantine.map(({ thread }) => thread)]
  }

  /** Ends threads that hang, and those that take too much memory. */
  #look(): void {
    const now = performance.now()
    const rssBytes = process.memoryUsage.rss()
    const threads = this.#all()
    for (const thread of threads) thread.watch(now, this.#options.stepTimeoutMs, rssBytes)
    const bounds = {
      ...this.#options,
      // What a thread left is given back to the system a while after its end.
      rssBytesMax: now < this.#settledAt ? Number.POSITIVE_INFINITY : this.#options.rssBytesMax,
    }
    const verdict = overMemory(
      threads.map((thread) => thread.memory(rssBytes)),
      rssBytes,
      bounds,
    )
    if (verdict) threads[verdict.index]?.end('memory', verdict.why)
  }

  /** The thread of a pipeline that has to be alone, or the one with the fewest tasks where there are too many of them. */
  #quarantined(label: string): Thread {
    const quarantine = this.#quarantine
    const own = quarantine.find((each) => each.label === label)
    if (own) return own.thread
    if (quarantine.length < quarantineThreadsMax) {
      this.#quarantinePiscina ??= this.#openPiscina(0, quarantineThreadsMax)
      const thread = this.#start(this.#quarantinePiscina)
      quarantine.push({ label, thread })
      return thread
    }
    return fewestTasks(quarantine.map(({ thread }) => thread))
  }

  /** A thread of the quarantine goes with the last task in it, and what was kept there with it. */
  #leaveQuarantine(thread: Thread): void {
    const index = this.#quarantine.findIndex((each) => each.thread === thread)
    if (index < 0 || thread.tasks.size > 0) return
    this.#quarantine.splice(index, 1)
    this.#left.add(thread)
    thread.abort()
  }

  /** The plan of a bundled module. Throws MODULE_INVALID or PIPELINE_INVALID; TOO_BUSY when others end its threads. */
  async describe(file: string): Promise<PlanDescription> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#describe(file)
      } catch (error) {
        // Whose thread ended through another's fault tries again, in the thread that came for it.
        const isOthers = error instanceof MillraceError && error.code === 'TOO_BUSY'
        if (!isOthers || attempt === describeAttemptsMax) throw error
      }
    }
  }

  #describe(file: string): Promise<PlanDescription> {
    const request = ++this.#request
    const thread = this.#leastLoaded()
    return new Promise((resolve, reject) => {
      thread.describing.set(request, { waitedMs: 0, resolve, reject })
      thread.say({ kind: 'describe', request, file })
    })
  }

  /** How many threads there are, or will be with the first task. */
  get size(): number {
    return this.#options.threads
  }

  /** Numbers for channels between tasks, the first of so many. */
  takeChannels(count: number): ChannelId {
    const first = this.#channel + 1
    this.#channel += count
    return first
  }

  /**
   * Opens a task in the thread with the fewest, or in one of a place: tasks with places one after the other are spread.
   * `isAlone`: all tasks of the pipeline in a thread of its own.
   */
  open(options: OpenTaskOptions, listener: TaskListener, { place, isAlone = false }: OpenAt = {}): TaskHandle {
    const task = ++this.#task
    const least = this.#leastLoaded()
    const shared = place === undefined ? least : (this.#threads[place % this.#threads.length] as Thread)
    const thread = isAlone ? this.#quarantined(options.label) : shared
    thread.tasks.set(task, listener)
    const receivers = new Set(options.exits.flatMap(({ channels }) => channels.map(({ to }) => to.thread)))
    for (const other of this.#all()) if (receivers.has(other.number)) thread.meet(other)
    thread.say({ kind: 'open', task, ...options })
    return {
      address: { thread: thread.number, task },
      send: (handover) => thread.say({ kind: 'chunks', task, ...handover }, handover.buffers),
      idle: () => thread.say({ kind: 'idle', task }),
      end: () => thread.say({ kind: 'end', task }),
      channels: (opened, closed) => thread.say({ kind: 'channels', task, opened, closed }),
      barrier: (number, isLast) => thread.say({ kind: 'barrier', task, number, isLast }),
      committed: (number) => {
        thread.proven.add(task)
        thread.say({ kind: 'committed', task, number })
      },
      close: () => {
        thread.tasks.delete(task)
        thread.proven.delete(task)
        thread.say({ kind: 'close', task })
        this.#leaveQuarantine(thread)
      },
    }
  }

  /** Opens a sink of the user's own, which takes its turns with the tasks of a thread. */
  openSink(options: { readonly file: string; readonly label: string; readonly node: NodeId }, listener: SinkListener) {
    const task = ++this.#task
    const thread = this.#leastLoaded()
    thread.sinks.set(task, listener)
    thread.say({ kind: 'openSink', task, ...options })
    const handle: SinkHandle = {
      deliver: (request, records) => thread.say({ kind: 'deliver', task, request, ...records }),
      close: () => {
        thread.sinks.delete(task)
        thread.say({ kind: 'close', task })
      },
    }
    return handle
  }

  /** Opens the converter of a bridge, which takes its turns with the tasks of a thread. */
  openConverter(options: OpenConverterOptions, listener: ConverterListener): ConverterHandle {
    const task = ++this.#task
    const thread = this.#leastLoaded()
    thread.converters.set(task, listener)
    thread.say({ kind: 'openConverter', task, ...options })
    return {
      convert: (request, messages) =>
        thread.say({ kind: 'convert', task, request, messages }, [messages.buffer as ArrayBuffer]),
      close: () => {
        thread.converters.delete(task)
        thread.say({ kind: 'close', task })
      },
    }
  }

  #leastLoaded(): Thread {
    // Its threads end one by one, and are not replaced.
    if (this.#isClosing) throw new MillraceError('NOT_READY', 'The daemon is stopping.')
    if (!this.#piscina) this.#open()
    return fewestTasks(this.#threads)
  }

  #take(thread: Thread, message: FromWorker): void {
    switch (message.kind) {
      case 'described':
        thread.describing.get(message.request)?.resolve(message.plan)
        thread.describing.delete(message.request)
        return
      case 'refused':
        thread.describing.get(message.request)?.reject(moduleError(message.error))
        thread.describing.delete(message.request)
        return
      case 'log':
        this.#options.logger[message.level]({ pipeline: message.label }, message.text)
        return
      case 'askState':
        this.#askState(message.question).then(
          (value) => thread.say({ kind: 'state', request: message.request, value, error: undefined }),
          (error: unknown) =>
            thread.say({ kind: 'state', request: message.request, value: undefined, error: wireError(error) }),
        )
        return
      case 'delivered':
        thread.sinks.get(message.task)?.delivered(message.request, message.error)
        return
      case 'converted': {
        const { task, request, messages, error } = message
        thread.converters.get(task)?.converted(request, messages, error)
        return
      }
    }
    const listener = thread.tasks.get(message.task)
    if (!listener) return
    switch (message.kind) {
      case 'done':
        return listener.done(message.buffer, message)
      case 'barrier':
        return listener.barrier(message.number, message.result, message)
      case 'ticked':
        return listener.ticked()
      case 'held':
        return listener.held(message.isBehind)
      // Where these fail the listener has failed its run, or its store is gone.
      case 'fetchCells':
        listener.fetchCells(rowsIn(message.keys).map(({ key }) => key)).then(
          (values) => thread.say({ kind: 'cells', task: message.task, request: message.request, values }),
          () => {},
        )
        return
      case 'fetchTimers':
        listener.fetchTimers(message.wanted).then(
          (page) => thread.say({ kind: 'timers', task: message.task, request: message.request, page }),
          () => {},
        )
        return
      case 'failed':
        thread.tasks.delete(message.task)
        return listener.failed(message.error, {
          node: message.node,
          sequence: message.sequence,
          parkAt: message.parkAt,
        })
    }
  }

  async #askState(question: StateQuestion): Promise<Buffer | undefined> {
    if (!this.answerState) throw new MillraceError('NOT_READY', 'The store is being opened.')
    return this.answerState(question)
  }

  /** A thread is gone: by its time-out, its memory, an exit, or because the pool closes. */
  #ended(thread: Thread, cause: unknown): void {
    const index = this.#threads.indexOf(thread)
    if (index >= 0) this.#threads.splice(index, 1)
    thread.port.close()
    // Nobody is in it any more.
    if (this.#left.delete(thread)) return
    const quarantined = this.#quarantine.findIndex((each) => each.thread === thread)
    if (quarantined >= 0) this.#quarantine.splice(quarantined, 1)
    const isOfMemory = thread.verdict?.kind === 'memory' || isOutOfMemory(cause)
    if (!this.#isClosing) {
      this.restarts++
      if (isOfMemory) this.memoryRestarts++
      if (quarantined < 0) this.#threads.push(this.#start(this.#piscina as Piscina))
    }
    if (isOfMemory) this.#settledAt = performance.now() + settleMs
    const why = thread.verdict?.why ?? reasonOf(cause)
    const { task, place } = thread.verdict ?? thread.doing()
    const error = new MillraceError(thread.verdict?.kind === 'time' ? 'STEP_TIMEOUT' : 'PIPELINE_FAILED', why, {
      cause,
    })
    const isInnocent = task !== undefined && task !== describingTask
    for (const { reject } of thread.describing.values())
      reject(
        isInnocent
          ? new MillraceError('TOO_BUSY', 'Another pipeline ended the worker thread while it loaded the module.')
          : new MillraceError('MODULE_INVALID', `The worker ended while it loaded the module: ${why}`, { cause }),
      )
    if (!this.#isClosing)
      this.#options.logger.warn({ task: task === describingTask ? 'describe' : task }, `a worker thread ended: ${why}`)
    // The culprit first: its end closes the other tasks of its run, which would otherwise say that nobody is to blame.
    const culprit = task === undefined ? undefined : this.#blamed(thread, task, isOfMemory)
    culprit?.lost(error, { place, isCulprit: true, isOfMemory })
    for (const sink of thread.sinks.values()) sink.lost(error)
    for (const [number, converter] of thread.converters)
      converter.lost(error, { isCulprit: number === task, sequence: number === task ? place.sequence : undefined })
    // Where nobody's code ran, whoever has not shown that it can commit is looked at alone.
    const isOpen = isOfMemory && task === undefined
    for (const [number, listener] of thread.tasks)
      if (listener !== culprit)
        listener.lost(error, { place, isCulprit: false, isOfMemory: isOpen && !thread.proven.has(number) })
  }

  /**
   * A thread that was found too large after its tasks had committed what they did has a leak: it is replaced, and the record
   * that it was at is not to blame. One that said nothing while it grew is.
   */
  #blamed(thread: Thread, task: number, isOfMemory: boolean): TaskListener | undefined {
    const isLeak = isOfMemory && thread.verdict !== undefined && !thread.verdict.isSilent && thread.proven.has(task)
    return isLeak ? undefined : thread.tasks.get(task)
  }

  async close(): Promise<void> {
    this.#isClosing = true
    clearInterval(this.#watch)
    const threads = this.#all()
    for (const thread of threads) thread.say({ kind: 'stop' })
    const timer = setTimeout(() => {
      for (const thread of threads) thread.abort()
    }, 2000)
    await Promise.all(threads.map((thread) => thread.ended))
    clearTimeout(timer)
    await this.#piscina?.destroy()
    await this.#quarantinePiscina?.destroy()
  }
}

function reasonOf(cause: unknown): string {
  const { message } = (cause ?? {}) as { message?: string }
  if (isOutOfMemory(cause)) return 'User code took more memory than workers.heapBytesMax.'
  return `The worker thread ended: ${message ?? 'without an error'}`
}

const isOutOfMemory = (cause: unknown): boolean =>
  (cause as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'

const fewestTasks = (threads: readonly Thread[]): Thread =>
  threads.reduce((least, thread) => (thread.tasks.size < least.tasks.size ? thread : least))

function moduleError({ message, code, remedy }: WireError): MillraceError {
  if (code === 'PIPELINE_INVALID') return new MillraceError(code, message, remedy === undefined ? {} : { remedy })
  return new MillraceError('MODULE_INVALID', `The module cannot be loaded: ${message}`)
}

/** Threads load plain JavaScript: beside this file in the package, in dist/ when this runs from its source. */
function workerFile(): string {
  const beside = fileURLToPath(new URL('./worker.js', import.meta.url))
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/workers/worker.js', import.meta.url))
}
