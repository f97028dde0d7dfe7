import type { MessagePort } from 'node:worker_threads'
import type { Shape } from '../log/bodies.js'
import type { PlanDescription, StateQuestion } from '../operators/index.js'
import type {
  ChannelId,
  FiringBounds,
  NodeId,
  ParkedQueue,
  ParkingOptions,
  ParkPlace,
  StageId,
  StageTaskOptions,
  TableKeys,
  TaskCounters,
  TimerPage,
  TimerRequest,
} from '../operators/task/index.js'
import { type ParkAt, stackOf, textOf } from '../operators/task/index.js'
import type { PackedRows } from './rows/row-buffer.js'
import type { PackedBarrier, RowsOfPipeline } from './rows/task-rows.js'

/** Where a task runs. Numbers of tasks and threads are never used twice. */
export interface TaskAddress {
  readonly thread: number
  readonly task: number
}

/** A channel as its sender knows it. */
export interface ChannelEnd {
  readonly channel: ChannelId
  readonly to: TaskAddress
}

/** A channel as its receiver knows it. */
export interface ChannelStart {
  readonly channel: ChannelId
  /** The keyBy node that its rows come through. */
  readonly entry: NodeId
  readonly from: TaskAddress
}

/** The channels of a task to the tasks of the stage that a keyBy node leads to, in their order. */
export interface Exit {
  readonly node: NodeId
  readonly channels: readonly ChannelEnd[]
}

/** What a worker must know to run a task. */
export interface OpenTaskOptions {
  readonly file: string
  /** The pipeline's name. */
  readonly label: string
  readonly stage: StageId
  /** Its number among the tasks of a keyed stage; 0 in a source stage. */
  readonly index: number
  /** How many tasks each stage has. */
  readonly tasks: readonly number[]
  readonly hashKeyName: string | undefined
  readonly sinkKeys: Readonly<Record<NodeId, TableKeys>>
  readonly restored: StageTaskOptions['restored']
  /** A source task that only holds the event time of a shard which has ended. */
  readonly isEnded: boolean
  /** Source stages of a bounded run: the first sequence number that it takes no more. */
  readonly until: number | undefined
  /** Source stages: event time stands still meanwhile. */
  readonly holdsTime?: boolean
  readonly isNew: boolean
  readonly rows: RowsOfPipeline
  readonly exits: readonly Exit[]
  readonly stateBytesMax: number
  readonly timersMax: number
  /** What one commit may hold, bytes, and how much of it the task's timers may fill. */
  readonly effectBytesMax: number
  readonly firing: FiringBounds
  /** Rows on their way over one channel. */
  readonly creditRows: number
  /** undefined: nothing waits, and the first error ends the run. */
  readonly parking: TaskParking | undefined
}

/** How a task takes what fails. */
export interface TaskParking extends ParkingOptions {
  /** Numbers under which what waits at the places of the stage is stored. */
  readonly places: Readonly<Record<ParkPlace, number>>
  /** What is tried again before anything else. */
  readonly retries: readonly ParkedQueue[]
}

/** What a task did since it said so last. */
export interface TaskWork {
  readonly counters: TaskCounters
  /** Time of the worker thread. */
  readonly seconds: number
}

/** Records for a sink of the user's own. */
export interface SinkRecords {
  readonly ids: readonly string[]
  /** Value and key of each, as MessagePack. */
  readonly bodies: readonly Uint8Array[]
  readonly attempt: number
}

/** The last step of a bridge's messages. */
export interface OpenConverterOptions {
  /** The bridge's name. */
  readonly label: string
  /** The bundled module; undefined: messages are only checked. */
  readonly file: string | undefined
  /** JSON Schema of the values, as JSON. */
  readonly schema: string | undefined
  /** The member of the value that the schema is for; undefined: all of it. */
  readonly member: string | undefined
}

