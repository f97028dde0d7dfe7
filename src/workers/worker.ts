/** The entry of a worker thread: one long-running call, which serves its port until it is told to stop. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { basename } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { getHeapStatistics } from 'node:v8'
import type { MessagePort } from 'node:worker_threads'
import { answerStateOf, describePlan, planOf } from '../operators/index.js'
import { type NodeId, type PipelinePlan, StepError, stackOf } from '../operators/task/index.js'
import { Alignment } from './alignment.js'
import { HostedConverter } from './hosted-converter.js'
import { HostedSink, type SinkThread } from './hosted-sink.js'
import { HostedTask, type TaskThread, turnMs } from './hosted-task.js'
import { LiveHeap } from './live-heap.js'
import { Peers } from './peers.js'
import { describingTask, type FromWorker, type ToWorker, Trace, type WireError, wireError } from './protocol.js'
import { StateQuestions } from './state-questions.js'
import { surround } from './surroundings.js'

export interface ServeOptions {
  readonly port: MessagePort
  readonly trace: SharedArrayBuffer
  /** The thread's own number. */
  readonly number: number
}

/** Resolves when the main thread says stop. */
export function serve({ port, trace, number }: ServeOptions): Promise<void> {
  return new Promise((resolve) => {
    const worker = new WorkerSide(port, new Trace(trace), number)
    port.on('message', (message: ToWorker) => {
      if (message.kind !== 'stop') return worker.take(message)
      port.close()
      worker.close()
      resolve()
    })
  })
}

/** A call of user code. */
interface Call {
  readonly task: HostedTask
  readonly node: NodeId
  readonly sequence: number
}

class WorkerSide {
  readonly #port: MessagePort
  readonly #trace: Trace
  readonly #tasks = new Map<number, HostedTask>()
  readonly #sinks = new Map<number, HostedSink>()
  readonly #converters = new Map<number, HostedConverter>()
  readonly #peers: Peers
  readonly #thread: TaskThread
  readonly #heap = new LiveHeap()
  readonly #questions = new StateQuestions((request, question) => this.#say({ kind: 'askState', request, question }))
  /** Tasks that have something to do, in the order in which they came to have it. */
  readonly #ready: HostedTask[] = []
  #isRunning = false
  readonly #alignment = new Alignment(() => this.#tasks.values())
  /** Tasks at a promise of user code, with the node and the record. */
  readonly #awaiting = new Map<number, { readonly node: NodeId; readonly sequence: number }>()
  /** The calls of careful runs, as promises and timers that they leave behind know them. */
  readonly #calls = new AsyncLocalStorage<Call>()
  /** Whose code runs, for what it prints. */
  #label = 'module'

