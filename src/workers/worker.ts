/** The entry of a worker thread: one long-running call, which serves its port until it is told to stop. */
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'
import type { MessagePort } from 'node:worker_threads'
import { Packr } from 'msgpackr'
import { describePlan, type Plan, planOf } from '../operators/index.js'
import { StepError, Task } from '../operators/task.js'
import { describingTask, type FromWorker, type ToWorker, Trace, wireError } from './protocol.js'

export interface ServeOptions {
  readonly port: MessagePort
  readonly trace: SharedArrayBuffer
}

const packr = new Packr({ useRecords: false, moreTypes: true, structuredClone: false })

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
  queue: Promise<void>
  isClosed: boolean
  readonly fetches: Map<number, (values: readonly (Buffer | undefined)[]) => void>
  task: Task | undefined
}

class WorkerSide {
  readonly #port: MessagePort
  readonly #trace: Trace
  readonly #tasks = new Map<number, OpenTask>()
  #request = 0
  /** Whose code runs, for what it prints. */
  #label = 'module'

  constructor(port: MessagePort, trace: Trace) {
    this.#port = port
    this.#trace = trace
    for (const level of ['debug', 'info', 'log', 'warn', 'error'] as const) {
      console[level] = (...values: unknown[]) => {
        this.#say({
          kind: 'log',
          label: this.#label,
          level: level === 'log' ? 'info' : level,
          text: format(...values).slice(0, 10_000),
        })
      }
    }
  }

  #say(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer)
  }

  take(message: Exclude<ToWorker, { kind: 'stop' }>): void {
    switch (message.kind) {
      case 'describe':
        void this.#describe(message.request, message.file)
        return
      case 'open':
        return this.#open(message)
      case 'chunks':
        return this.#queue(message.task, (open) => this.#chunks(open, message))
      case 'barrier':
        return this.#queue(message.task, async (open) => {
          const result = this.#enter(message.task, open, () => (open.task as Task).barrier(message.number))
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
        this.#tasks.delete(message.task)
      }
    }
  }

  async #describe(request: number, file: string): Promise<void> {
    this.#trace.enter(describingTask)
    try {
      this.#say({ kind: 'described', request, plan: describePlan(await load(file)) })
    } catch (error) {
      this.#say({ kind: 'refused', request, error: wireError(error) })
    } finally {
      this.#trace.leave()
    }
  }

  #open(message: Extract<ToWorker, { kind: 'open' }>): void {
    const { task: number, file, label, hashKeyName, sinkKeys, stateBytesMax } = message
    const open: OpenTask = { label, queue: Promise.resolve(), isClosed: false, fetches: new Map(), task: undefined }
    this.#tasks.set(number, open)
    this.#queue(number, async () => {
      this.#trace.enter(number)
      this.#label = label
      let plan: Plan
      try {
        plan = await load(file)
      } finally {
        this.#trace.leave()
      }
      open.task = new Task({
        plan,
        hashKeyName,
        sinkKeys,
        stateBytesMax,
        pack: (value) => packr.pack(value),
        unpack: (bytes) => packr.unpack(bytes) as unknown,
        fetch: (cells) => {
          const request = ++this.#request
          // While this waits for the main thread no user code runs.
          this.#trace.leave()
          return new Promise<readonly (Buffer | undefined)[]>((resolve) => {
            open.fetches.set(request, resolve)
            this.#say({ kind: 'fetch', task: number, request, cells })
          }).then((values) => {
            this.#trace.enter(number)
            this.#label = label
            return values
          })
        },
        mark: (step, sequence) => this.#trace.mark(number, step, sequence),
        pause: () => this.#trace.leave(),
      })
    })
  }

  #queue(number: number, run: (open: OpenTask) => Promise<void>): void {
    const open = this.#tasks.get(number)
    if (!open) return
    open.queue = open.queue.then(async () => {
      if (open.isClosed) return
      try {
        await run(open)
      } catch (error) {
        // Nothing of a task that failed may go on: the main thread discards it and begins again from the last commit.
        open.isClosed = true
        this.#tasks.delete(number)
        const place = error instanceof StepError ? error : undefined
        this.#say({
          kind: 'failed',
          task: number,
          error: wireError(place ? place.cause : error),
          step: place?.step,
          sequence: place?.sequence,
        })
      } finally {
        this.#trace.leave()
      }
    })
  }

  async #chunks(open: OpenTask, message: Extract<ToWorker, { kind: 'chunks' }>): Promise<void> {
    const began = performance.now()
    const task = open.task as Task
    this.#trace.enter(message.task)
    this.#label = open.label
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

  #enter<T>(number: number, open: OpenTask, run: () => T): T {
    this.#trace.enter(number)
    this.#label = open.label
    return run()
  }
}

async function load(file: string): Promise<Plan> {
  const module = (await import(pathToFileURL(file).href)) as { default?: unknown }
  return planOf(module.default)
}