/** Chunks on their way to a source task. */
export interface Handover {
  /** One with all chunks one after the other, or one for each. They are transferred. */
  readonly buffers: readonly ArrayBuffer[]
  readonly lengths: readonly number[]
  /** The worker keeps the buffers and frees them; otherwise the one that there is comes back with `done`. */
  readonly isKept: boolean
  readonly from: number
  /** The first sequence number that is not to be processed; undefined: everything is. */
  readonly to: number | undefined
  /** Shapes of the source's rows that the task does not know yet. */
  readonly shapes: readonly Shape[]
}

/** What the main thread says to a worker. */
export type ToWorker =
  | { readonly kind: 'describe'; readonly request: number; readonly file: string }
  | ({ readonly kind: 'open'; readonly task: number } & OpenTaskOptions)
  | ({ readonly kind: 'chunks'; readonly task: number } & Handover)
  /** A source task has nothing to read for longer than it may hold event time back. */
  | { readonly kind: 'idle'; readonly task: number }
  /** A source task has read everything that there will ever be. */
  | { readonly kind: 'end'; readonly task: number }
  /** Channels of a keyed task that come and go between two barriers. */
  | {
      readonly kind: 'channels'
      readonly task: number
      readonly opened: readonly ChannelStart[]
      readonly closed: readonly ChannelId[]
    }
  /** For source tasks; keyed ones are told that it is coming, so that channels which were opened before it are awaited. */
  | { readonly kind: 'barrier'; readonly task: number; readonly number: number; readonly isLast: boolean }
  | { readonly kind: 'committed'; readonly task: number; readonly number: number }
  | {
      readonly kind: 'cells'
      readonly task: number
      readonly request: number
      /** Rows of cells, in the order in which they were asked for. */
      readonly values: readonly (Uint8Array | undefined)[]
    }
  | { readonly kind: 'timers'; readonly task: number; readonly request: number; readonly page: TimerPage }
  | { readonly kind: 'close'; readonly task: number }
  /** What user code asked with `stateOf`: the value as it is stored, or why there is none. */
  | {
      readonly kind: 'state'
      readonly request: number
      readonly value: Uint8Array | undefined
      readonly error: WireError | undefined
    }
  | {
      readonly kind: 'openSink'
      readonly task: number
      readonly file: string
      readonly label: string
      readonly node: NodeId
    }
  | ({ readonly kind: 'deliver'; readonly task: number; readonly request: number } & SinkRecords)
  | ({ readonly kind: 'openConverter'; readonly task: number } & OpenConverterOptions)
  | {
      readonly kind: 'convert'
      readonly task: number
      readonly request: number
      /** MessageToConvert[], as MessagePack. */
      readonly messages: Uint8Array
    }
  /** The way to another thread. */
  | { readonly kind: 'peer'; readonly thread: number; readonly port: MessagePort }
  /** Answered in the trace, so that a thread that hangs outside of any step is seen too. */
  | { readonly kind: 'ping' }
  | { readonly kind: 'stop' }

/** What a worker says to the main thread. */
export type FromWorker =
  | { readonly kind: 'described'; readonly request: number; readonly plan: PlanDescription }
  | { readonly kind: 'refused'; readonly request: number; readonly error: WireError }
  | ({ readonly kind: 'done'; readonly task: number; readonly buffer: ArrayBuffer | undefined } & TaskWork)
  | ({
      readonly kind: 'barrier'
      readonly task: number
      readonly number: number
      readonly result: PackedBarrier
    } & TaskWork)
  /** Timers of processing time have fired: there is something to commit. */
  | { readonly kind: 'ticked'; readonly task: number }
  /** Timers wait for a barrier; `isBehind`: also some of event time. */
  | { readonly kind: 'held'; readonly task: number; readonly isBehind: boolean }
  | { readonly kind: 'fetchCells'; readonly task: number; readonly request: number; readonly keys: PackedRows }
  | { readonly kind: 'fetchTimers'; readonly task: number; readonly request: number; readonly wanted: TimerRequest }
  | { readonly kind: 'askState'; readonly request: number; readonly question: StateQuestion }
  | {
      readonly kind: 'failed'
      readonly task: number
      readonly error: WireError
      readonly node: NodeId | undefined
      readonly sequence: number | undefined
      readonly parkAt: ParkAt | undefined
    }
  | {
      readonly kind: 'delivered'
      readonly task: number
      readonly request: number
      readonly error: WireError | undefined
    }
  | {
      readonly kind: 'converted'
      readonly task: number
      readonly request: number
      /** ConvertedMessage[], as MessagePack; undefined with an error. */
      readonly messages: Uint8Array | undefined
      readonly error: WireError | undefined
    }
  | {
      readonly kind: 'log'
      readonly label: string
      readonly level: 'debug' | 'info' | 'warn' | 'error'
      readonly text: string
    }