  constructor(port: MessagePort, trace: Trace, number: number) {
    this.#port = port
    this.#trace = trace
    this.#peers = new Peers({
      message: (task, channel, message) => this.#tasks.get(task)?.receive(channel, message),
      credit: (task, channel, rows) => this.#tasks.get(task)?.credited(channel, rows),
    })
    this.#thread = this.#forTasks(number)
    answerStateOf((question) => this.#questions.ask(question))
    surround({
      onText: (level, text) => this.#say({ kind: 'log', label: this.#label, level, text }),
      onThrown: (error) => this.#thrown(error),
    })
  }

  #forTasks(own: number): TaskThread {
    return {
      say: (message, transfer) => this.#say(message, transfer),
      enter: ({ number, options }) => {
        this.#trace.enter(number)
        this.#label = options.label
      },
      leave: () => this.#leave(),
      mark: ({ number }, node, sequence) => {
        if (this.#awaiting.size > 0) this.#awaiting.delete(number)
        this.#trace.mark(number, node, sequence)
      },
      pause: ({ number }, node, sequence) => {
        this.#awaiting.set(number, { node, sequence })
        this.#leave()
      },
      traced: (task, node, sequence, run) => this.#calls.run({ task, node, sequence }, run),
      ready: (task) => {
        this.#ready.push(task)
        if (!this.#isRunning) this.#run()
      },
      align: (task, sequence) => this.#alignment.align(task, sequence),
      moved: () => this.#alignment.moved(),
      fail: (task, error) => {
        const place = error instanceof StepError ? error : undefined
        this.#fail(task, wireError(place ? place.cause : error), place)
      },
      send: ({ thread, task }, channel, message) => {
        if (thread === own) this.#tasks.get(task)?.receive(channel, message)
        else this.#peers.send(thread, task, channel, message)
      },
      credit: ({ thread, task }, channel, rows) => {
        if (thread === own) this.#tasks.get(task)?.credited(channel, rows)
        else this.#peers.credit(thread, task, channel, rows)
      },
      countTasks: (label) => {
        let ofPipeline = 0
        for (const { options } of this.#tasks.values()) if (options.label === label) ofPipeline++
        return { all: this.#tasks.size, ofPipeline }
      },
    }
  }

  #forSinks(): SinkThread {
    return {
      enter: ({ options: { number, label, node } }) => {
        this.#trace.enter(number)
        this.#trace.mark(number, node, 0)
        this.#label = label
      },
      pause: ({ options: { number, node } }) => {
        this.#awaiting.set(number, { node, sequence: 0 })
        this.#leave()
      },
      leave: ({ options: { number } }) => {
        this.#awaiting.delete(number)
        this.#leave()
      },
    }
  }

  async #deliver({ task, request, ...records }: Extract<ToWorker, { kind: 'deliver' }>): Promise<void> {
    try {
      await this.#sinks.get(task)?.deliver(records)
      this.#say({ kind: 'delivered', task, request, error: undefined })
    } catch (error) {
      this.#say({ kind: 'delivered', task, request, error: wireError(error) })
    }
  }

  #openConverter({ task: number, ...options }: Extract<ToWorker, { kind: 'openConverter' }>): void {
    const thread = {
      load: loadModule,
      enter: () => {
        this.#trace.enter(number)
        this.#label = options.label
      },
      mark: (_converter: HostedConverter, sequence: number) => this.#trace.mark(number, 0, sequence),
      leave: () => this.#leave(),
    }
    this.#converters.set(number, new HostedConverter({ number, ...options }, thread))
  }

  async #convert({ task, request, messages }: Extract<ToWorker, { kind: 'convert' }>): Promise<void> {
    const answer = { kind: 'converted', task, request } as const
    try {
      const converted = await this.#converters.get(task)?.convert(messages)
      const transfer = converted ? [converted.buffer as ArrayBuffer] : []
      this.#say({ ...answer, messages: converted, error: undefined }, transfer)
    } catch (error) {
      this.#say({ ...answer, messages: undefined, error: wireError(error) })
    }
  }

  #closeSink(task: number): void {
    void this.#sinks.get(task)?.close()
    this.#sinks.delete(task)
    this.#awaiting.delete(task)
  }

  #say(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer)
  }

  take(message: Exclude<ToWorker, { kind: 'stop' }>): void {
    switch (message.kind) {
      case 'ping':
        return this.#trace.answer(getHeapStatistics().external_memory, this.#heap.bytes)
      case 'peer':
        return this.#peers.add(message.thread, message.port)
      case 'describe':
        void this.#describe(message.request, message.file)
        return
      case 'open': {
        const { kind: _kind, task, ...options } = message
        this.#tasks.set(task, new HostedTask(task, options, () => load(options.file), this.#thread))
        return
      }
      case 'openSink': {
        const { task: number, label, node, file } = message
        this.#sinks.set(number, new HostedSink({ number, label, node }, () => load(file), this.#forSinks()))
        return
      }
      case 'state':
        return this.#questions.answered(message)
      case 'deliver':
        void this.#deliver(message)
        return
      case 'openConverter':
        return this.#openConverter(message)
      case 'convert':
        void this.#convert(message)
        return
    }
    if (message.kind === 'close' && this.#converters.delete(message.task)) return
    if (message.kind === 'close' && this.#sinks.has(message.task)) return this.#closeSink(message.task)
    const task = this.#tasks.get(message.task)
    if (!task) return
    switch (message.kind) {
      case 'chunks':
        return task.chunks(message)
      case 'idle':
        return task.idle()
      case 'end':
        return task.end()
      case 'channels':
        return task.channels(message.opened, message.closed)
      case 'barrier':
        return task.barrier(message.number, message.isLast)
      case 'committed':
        return task.committed(message.number)
      case 'cells':
        return task.found(message.request, message.values)
      case 'timers':
        return task.found(message.request, message.page)
      case 'close':
        return this.#forget(task)
    }
  }

  /** Does what is to be done; after a while the event loop has its turn, for pings and messages. */
  #run(): void {
    this.#isRunning = true
    const began = performance.now()
    for (let task = this.#ready.shift(); task; task = this.#ready.shift()) {
      task.run()
      if (performance.now() - began < turnMs) continue
      setImmediate(() => this.#run())
      return
    }
    this.#isRunning = false
  }

  #forget(task: HostedTask): void {
    task.close()
    this.#tasks.delete(task.number)
    this.#awaiting.delete(task.number)
  }

  /** No user code runs, but for what goes on from a promise that a task awaits. */
  #leave(): void {
    this.#trace.leave()
    for (const [number, { node, sequence }] of this.#awaiting) this.#trace.await(number, node, sequence)
  }

  /**
   * Fails the task whose call left the promise or timer behind, where that is known; else the tasks of the module that the stack
   * names; an error without one, those of the pipeline that ran last.
   */
  #thrown(error: unknown): void {
    const call = this.#calls.getStore()
    if (call) return this.#thrownBy(call, error)
    const stack = stackOf(error) ?? ''
    const isOurs = ownFiles.some((file) => stack.includes(file))
    const tasks = [...this.#tasks.values()]
    const named = tasks.filter(({ options }) => stack.includes(basename(options.file)))
    const blamed = named.length > 0 || isOurs ? named : tasks.filter(({ options }) => options.label === this.#label)
    if (blamed.length === 0 && isOurs) throw error
    const wire = wireError(error)
    const message = `Outside of any step, from a timer or a promise that nobody awaited: ${wire.message}`
    if (blamed.length === 0) this.#say({ kind: 'log', label: 'module', level: 'error', text: message })
    for (const task of blamed) {
      const waits = this.#awaiting.get(task.number)
      // What a task waits for is the likeliest to have thrown it.
      this.#fail(task, { ...wire, message }, waits && new StepError(waits.node, waits.sequence, error))
    }
  }

  #thrownBy({ task, node, sequence }: Call, error: unknown): void {
    const wire = wireError(error)
    const message = `From a timer or a promise that nobody awaited: ${wire.message}`
    // The run of its call is over, by another failure or since what it did has committed.
    if (task.isClosed) this.#say({ kind: 'log', label: task.options.label, level: 'error', text: message })
    else this.#fail(task, { ...wire, message }, new StepError(node, sequence, error))
  }

  /** Nothing of a task that failed may go on: the main thread discards it and begins again from the last commit. */
  #fail(task: HostedTask, error: WireError, place: StepError | undefined): void {
    if (task.isClosed) return
    this.#forget(task)
    this.#say({
      kind: 'failed',
      task: task.number,
      error,
      node: place?.step,
      sequence: place?.sequence,
      parkAt: place?.parkAt,
    })
  }

  async #describe(request: number, file: string): Promise<void> {
    this.#trace.enter(describingTask)
    try {
      this.#say({ kind: 'described', request, plan: describePlan(await load(file)) })
    } catch (error) {
      this.#say({ kind: 'refused', request, error: wireError(error) })
    } finally {
      this.#leave()
    }
  }

  close(): void {
    for (const task of this.#tasks.values()) task.close()
    for (const sink of this.#sinks.values()) void sink.close()
    this.#peers.close()
    this.#heap.close()
  }
}

const ownFiles = ['worker', 'hosted-task', 'hosted-sink', 'peers'].map((name) =>
  fileURLToPath(new URL(`./${name}.js`, import.meta.url)),
)

const loadModule = async (file: string): Promise<object> => (await import(pathToFileURL(file).href)) as object

async function load(file: string): Promise<PipelinePlan> {
  return planOf(((await loadModule(file)) as { default?: unknown }).default)
}
