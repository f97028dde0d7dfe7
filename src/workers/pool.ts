import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import type { Shape } from '../log/bodies.js'
import type { PlanDescription } from '../operators/index.js'
import type { BarrierResult, CellKey, KeySchema } from '../operators/task.js'
import { type Logger, MillraceError } from '../runtime/index.js'
import { describingTask, type FromWorker, type ToWorker, Trace, traceBytes, type WireError } from './protocol.js'

export interface PoolOptions {
  readonly threads: number
  readonly heapBytesMax: number
  /** A thread that gets to no other record and to no message for so long is ended. */
  readonly stepTimeoutMs: number
  readonly logger: Logger
}

/** Where in user code something happened. */
export interface Place {
  readonly step: number | undefined
  readonly sequence: number | undefined
}

/** What a task hears of its worker. */
export interface TaskListener {
  done(buffer: ArrayBuffer, rowsIn: readonly number[], seconds: number): void
  barrier(number: number, result: BarrierResult): void
  fetch(cells: readonly CellKey[]): Promise<readonly (Buffer | undefined)[]>
  /** A user function threw. */
  failed(error: WireError, place: Place): void
  /** The thread is gone. `isCulprit`: this task's code was running. */
  lost(error: MillraceError, place: Place, isCulprit: boolean): void
}

export interface OpenTaskOptions {
  readonly file: string
  readonly label: string
  readonly hashKeyName: string | undefined
  readonly sinkKeys: Readonly<Record<number, KeySchema>>
  readonly stateBytesMax: number
}

/** A task in a worker, as the main thread holds it. */
export interface TaskHandle {
  /** `shapes` are those of the source's rows that the task does not know yet. */
  send(buffer: ArrayBuffer, lengths: readonly number[], from: number, shapes: readonly Shape[]): void
  barrier(number: number): void
  committed(number: number): void
  close(): void
}

const watchMs = 100
/** A module may wait at its top level for so many step time-outs: a thread that does other work meanwhile is slow, not stuck. */
const loadTimeouts = 3

interface Describing {
  /** Time in which the thread was well and the module still not loaded. */
  waitedMs: number
  readonly resolve: (plan: PlanDescription) => void
  readonly reject: (error: MillraceError) => void
}

/** One thread with its port. */
class Thread {
  readonly trace = new Trace(new SharedArrayBuffer(traceBytes))
  readonly port: MessagePort
  readonly tasks = new Map<number, TaskListener>()
  readonly describing = new Map<number, Describing>()
  readonly #abort = new AbortController()
  readonly ended: Promise<void>
  timeout: string | undefined
  #life = -1
  #pings = 0
  #watched = performance.now()
  #silentMs = 0

  constructor(
    pool: Piscina,
    onMessage: (thread: Thread, message: FromWorker) => void,
    onEnd: (thread: Thread, error: unknown) => void,
  ) {
    const { port1, port2 } = new MessageChannel()
    this.port = port1
    port1.on('message', (message: FromWorker) => onMessage(this, message))
    this.ended = pool
      .run(
        { port: port2, trace: this.trace.buffer },
        { name: 'serve', transferList: [port2], signal: this.#abort.signal },
      )
      .then(
        () => onEnd(this, undefined),
        (error: unknown) => onEnd(this, error),
      )
  }

  say(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.port.postMessage(message, transfer)
  }

  /** Ends the thread when it hangs: it answers no ping, and its records do not move on either. */
  watch(now: number, timeoutMs: number): void {
    const { life, answered } = this.trace.read()
    const isAlive = answered === this.#pings
    // What was spent while this process itself stood still does not count.
    const passedMs = Math.min(now - this.#watched, 2 * watchMs)
    this.#watched = now
    if (isAlive) {
      this.#pings++
      this.say({ kind: 'ping' })
      this.#silentMs = 0
    } else if (life !== this.#life) this.#silentMs = 0
    // A thread that has answered nothing yet is still starting.
    else if (answered > 0) this.#silentMs += passedMs
    this.#life = life
    if (this.#silentMs > timeoutMs && this.timeout === undefined) {
      this.timeout = `User code ran for more than ${timeoutMs} ms (pipelines.stepTimeoutMs) on one record.`
      this.#abort.abort()
    }
    // A thread that hangs is ended, which refuses its modules; this is for a module that waits for what never comes.
    if (isAlive) this.#watchModules(passedMs, timeoutMs)
  }

  #watchModules(passedMs: number, timeoutMs: number): void {
    for (const [request, describing] of this.describing) {
      describing.waitedMs += passedMs
      if (describing.waitedMs <= timeoutMs * loadTimeouts) continue
      this.describing.delete(request)
      const why = `The module did not load within ${loadTimeouts} times ${timeoutMs} ms (pipelines.stepTimeoutMs).`
      describing.reject(new MillraceError('MODULE_INVALID', why))
    }
  }

  abort(): void {
    this.#abort.abort()
  }
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

  /** Opens a task in the thread that has the fewest. */
  open(options: OpenTaskOptions, listener: TaskListener): TaskHandle {
    const task = ++this.#task
    const thread = this.#leastLoaded()
    thread.tasks.set(task, listener)
    thread.say({ kind: 'open', task, ...options })
    return {
      send: (buffer, lengths, from, shapes) =>
        thread.say({ kind: 'chunks', task, buffer, lengths, from, shapes }, [buffer]),
      barrier: (number) => thread.say({ kind: 'barrier', task, number }),
      committed: (number) => thread.say({ kind: 'committed', task, number }),
      close: () => {
        thread.tasks.delete(task)
        thread.say({ kind: 'close', task })
      },
    }
  }

  #leastLoaded(): Thread {
    if (!this.#piscina) {
      if (this.#isClosing) throw new MillraceError('NOT_READY', 'The daemon is stopping.')
      this.#open()
    }
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
    }
    const listener = thread.tasks.get(message.task)
    if (!listener) return
    switch (message.kind) {
      case 'done':
        return listener.done(message.buffer, message.rowsIn, message.seconds)
      case 'barrier':
        return listener.barrier(message.number, message.result)
      case 'fetch':
        listener.fetch(message.cells).then(
          (values) => thread.say({ kind: 'cells', task: message.task, request: message.request, values }),
          // The listener has failed its run, or its store is gone.
          () => {},
        )
        return
      case 'failed':
        thread.tasks.delete(message.task)
        return listener.failed(message.error, { step: message.step, sequence: message.sequence })
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
    const { isBusy, task, step, sequence } = thread.trace.read()
    const place: Place = { step: step < 0 ? undefined : step, sequence: sequence === 0 ? undefined : sequence }
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
