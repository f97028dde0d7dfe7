/** The entry of a worker thread: one long-running call, which serves its port until it is told to stop. */
import { basename } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type MessagePort, resourceLimits } from 'node:worker_threads'
import { addExtension, Packr } from 'msgpackr'
import { BodyReader } from '../log/bodies.js'
import { describePlan, type Plan, planOf } from '../operators/index.js'
import { type CellKey, PackedMap, StepError, stackOf, Task } from '../operators/task.js'
import { describingTask, type FromWorker, type ToWorker, Trace, type WireError, wireError } from './protocol.js'
import { surround } from './surroundings.js'

export interface ServeOptions {
  readonly port: MessagePort
  readonly trace: SharedArrayBuffer
}

const packr = new Packr({ useRecords: false, moreTypes: true, structuredClone: false })
/** A Map is extension 77; MessagePack's own maps are plain objects. */
addExtension({
  Class: PackedMap,
  type: 77,
  write: (map: PackedMap) => map.entries,
  read: (entries: [unknown, unknown][]) => new Map(entries),
})

/** Share of the heap that the state of all tasks of a thread may take. */
const stateHeapShare = 1 / 4
/** A task that has run for so long without a pause lets the others of its thread have their turn. */
const turnMs = 50
/** Records between two looks at the clock. */
const turnRecords = 16

/** Resolves when the main thread says stop. */
export function serve({ port, trace }: ServeOptions): Promise<void> {
  return new Promise((resolve) => {
    const worker = new WorkerSide(port, new Trace(trace))
    port.on('message', (message: ToWorker) => {
      if (message.kind !== 'stop') return worker.take(message)
      port.close()
      resolve()
    })
  })
}

/** A task with what waits for it: chunks and barriers run strictly one after the other. */
interface OpenTask {
  readonly label: string
  readonly file: string
  queue: Promise<void>
  isClosed: boolean
  readonly fetches: Map<number, (values: readonly (Buffer | undefined)[]) => void>
  readonly bodies: BodyReader
  task: Task | undefined
}

class WorkerSide {
  readonly #port: MessagePort
  readonly #trace: Trace
  readonly #tasks = new Map<number, OpenTask>()
  /** Tasks at a promise of user code, with the step and the record. */
  readonly #awaiting = new Map<number, { readonly step: number; readonly sequence: number }>()
  #request = 0
  /** Whose code runs, for what it prints. */
  #label = 'module'

  constructor(port: MessagePort, trace: Trace) {
    this.#port = port
    this.#trace = trace
    surround({
      onText: (level, text) => this.#say({ kind: 'log', label: this.#label, level, text }),
      onThrown: (error) => this.#thrown(error),
    })
  }