/** An error on its way between threads. */
export interface WireError {
  readonly message: string
  readonly stack: string | undefined
  /** The code and remedy of a MillraceError. */
  readonly code?: string
  readonly remedy?: string
}

export function wireError(thrown: unknown): WireError {
  const { code, remedy } = codeOf(thrown)
  return {
    message: textOf(thrown),
    stack: stackOf(thrown),
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof remedy === 'string' ? { remedy } : {}),
  }
}

/** Only of our own errors: user code's may have any code. */
function codeOf(thrown: unknown): { code?: unknown; remedy?: unknown } {
  try {
    return thrown instanceof Error && thrown.name === 'MillraceError' ? (thrown as { code?: unknown }) : {}
  } catch {
    return {}
  }
}

/**
 * What a worker writes before it runs user code, so that a loop, a crash or an exit names its record: six 32-bit numbers
 * (signs of life, state, task, node, pings answered, nothing), then as doubles the record's sequence number, the bytes
 * outside of the heap, and those in the heap after its last full collection.
 */
export const traceBytes = 48

/** What the thread does: nothing of a user's, a function of a user's, or nothing while a promise of a user's is awaited. */
const idle = 0
const running = 1
const awaiting = 2

export class Trace {
  readonly #words: Int32Array
  readonly #sequence: Float64Array
  readonly #memory: Float64Array

  constructor(readonly buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, 0, 6)
    this.#sequence = new Float64Array(buffer, 24, 1)
    this.#memory = new Float64Array(buffer, 32, 2)
  }

  enter(task: number): void {
    this.#life()
    this.#write(running, task, -1, 0)
  }

  /**
   * Says it all each time: between two records another task of the thread may have run. Only another record is a sign of
   * life: one that makes values without end would otherwise look busy for ever.
   */
  mark(task: number, node: number, sequence: number): void {
    if (this.#sequence[0] !== sequence || this.#words[2] !== task) this.#life()
    this.#write(running, task, node, sequence)
  }

  await(task: number, node: number, sequence: number): void {
    this.#write(awaiting, task, node, sequence)
  }

  leave(): void {
    this.#words[1] = idle
  }

  /** Answers a ping, and says how much memory the thread has. */
  answer(externalBytes: number, heapBytes: number): void {
    this.#memory[0] = externalBytes
    this.#memory[1] = heapBytes
    Atomics.add(this.#words, 4, 1)
  }

  /** As it was said with the last answer. */
  memory(): { readonly externalBytes: number; readonly heapBytes: number } {
    return { externalBytes: this.#memory[0] as number, heapBytes: this.#memory[1] as number }
  }

  #life(): void {
    this.#words[0] = ((this.#words[0] as number) + 1) | 0
  }

  /** Written for each record and step: an atomic store would cost as much as the step. It is read when the thread is gone. */
  #write(state: number, task: number, node: number, sequence: number): void {
    const words = this.#words
    words[1] = state
    words[2] = task
    words[3] = node
    this.#sequence[0] = sequence
  }

  read(): {
    readonly life: number
    readonly answered: number
    /** Whether a user's code runs, or was left at a promise that it goes on from. */
    readonly isBusy: boolean
    readonly task: number
    readonly node: number
    readonly sequence: number
  } {
    return {
      life: Atomics.load(this.#words, 0),
      answered: Atomics.load(this.#words, 4),
      isBusy: Atomics.load(this.#words, 1) !== idle,
      task: this.#words[2] as number,
      node: this.#words[3] as number,
      sequence: this.#sequence[0] as number,
    }
  }
}

/** The task number under which a module is described. */
export const describingTask = -1
