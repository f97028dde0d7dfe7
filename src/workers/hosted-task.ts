import { resourceLimits } from 'node:worker_threads'
import { BodyReader } from '../log/bodies.js'
import {
  type CellKey,
  type ChannelId,
  type ChannelMessage,
  type KeyedStageTask,
  type NodeId,
  openKeyedTask,
  openSourceTask,
  type PipelinePlan,
  packState,
  type SourceStageTask,
  type StageBarrier,
  type StoredCell,
  stagesOf,
  type TaskHost,
  type TimerPage,
  type TimerRequest,
  unpackState,
} from '../operators/task/index.js'
import { freeBuffers } from './free-buffers.js'
import type {
  ChannelEnd,
  ChannelStart,
  FromWorker,
  Handover,
  OpenTaskOptions,
  TaskAddress,
  TaskWork,
} from './protocol.js'
import { TaskRows } from './rows/task-rows.js'

/** Share of the heap that the state of all tasks of a thread may take. */
const stateHeapShare = 1 / 4
/** A task that has run for so long without a pause lets the others of its thread have their turn. */
export const turnMs = 50
/** Sequence numbers that a source may be ahead of another one of its pipeline that has something to read. */
const leadMax = 2048
/** Records between two looks at where the others are. */
const alignRecords = 32
/** Records between two looks at the clock. */
const turnRecords = 16
/** Longest time of a timer of the platform. */
const timeoutMsMax = 2 ** 31 - 1
/** Rows of one message between tasks, at most. */
const messageRowsMax = 512

/** What a task needs of its thread. */
export interface TaskThread {
  readonly say: (message: FromWorker, transfer?: ArrayBuffer[]) => void
  /** This task's code runs from now on. */
  readonly enter: (task: HostedTask) => void
  /** No user code runs, but for what goes on from a promise that a task awaits. */
  readonly leave: () => void
  readonly mark: (task: HostedTask, node: NodeId, sequence: number) => void
  readonly pause: (task: HostedTask, node: NodeId, sequence: number) => void
  /** What fails outside of the call that it comes from is known as that call's. */
  readonly traced: <Result>(task: HostedTask, node: NodeId, sequence: number, run: () => Result) => Result
  /** There is something to do for it. */
  readonly ready: (task: HostedTask) => void
  /** Resolves when no source of the task's pipeline is behind a sequence number any more; undefined where none is. */
  readonly align: (task: HostedTask, sequence: number) => Promise<void> | undefined
  /** The task holds others back less than before, or no more. */
  readonly moved: () => void
  readonly fail: (task: HostedTask, error: unknown) => void
  readonly send: (to: TaskAddress, channel: ChannelId, message: ChannelMessage) => void
  readonly credit: (to: TaskAddress, channel: ChannelId, rows: number) => void
  /** Tasks of the thread: all, and those of one pipeline. */
  readonly countTasks: (label: string) => { readonly all: number; readonly ofPipeline: number }
}

type Job = () => Promise<void> | undefined

/** A channel out of the task: how many rows it may still send, and who waits until it may send more. */
interface Outlet {
  readonly end: ChannelEnd
  credit: number
  waiting: (() => void)[]
}

/** A channel into the task. */
interface Inlet {
  /** undefined until the main thread has said that the channel is there. */
  from: TaskAddress | undefined
  /** What came before it may be given to the task. */
  readonly held: ChannelMessage[]
}

/** A task with what waits for it: jobs run strictly one after the other. */
export class HostedTask {
  readonly number: number
  readonly options: OpenTaskOptions
  isClosed = false
  /** Whether it waits in the thread's queue, or for a promise of its own. */
  isQueued = false
  readonly #thread: TaskThread
  readonly #rows: TaskRows
  /** Knows the shapes of the source's rows. */
  readonly #bodies = new BodyReader()
  readonly #jobs: Job[] = []
  readonly #fetches = new Map<number, (found: never) => void>()
  readonly #outlets = new Map<ChannelId, Outlet>()
  readonly #exits = new Map<NodeId, readonly Outlet[]>()
  readonly #inlets = new Map<ChannelId, Inlet>()
  #task: SourceStageTask | KeyedStageTask | undefined
  #request = 0
  /** What it said of timers that wait since the last barrier. */
  #said: { readonly isBehind: boolean } | undefined
  /**
   * Of a run that goes on where timers waited: a task that its sources' event time reaches again may fire them with nothing read, so
   * that nobody else would ask for the barrier that commits what they make.
   */
  #asksForFirst = true
  /** There is a job that fires more of them. */
  #goesOn = false
  /** The barrier that the main thread has told of: what comes by channels is held before one that it has not. */
  #announced = 0
  #channelsOpen = 0
  /** Time of the thread since the task said so last. */
  #seconds = 0
  /** When it began to run without a pause. */
  #since = 0
  #records = 0
  /** Handovers that are not worked off, and how far it is in them. */
  #handovers = 0
  #reached = 0
  #sinceAligned = 0
  /** What it waits for of other tasks and of the store. */
  #blocks = 0
  #timer: { readonly at: number; readonly handle: NodeJS.Timeout } | undefined