  #say(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer)
  }

  take(message: Exclude<ToWorker, { kind: 'stop' }>): void {
    switch (message.kind) {
      case 'ping':
        return this.#trace.answer()
      case 'describe':
        void this.#describe(message.request, message.file)
        return
      case 'open':
        return this.#open(message)
      case 'chunks':
        return this.#queue(message.task, (open) => this.#chunks(open, message))
      case 'barrier':
        return this.#queue(message.task, async (open) => {
          this.#enter(message.task, open)
          const result = (open.task as Task).barrier(message.number)
          this.#say({ kind: 'barrier', task: message.task, number: message.number, result })
        })
      case 'committed':
        this.#tasks.get(message.task)?.task?.committed(message.number)
        return
      case 'cells': {
        const open = this.#tasks.get(message.task)
        const resolve = open?.fetches.get(message.request)
        open?.fetches.delete(message.request)
        resolve?.(message.values.map((value) => value && Buffer.from(value.buffer, value.byteOffset, value.length)))
        return
      }
      case 'close': {
        const open = this.#tasks.get(message.task)
        if (open) open.isClosed = true
        this.#forget(message.task)
      }
    }
  }

  #forget(number: number): void {
    this.#tasks.delete(number)
    this.#awaiting.delete(number)
  }

  /** No user code runs, but for what goes on from a promise that a task awaits. */
  #leave(): void {
    this.#trace.leave()
    for (const [number, { step, sequence }] of this.#awaiting) this.#trace.await(number, step, sequence)
  }

  /** Fails the tasks of the module that the stack names; an error without one, those of the pipeline that ran last. */
  #thrown(error: unknown): void {
    const stack = stackOf(error) ?? ''
    const isOurs = stack.includes(ownFile)
    const tasks = [...this.#tasks]
    const named = tasks.filter(([, open]) => stack.includes(basename(open.file)))
    const blamed = named.length > 0 || isOurs ? named : tasks.filter(([, open]) => open.label === this.#label)
    if (blamed.length === 0 && isOurs) throw error
    const wire = wireError(error)
    const message = `Outside of any step, from a timer or a promise that nobody awaited: ${wire.message}`
    if (blamed.length === 0) this.#say({ kind: 'log', label: 'module', level: 'error', text: message })
    for (const [number, open] of blamed) this.#fail(number, open, { ...wire, message }, undefined)
  }

  /** Nothing of a task that failed may go on: the main thread discards it and begins again from the last commit. */
  #fail(task: number, open: OpenTask, error: WireError, place: StepError | undefined): void {
    if (open.isClosed) return
    open.isClosed = true
    this.#forget(task)
    this.#say({ kind: 'failed', task, error, step: place?.step, sequence: place?.sequence })
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

  #open(message: Extract<ToWorker, { kind: 'open' }>): void {
    const { task: number, file, label, hashKeyName, sinkKeys, stateBytesMax } = message
    const open: OpenTask = {
      label,
      file,
      queue: Promise.resolve(),
      isClosed: false,
      fetches: new Map(),
      bodies: new BodyReader(),
      task: undefined,
    }
    this.#tasks.set(number, open)
    this.#queue(number, async () => {
      this.#enter(number, open)
      const plan = await load(file)
      open.task = new Task({
        plan,
        hashKeyName,
        bodies: open.bodies,
        sinkKeys,
        stateBytesMax: () => this.#stateBytesMax(label, stateBytesMax),
        pack: (value) => packr.pack(value),
        unpack: (bytes) => packr.unpack(bytes) as unknown,
        fetch: (cells) => this.#fetch(number, open, cells),
        mark: (step, sequence) => {
          if (open.isClosed) throw new Error('The task is closed.')
          if (this.#awaiting.size > 0) this.#awaiting.delete(number)
          this.#trace.mark(number, step, sequence)
        },
        pause: (step, sequence) => {
          this.#awaiting.set(number, { step, sequence })
          this.#leave()
        },
        turn: this.#turns(number, open),
      })
    })
  }

  /** The tasks of a pipeline share its bound, and all tasks of the thread what its heap has for state. */
  #stateBytesMax(label: string, stateBytesMax: number): number {
    let ofPipeline = 0
    for (const open of this.#tasks.values()) if (open.label === label) ofPipeline++
    const heap = (resourceLimits.maxOldGenerationSizeMb ?? 512) * 2 ** 20
    return Math.min(stateBytesMax / Math.max(1, ofPipeline), (heap * stateHeapShare) / Math.max(1, this.#tasks.size))
  }

  async #fetch(task: number, open: OpenTask, cells: readonly CellKey[]): Promise<readonly (Buffer | undefined)[]> {
    const request = ++this.#request
    // While this waits for the main thread no user code runs.
    this.#leave()
    const values = await new Promise<readonly (Buffer | undefined)[]>((resolve) => {
      open.fetches.set(request, resolve)
      this.#say({ kind: 'fetch', task, request, cells })
    })
    this.#enter(task, open)
    return values
  }

  #turns(number: number, open: OpenTask): () => Promise<void> | undefined {
    let records = 0
    let began = performance.now()
    return () => {
      if (++records % turnRecords !== 0) return undefined
      const now = performance.now()
      if (now - began < turnMs) return undefined
      this.#leave()
      return new Promise((resolve) => {
        setImmediate(() => {
          began = performance.now()
          this.#enter(number, open)
          resolve()
        })
      })
    }
  }

  #queue(number: number, run: (open: OpenTask) => Promise<void>): void {
    const open = this.#tasks.get(number)
    if (!open) return
    open.queue = open.queue.then(async () => {
      if (open.isClosed) return
      try {
        await run(open)
      } catch (error) {
        const place = error instanceof StepError ? error : undefined
        this.#fail(number, open, wireError(place ? place.cause : error), place)
      } finally {
        this.#leave()
      }
    })
  }

  async #chunks(open: OpenTask, message: Extract<ToWorker, { kind: 'chunks' }>): Promise<void> {
    const began = performance.now()
    const task = open.task as Task
    open.bodies.learn(message.shapes)
    this.#enter(message.task, open)
    let at = 0
    for (const length of message.lengths) {
      await task.process(Buffer.from(message.buffer, at, length), message.from)
      if (open.isClosed) return
      at += length
    }
    const rowsIn = [...task.rowsIn]
    task.rowsIn.fill(0)
    this.#say(
      { kind: 'done', task: message.task, buffer: message.buffer, rowsIn, seconds: (performance.now() - began) / 1000 },
      [message.buffer],
    )
  }

  #enter(number: number, open: OpenTask): void {
    this.#trace.enter(number)
    this.#label = open.label
  }
}

const ownFile = fileURLToPath(import.meta.url)

async function load(file: string): Promise<Plan> {
  const module = (await import(pathToFileURL(file).href)) as { default?: unknown }
  return planOf(module.default)
}
