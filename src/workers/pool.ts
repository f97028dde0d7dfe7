import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Piscina } from 'piscina'
import type { Shape } from '../log/bodies.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import type { ChannelId, ParkAt, TimerPage, TimerRequest } from '../operators/task/index.js'
import { type Logger, MillraceError } from '../runtime/index.js'
import {
  type ChannelStart,
  describingTask,
  type FromWorker,
  type OpenTaskOptions,
  type SinkRecords,
  type TaskAddress,
  type TaskWork,
  type WireError,
} from './protocol.js'
import { rowsIn } from './rows/row-buffer.js'
import type { PackedBarrier } from './rows/task-rows.js'
import { Thread, watchMs } from './thread.js'

export interface PoolOptions {
  readonly threads: number
  readonly heapBytesMax: number
  /** A thread that gets to no other record and to no message for so long is ended. */
  readonly stepTimeoutMs: number
  readonly logger: Logger
}

/** Where in user code something happened. */
export interface Place {
  readonly node: NodeId | undefined
  readonly sequence: number | undefined
  /** The row cannot be parked here, but there. */
  readonly parkAt?: ParkAt | undefined
}

/** What a task hears of its worker. */
export interface TaskListener {
  done(buffer: ArrayBuffer, work: TaskWork): void
  barrier(number: number, result: PackedBarrier, work: TaskWork): void
  /** Timers of processing time have fired: there is something to commit. */
  ticked(): void
  /** Asks for rows of cells, in the order of their keys. */
  fetchCells(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]>
  fetchTimers(wanted: TimerRequest): Promise<TimerPage>
  /** A user function threw. */
  failed(error: WireError, place: Place): void
  /** The thread is gone. `isCulprit`: this task's code was running. */
  lost(error: MillraceError, place: Place, isCulprit: boolean): void
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

/** A task in a worker, as the main thread holds it. What is said to it arrives in order. */
export interface TaskHandle {
  readonly address: TaskAddress
  /** `shapes` are those of the source's rows that the task does not know yet. */
  send(buffer: ArrayBuffer, lengths: readonly number[], from: number, shapes: readonly Shape[]): void
  idle(): void
  end(): void
  channels(opened: readonly ChannelStart[], closed: readonly ChannelId[]): void
  /** `isLast`: of a source task whose shard has been read to its end. */
  barrier(number: number, isLast: boolean): void
  committed(number: number): void
  close(): void
}

/**
 * The worker threads. User code runs nowhere else, not even to read a pipeline's plan. They start when the first is asked for:
 * a daemon without pipelines saves the 15 MiB that each takes.
 */
export class WorkerPool {
  readonly #options: PoolOptions
  #piscina: Piscina | undefined
  readonly #threads: Thread[] = []
  #watch: NodeJS.Timeout | undefined
  #task = 0
  #thread = 0
  #channel = 0
  #request = 0
  #isClosing = false
  /** Threads that ended and were replaced, for the metrics. */
  restarts = 0

  constructor(options: PoolOptions) {
    this.#options = options
  }