  constructor(number: number, options: OpenTaskOptions, plan: () => Promise<PipelinePlan>, thread: TaskThread) {
    this.number = number
    this.options = options
    this.#thread = thread
    this.#rows = new TaskRows(options.rows, options.parking?.places)
    for (const { node, channels } of options.exits) {
      const outlets = channels.map((end): Outlet => ({ end, credit: options.creditRows, waiting: [] }))
      for (const outlet of outlets) this.#outlets.set(outlet.end.channel, outlet)
      this.#exits.set(node, outlets)
    }
    this.do(async () => {
      this.#task = this.#open(await plan())
      await this.#task.start()
      await this.#retry()
    })
  }

  #open(plan: PipelinePlan): SourceStageTask | KeyedStageTask {
    const {
      stage,
      index,
      tasks,
      hashKeyName,
      sinkKeys,
      restored,
      isEnded,
      until,
      holdsTime,
      isNew,
      timersMax,
      effectBytesMax,
      firing,
      creditRows,
      parking,
    } = this.options
    const stages = stagesOf(plan.nodes)
    const open = stages.stages[stage]?.kind === 'source' ? openSourceTask : openKeyedTask
    return open({
      plan,
      stages,
      stage,
      task: index,
      tasksOf: (of) => tasks[of] as number,
      hashKeyName,
      bodies: this.#bodies,
      sinkKeys,
      restored,
      isEnded,
      until,
      holdsTime,
      isNew,
      bounds: {
        stateBytesMax: () => this.#stateBytesMax(),
        timersMax,
        messageRowsMax: Math.min(messageRowsMax, creditRows),
        effectBytesMax,
        firing,
      },
      host: this.#host(),
      parking,
    })
  }

  async #retry(): Promise<void> {
    const { parking } = this.options
    if (!parking?.isCareful) return
    if (parking.retries.length > 0) await this.#task?.retry(parking.retries)
    // What failed at the start is to be committed too.
    this.#thread.say({ kind: 'ticked', task: this.number })
  }

  /** The tasks of a pipeline share its bound, and all tasks of the thread what its heap has for state. */
  #stateBytesMax(): number {
    const { label, stateBytesMax } = this.options
    const { all, ofPipeline } = this.#thread.countTasks(label)
    const heap = (resourceLimits.maxOldGenerationSizeMb ?? 512) * 2 ** 20
    return Math.min(stateBytesMax / Math.max(1, ofPipeline), (heap * stateHeapShare) / Math.max(1, all))
  }

  #host(): TaskHost {
    return {
      fetchCells: (cells) => this.#fetchCells(cells),
      fetchTimers: (wanted: TimerRequest) =>
        this.#ask<TimerPage>((request) => ({ kind: 'fetchTimers', task: this.number, request, wanted })),
      send: (exit, task, message) => this.#send(exit, task, message),
      taken: (channel, rows) => {
        const from = this.#inlets.get(channel)?.from
        if (from) this.#thread.credit(from, channel, rows)
      },
      passed: (number, result) => this.#passed(number, result),
      mark: (node, sequence) => {
        if (this.isClosed) throw new Error('The task is closed.')
        this.#thread.mark(this, node, sequence)
      },
      traced: (node, sequence, run) => this.#thread.traced(this, node, sequence, run),
      pause: (node, sequence) => this.#thread.pause(this, node, sequence),
      align: (sequence) => this.#align(sequence),
      turn: () => this.#turn(),
      now: () => Date.now(),
      setTimeout: (run, ms) => {
        const handle = setTimeout(run, Math.min(ms, timeoutMsMax))
        return { cancel: () => clearTimeout(handle) }
      },
      pack: packState,
      unpack: unpackState,
    }
  }

  /** Something to do, behind what there is already. */
  do(job: Job): void {
    if (this.isClosed) return
    this.#jobs.push(job)
    if (this.isQueued) return
    this.isQueued = true
    this.#thread.ready(this)
  }

  /** Does the next thing. The task comes back into the queue when that is done and there is more. */
  run(): void {
    const job = this.#jobs.shift()
    if (!job || this.isClosed) {
      this.isQueued = false
      return
    }
    this.#thread.enter(this)
    this.#since = performance.now()
    let pending: Promise<void> | undefined
    try {
      pending = job()
    } catch (error) {
      this.#thread.leave()
      this.#thread.fail(this, error)
      return
    }
    this.#thread.leave()
    if (!pending) return this.#done()
    pending.then(
      () => {
        this.#thread.leave()
        this.#done()
      },
      (error: unknown) => {
        this.#thread.leave()
        this.#thread.fail(this, error)
      },
    )
  }

  #done(): void {
    this.#count()
    this.#fireOn()
    this.isQueued = false
    if (this.isClosed) return
    this.#planTick()
    if (this.#jobs.length === 0) return
    this.isQueued = true
    this.#thread.ready(this)
  }

  /** Timers that wait: for a barrier, which is asked for, or since one has passed for their turn behind the jobs that there are. */
  #fireOn(): void {
    const task = this.#task
    if (!task || this.isClosed) return
    const { isHeld, isBehind } = task
    if (this.#asksForFirst && task.hasFired) {
      this.#asksForFirst = false
      this.#thread.say({ kind: 'ticked', task: this.number })
    }
    if (isHeld && (this.#said === undefined || this.#said.isBehind !== isBehind)) {
      this.#said = { isBehind }
      this.#thread.say({ kind: 'held', task: this.number, isBehind })
    }
    if (isHeld || !isBehind || this.#goesOn) return
    this.#goesOn = true
    this.do(() => {
      this.#goesOn = false
      return task.isBehind && !task.isHeld ? task.goOn() : undefined
    })
  }

  #count(): void {
    const now = performance.now()
    this.#seconds += (now - this.#since) / 1000
    this.#since = now
  }

  /** What the task did since it was asked last. */
  work(): TaskWork {
    this.#count()
    const seconds = this.#seconds
    this.#seconds = 0
    return { counters: (this.#task as SourceStageTask).counters(), seconds }
  }

  // What the main thread says.

  chunks({ buffers, lengths, isKept, from, to, shapes }: Handover): void {
    if (this.#handovers++ === 0) this.#reached = from
    this.do(async () => {
      this.#bodies.learn(shapes)
      const [packed] = buffers
      const isPacked = buffers.length < lengths.length
      let at = 0
      for (const [i, length] of lengths.entries()) {
        const chunk = isPacked
          ? Buffer.from(packed as ArrayBuffer, at, length)
          : Buffer.from(buffers[i] as ArrayBuffer, 0, length)
        await this.#source.process(chunk, from, to)
        if (this.isClosed) return
        at += length
      }
      if (isKept) freeBuffers(buffers)
      const buffer = isKept ? undefined : (packed as ArrayBuffer)
      this.#handovers--
      this.#thread.moved()
      this.#thread.say({ kind: 'done', task: this.number, buffer, ...this.work() }, buffer && [buffer])
    })
  }

  idle(): void {
    this.do(() => this.#source.idle())
  }

  end(): void {
    this.do(() => this.#source.end())
  }

  /** Source tasks give it at once. Keyed ones take it by their channels, or here when they have none. */
  barrier(number: number, isLast: boolean): void {
    this.#announced = number
    if (this.#channelsOpen === 0) {
      this.do(() => {
        this.#source.barrier(number, isLast)
        return undefined
      })
      return
    }
    for (const channel of this.#inlets.keys()) this.#release(channel)
  }

  channels(opened: readonly ChannelStart[], closed: readonly ChannelId[]): void {
    for (const { channel, entry, from } of opened) {
      this.do(() => {
        this.#keyed.open(channel, entry)
        return undefined
      })
      this.#inlet(channel).from = from
      this.#channelsOpen++
      this.#release(channel)
    }
    for (const channel of closed) {
      this.#inlets.delete(channel)
      this.#channelsOpen--
      this.do(() => this.#keyed.close(channel))
    }
  }

  committed(number: number): void {
    this.#task?.committed(number)
  }

  found(request: number, found: unknown): void {
    const resolve = this.#fetches.get(request) as ((found: unknown) => void) | undefined
    this.#fetches.delete(request)
    resolve?.(found)
  }

  // What other tasks say.

  receive(channel: ChannelId, message: ChannelMessage): void {
    if (this.isClosed) return
    const inlet = this.#inlet(channel)
    if (inlet.held.length > 0 || !this.#mayTake(inlet, message)) inlet.held.push(message)
    else this.#take(channel, message)
  }

  #mayTake({ from }: Inlet, message: ChannelMessage): boolean {
    return from !== undefined && (message.kind !== 'barrier' || message.number <= this.#announced)
  }

  #take(channel: ChannelId, message: ChannelMessage): void {
    this.do(() => this.#keyed.receive(channel, message))
  }

  #release(channel: ChannelId): void {
    const inlet = this.#inlet(channel)
    const { held } = inlet
    let i = 0
    for (; i < held.length; i++) {
      const message = held[i] as ChannelMessage
      if (!this.#mayTake(inlet, message)) break
      this.#take(channel, message)
    }
    held.splice(0, i)
  }

  #inlet(channel: ChannelId): Inlet {
    let inlet = this.#inlets.get(channel)
    if (!inlet) {
      inlet = { from: undefined, held: [] }
      this.#inlets.set(channel, inlet)
    }
    return inlet
  }

  credited(channel: ChannelId, rows: number): void {
    const outlet = this.#outlets.get(channel)
    if (!outlet) return
    outlet.credit += rows
    if (outlet.credit <= 0) return
    const { waiting } = outlet
    outlet.waiting = []
    for (const resolve of waiting) resolve()
  }

  close(): void {
    this.isClosed = true
    this.#handovers = 0
    this.#thread.moved()
    this.#jobs.length = 0
    this.#inlets.clear()
    if (this.#timer) clearTimeout(this.#timer.handle)
  }

  // What the task wants.

  #send(exit: NodeId, task: number, message: ChannelMessage): Promise<void> | undefined {
    const outlet = this.#exits.get(exit)?.[task] as Outlet
    this.#thread.send(outlet.end.to, outlet.end.channel, message)
    if (message.kind !== 'rows') return undefined
    outlet.credit -= message.rows.length
    if (outlet.credit > 0) return undefined
    return this.#blocked(new Promise<void>((resolve) => outlet.waiting.push(resolve)))
  }

  async #fetchCells(cells: readonly CellKey[]): Promise<readonly (StoredCell | undefined)[]> {
    const keys = this.#rows.wanted(cells)
    const values = await this.#ask<readonly (Uint8Array | undefined)[]>(
      (request) => ({ kind: 'fetchCells', task: this.number, request, keys }),
      [keys.buffer],
    )
    return this.#rows.found(values)
  }

  #ask<Found>(message: (request: number) => FromWorker, transfer: ArrayBuffer[] = []): Promise<Found> {
    const request = ++this.#request
    this.#thread.say(message(request), transfer)
    return this.#blocked(
      new Promise<Found>((resolve) => {
        this.#fetches.set(request, resolve as (found: never) => void)
      }),
    )
  }

  /** As `#waits`; others need not wait for it meanwhile. */
  #blocked<T>(promise: Promise<T>): Promise<T> {
    this.#blocks++
    this.#thread.moved()
    const freed = promise.finally(() => this.#blocks--)
    return this.#waits(freed)
  }

  /** Whether it has records to read from before a sequence number, and can. */
  isBehind(sequence: number): boolean {
    return this.#handovers > 0 && this.#blocks === 0 && this.#reached < sequence - leadMax
  }

  /**
   * The shards of a pipeline are read about in the order in which their records were written, as they were while it kept up: what
   * belongs together in time does not wait for long in the state of joins and windows, and no shard is late.
   */
  #align(sequence: number): Promise<void> | undefined {
    if (++this.#sinceAligned < alignRecords) return undefined
    this.#sinceAligned = 0
    this.#reached = sequence
    this.#thread.moved()
    const others = this.#thread.align(this, sequence)
    return others && this.#waits(others)
  }

  /** While it waits for others no user code runs, and no time counts. */
  async #waits<T>(promise: Promise<T>): Promise<T> {
    this.#thread.leave()
    this.#count()
    const result = await promise
    this.#since = performance.now()
    if (!this.isClosed) this.#thread.enter(this)
    return result
  }

  #turn(): Promise<void> | undefined {
    if (++this.#records % turnRecords !== 0) return undefined
    if (performance.now() - this.#since < turnMs) return undefined
    return this.#waits(new Promise((resolve) => setImmediate(resolve)))
  }

  #passed(number: number, result: StageBarrier): void {
    this.#said = undefined
    this.#asksForFirst = false
    const packed = this.#rows.barrier(result)
    const message = { kind: 'barrier', task: this.number, number, result: packed, ...this.work() } as const
    const { rows, parked } = packed
    this.#thread.say(message, parked ? [rows.buffer, parked.buffer] : [rows.buffer])
  }

  /** Has timers of processing time fire when the first of them is due. */
  #planTick(): void {
    const at = this.#task?.nextTick ?? Number.POSITIVE_INFINITY
    if (at === this.#timer?.at) return
    if (this.#timer) clearTimeout(this.#timer.handle)
    this.#timer = undefined
    if (at === Number.POSITIVE_INFINITY) return
    const ms = Math.min(timeoutMsMax, Math.max(0, at - Date.now()))
    this.#timer = { at, handle: setTimeout(() => this.#tick(), ms) }
  }

  #tick(): void {
    this.#timer = undefined
    this.do(async () => {
      await this.#task?.tick()
      this.#thread.say({ kind: 'ticked', task: this.number })
    })
  }

  get #source(): SourceStageTask {
    return this.#task as SourceStageTask
  }

  get #keyed(): KeyedStageTask {
    return this.#task as KeyedStageTask
  }
}