  #open(): Piscina {
    const { threads, heapBytesMax, stepTimeoutMs, logger } = this.#options
    // Loaded with them, and not awaited: a task is opened at once.
    const { Piscina } = createRequire(import.meta.url)('piscina') as typeof import('piscina')
    const piscina = new Piscina({
      filename: workerFile(),
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 1,
      resourceLimits: { maxOldGenerationSizeMb: Math.max(16, Math.floor(heapBytesMax / 2 ** 20)) },
    })
    // A thread that ends before it has its task (no file or memory is left) is replaced; unheard, its error would end the
    // process.
    piscina.on('error', (error: Error) =>
      logger.warn({ error: error.message }, 'A worker thread could not be started.'),
    )
    this.#piscina = piscina
    for (let i = 0; i < threads; i++) this.#start(piscina)
    this.#watch = setInterval(() => {
      const now = performance.now()
      for (const thread of this.#threads) thread.watch(now, stepTimeoutMs)
    }, watchMs)
    this.#watch.unref()
    return piscina
  }

  #start(piscina: Piscina): void {
    this.#threads.push(
      new Thread(
        ++this.#thread,
        piscina,
        (thread, message) => this.#take(thread, message),
        (thread, error) => this.#ended(thread, error),
      ),
    )
  }

  /** The plan of a bundled module. Throws MODULE_INVALID or PIPELINE_INVALID; TOO_BUSY when others end its threads. */
  async describe(file: string): Promise<PlanDescription> {
    try {
      return await this.#describe(file)
    } catch (error) {
      // Whose thread ended through another's fault tries once more, in the thread that came for it.
      if (!(error instanceof MillraceError) || error.code !== 'TOO_BUSY') throw error
      return this.#describe(file)
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

  /** Opens a task in the thread with the fewest, or in one of a place: tasks with places one after the other are spread. */
  open(options: OpenTaskOptions, listener: TaskListener, place?: number): TaskHandle {
    const task = ++this.#task
    const least = this.#leastLoaded()
    const thread = place === undefined ? least : (this.#threads[place % this.#threads.length] as Thread)
    thread.tasks.set(task, listener)
    const receivers = new Set(options.exits.flatMap(({ channels }) => channels.map(({ to }) => to.thread)))
    for (const other of this.#threads) if (receivers.has(other.number)) thread.meet(other)
    thread.say({ kind: 'open', task, ...options })
    return {
      address: { thread: thread.number, task },
      send: (buffer, lengths, from, shapes) =>
        thread.say({ kind: 'chunks', task, buffer, lengths, from, shapes }, [buffer]),
      idle: () => thread.say({ kind: 'idle', task }),
      end: () => thread.say({ kind: 'end', task }),
      channels: (opened, closed) => thread.say({ kind: 'channels', task, opened, closed }),
      barrier: (number, isLast) => thread.say({ kind: 'barrier', task, number, isLast }),
      committed: (number) => thread.say({ kind: 'committed', task, number }),
      close: () => {
        thread.tasks.delete(task)
        thread.say({ kind: 'close', task })
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

  #leastLoaded(): Thread {
    // Its threads end one by one, and are not replaced.
    if (this.#isClosing) throw new MillraceError('NOT_READY', 'The daemon is stopping.')
    if (!this.#piscina) this.#open()
    return this.#threads.reduce((least, thread) => (thread.tasks.size < least.tasks.size ? thread : least))
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
      case 'delivered':
        thread.sinks.get(message.task)?.delivered(message.request, message.error)
        return
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
      // Where these fail the listener has failed its run, or its store is gone.
      case 'fetchCells':
        listener.fetchCells(Array.from(rowsIn(message.keys), ({ key }) => key)).then(
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

  /** A thread is gone: by its time-out, its memory, an exit, or because the pool closes. */
  #ended(thread: Thread, cause: unknown): void {
    const index = this.#threads.indexOf(thread)
    if (index >= 0) this.#threads.splice(index, 1)
    thread.port.close()
    if (!this.#isClosing) {
      this.restarts++
      this.#start(this.#piscina as Piscina)
    }
    const why = thread.timeout ?? reasonOf(cause)
    const { isBusy, task, node, sequence } = thread.trace.read()
    const place: Place = { node: node < 0 ? undefined : node, sequence: sequence === 0 ? undefined : sequence }
    const error = new MillraceError(thread.timeout ? 'STEP_TIMEOUT' : 'PIPELINE_FAILED', why, { cause })
    const isInnocent = isBusy && task !== describingTask
    for (const { reject } of thread.describing.values())
      reject(
        isInnocent
          ? new MillraceError('TOO_BUSY', 'Another pipeline ended the worker thread while it loaded the module.')
          : new MillraceError('MODULE_INVALID', `The worker ended while it loaded the module: ${why}`, { cause }),
      )
    if (!this.#isClosing)
      this.#options.logger.warn({ task: task === describingTask ? 'describe' : task }, `a worker thread ended: ${why}`)
    // The culprit first: its end closes the other tasks of its run, which would otherwise say that nobody is to blame.
    const culprit = isBusy ? thread.tasks.get(task) : undefined
    culprit?.lost(error, place, true)
    for (const sink of thread.sinks.values()) sink.lost(error)
    for (const listener of thread.tasks.values()) if (listener !== culprit) listener.lost(error, place, false)
  }

  async close(): Promise<void> {
    this.#isClosing = true
    clearInterval(this.#watch)
    for (const thread of this.#threads) thread.say({ kind: 'stop' })
    const timer = setTimeout(() => {
      for (const thread of this.#threads) thread.abort()
    }, 2000)
    await Promise.all(this.#threads.map((thread) => thread.ended))
    clearTimeout(timer)
    await this.#piscina?.destroy()
  }
}

function reasonOf(cause: unknown): string {
  const { code, message } = (cause ?? {}) as { code?: string; message?: string }
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return 'User code took more memory than workers.heapBytesMax.'
  return `The worker thread ended: ${message ?? 'without an error'}`
}

function moduleError({ message, code, remedy }: WireError): MillraceError {
  if (code === 'PIPELINE_INVALID') return new MillraceError(code, message, remedy === undefined ? {} : { remedy })
  return new MillraceError('MODULE_INVALID', `The module cannot be loaded: ${message}`)
}

/** Threads load plain JavaScript: beside this file in the package, in dist/ when this runs from its source. */
function workerFile(): string {
  const beside = fileURLToPath(new URL('./worker.js', import.meta.url))
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/workers/worker.js', import.meta.url))
}
