import type { BodyReader } from '../../log/bodies.js'
import type { TableKeys } from '../../tables/indexes/item-check.js'
import type { SinkOutput } from '../outputs.js'
import type { NodeId, PipelinePlan } from '../plan/nodes.js'
import type { FiringBounds } from './firing-share.js'
import type { KeyRange } from './key-floors.js'
import type { CellName, Row, TimeDomain } from './keyed-operator.js'
import type { ParkedChange, ParkedQueue, ParkingOptions } from './parked.js'
import type { StageId, Stages } from './stages.js'

/** What one task sends to another over a channel. */
export type ChannelMessage =
  /** `keys[i]` is the key of `rows[i]`. */
  | { readonly kind: 'rows'; readonly keys: readonly unknown[]; readonly rows: readonly Row[] }
  /** No row at or before this event time follows on the channel; +Infinity at the end of a bounded run. */
  | { readonly kind: 'watermark'; readonly watermark: number }
  /** Until a watermark or a row follows, the channel holds nothing back. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'barrier'; readonly number: number }

/** Number of a channel into a keyed task, given by whoever opens it. */
export type ChannelId = number

/** Where state and timers of a key lie: the node keeps them, under its name. */
export interface StateKey {
  readonly node: NodeId
  readonly hashHi: number
  readonly hashLo: number
  /** The key's encoding (`encodeKey`); behind keyByPartition in place, the partition key's own bytes. */
  readonly key: Buffer
}

export interface CellKey extends StateKey {
  readonly name: CellName | undefined
}

/** A cell as it is stored. */
export interface StoredCell {
  readonly value: Uint8Array
  /** The version of the step's state that wrote it. */
  readonly version: number
}

/** What a barrier does to a cell. */
export interface CellChange extends CellKey {
  /** undefined: the cell is gone. */
  readonly cell: StoredCell | undefined
}

export interface StoredTimer extends StateKey {
  readonly domain: TimeDomain
  /** Milliseconds since 1970, whole. */
  readonly time: number
  readonly tag: CellName | undefined
}

export interface TimerChange extends StoredTimer {
  /** False: it has fired or was cleared. */
  readonly isSet: boolean
}

/** Asks for committed timers of one node and domain, those of the task's own keys, the earliest ones first. */
export interface TimerRequest {
  readonly node: NodeId
  readonly domain: TimeDomain
  /** No timer before this time; -Infinity for the first ones. */
  readonly from: number
  /** What the page before gave as `next`; undefined for the first page from `from` on. */
  readonly after: unknown
  readonly limit: number
}

export interface TimerPage {
  /** In order of their times. */
  readonly timers: readonly StoredTimer[]
  /** Where the next page goes on, whatever the store takes for it; undefined when there is nothing behind this page. */
  readonly next: unknown
}

export interface NodeWatermark {
  readonly node: NodeId
  readonly watermark: number
  readonly isIdle: boolean
  /** A floor of these keys, behind a merge of shards (see `KeyFloors`). Absent: it is that of all keys. */
  readonly keys?: KeyRange | undefined
}

/** Everything that a barrier takes from a task. */
export interface StageBarrier {
  readonly cells: readonly CellChange[]
  readonly timers: readonly TimerChange[]
  readonly outputs: readonly SinkOutput[]
  /** Restores the task's event time: at a barrier it is the same for all tasks of a keyed stage. Empty if nothing asks for time. */
  readonly watermarks: readonly NodeWatermark[]
  /** Processing time as the task saw it last. */
  readonly now: number
  /** Rows that wait from now on, and rows that wait no more. */
  readonly parked: readonly ParkedChange[]
  /** Timers are due that have not fired: more of them would be too much for one commit. Their step has not reached its time. */
  readonly isBehind: boolean
}

/** What a task counted since it was asked last. */
export interface TaskCounters {
  /** Rows that entered each node, by its id. */
  readonly rowsIn: readonly number[]
  /** What operators counted, such as `late`. */
  readonly events: readonly { readonly node: NodeId; readonly event: string; readonly by: number }[]
}

/** What surrounds a task: the worker thread, or memory in tests. */
export interface TaskHost {
  /** Committed cells, in the order asked; undefined where there is none. */
  readonly fetchCells: (cells: readonly CellKey[]) => Promise<readonly (StoredCell | undefined)[]>
  readonly fetchTimers: (request: TimerRequest) => Promise<TimerPage>
  /**
   * Sends to a task of the stage that the keyBy node leads to. A promise says that the channel has no credit left: it is
   * awaited before the task goes on, and the message is on its way. Barriers, watermarks and idleness need no credit.
   */
  readonly send: (exit: NodeId, task: number, message: ChannelMessage) => Promise<void> | undefined
  /** Rows that came over a channel have been worked off: the sender may have its credit back. */
  readonly taken: (channel: ChannelId, rows: number) => void
  /** A barrier has passed through the task. */
  readonly passed: (barrier: number, result: StageBarrier) => void
  /** Called before user code runs on a row, so that a loop or an exit can be traced to it. */
  readonly mark: (node: NodeId, sequence: number) => void
  /** In careful mode: runs user code so that what it leaves behind, such as a promise that nobody awaits, is known as its own. */
  readonly traced?: <Result>(node: NodeId, sequence: number, run: () => Result) => Result
  /** Called before a promise of user code is awaited: what takes long then does not hold the thread. */
  readonly pause: (node: NodeId, sequence: number) => void
  /** A source has come to a sequence number: lets others of the pipeline that are far behind go first; undefined where none is. */
  readonly align: (sequence: number) => Promise<void> | undefined
  /** Lets the other tasks of the thread have their turn; undefined while this one has not run for long. */
  readonly turn: () => Promise<void> | undefined
  /** Wall time, milliseconds since 1970; read once a batch. */
  readonly now: () => number
  readonly setTimeout: (run: () => void, ms: number) => { cancel(): void }
  /** Packs and unpacks state (see `PackedMap`). */
  readonly pack: (value: unknown) => Buffer
  readonly unpack: (bytes: Uint8Array) => unknown
}

export interface TaskBounds {
  /** State in memory above which clean cells are dropped, bytes; it may change while the task runs. */
  readonly stateBytesMax: () => number
  /** Timers in memory of one node and domain; later ones lie in the store alone. */
  readonly timersMax: number
  /** Rows of one channel message. */
  readonly messageRowsMax: number
  /** What one commit may hold, bytes; absent: as by default. */
  readonly effectBytesMax?: number | undefined
  /** How much timers may make between two barriers; absent: all that they do. */
  readonly firing?: FiringBounds | undefined
}

export interface StageTaskOptions {
  readonly plan: PipelinePlan
  readonly stages: Stages
  readonly stage: StageId
  /** Number of the task within its stage: a keyed one owns the key groups of `groupsOfTask(task, tasks)`. */
  readonly task: number
  /** How many tasks a keyed stage has. */
  readonly tasksOf: (stage: StageId) => number
  /** Source stages of a table: the name of its partition key. */
  readonly hashKeyName: string | undefined
  /** Source stages: knows the shapes of the source's rows before a chunk of them comes; JSON and bytes alone without it. */
  readonly bodies?: BodyReader
  /** The keys of the tables that table sinks write to, and of their indexes, by node. */
  readonly sinkKeys: Readonly<Record<NodeId, TableKeys>>
  /** What the last commit said; a child shard begins with its parents' `inheritedWatermarks`. Absent at the first start. */
  readonly restored?: { readonly watermarks: readonly NodeWatermark[]; readonly now: number } | undefined
  /**
   * Source stages: the shard was read to its end before this task, which only holds its event time (`barrier`'s `isLast`)
   * until the children are there. Absent: it was not.
   */
  readonly isEnded?: boolean | undefined
  /** Source stages of a bounded run: the first sequence number that it takes no more. */
  readonly until?: number | undefined
  /** Source stages: event time stands still, since what is read is in no order of time: the items of a table. */
  readonly holdsTime?: boolean | undefined
  /** Whether the store has no cell and no timer of the task: then nothing is asked of it before something was dropped. */
  readonly isNew: boolean
  readonly bounds: TaskBounds
  readonly host: TaskHost
  /** undefined: nothing waits, and the first error ends the task. */
  readonly parking?: ParkingOptions | undefined
}

/**
 * A task of a stage. All calls that give a promise are made one after the other: the next one when the last one's promise
 * resolved. A call that throws, or whose promise is rejected (StepError where user code is to blame), leaves the task of no
 * more use.
 */
export interface StageTask {
  /** Fetches what must be there before the first row, and tells the channels the restored watermarks. */
  start(): Promise<void>
  /** Tries again what is parked; in careful mode, after `start` and before anything else. */
  retry(queues: readonly ParkedQueue[]): Promise<void>
  /** Fires the timers of processing time that are due by the host's clock. */
  tick(): Promise<void> | undefined
  /** Timers wait for a barrier, since more of them would be too much for one commit. */
  readonly isHeld: boolean
  /** Any timer has fired since the last barrier. */
  readonly hasFired: boolean
  /** Some of event time are due. When they are not held, because a barrier has passed, `goOn` fires as many as may. */
  readonly isBehind: boolean
  goOn(): Promise<void> | undefined
  /** When `tick` has something to do; +Infinity: never. */
  readonly nextTick: number
  /** A barrier has committed. May be called at any time, from between two rows too. */
  committed(barrier: number): void
  counters(): TaskCounters
}

/** Reads one shard of a source. */
export interface SourceStageTask extends StageTask {
  /** Runs the records of a chunk from a sequence number on. The chunk may be used again when the promise resolved. */
  process(chunk: Buffer, from: number, to?: number): Promise<void>
  /** The shard has given nothing for longer than `idleMs`, see `idleMsOf`. Until the next chunk it holds no watermark back. */
  idle(): Promise<void>
  /** The end of a bounded run: the watermark is +Infinity from now on. */
  end(): Promise<void>
  /**
   * Gives what the barrier takes to `passed`, and sends the barrier on. `isLast`: the shard has been read to its end. From
   * then on the task fires nothing, since its timers are its children's; it holds its event time, and is to be closed only
   * when all children have tasks of their own: one that waits for another parent begins at the lowest of them. Where the
   * barrier says `isBehind` it was not the last: the timers that wait have to fire before.
   */
  barrier(number: number, isLast: boolean): void
}

/** Owns a range of key groups of a keyed stage. */
export interface KeyedStageTask extends StageTask {
  /** Channels come and go between a commit and the next barrier only; open new ones before old ones are closed. */
  open(channel: ChannelId, entry: NodeId): void
  close(channel: ChannelId): Promise<void>
  /**
   * Takes a message of a channel. What comes behind a barrier is held until that barrier has come by all channels; then it
   * is given to `passed` and sent on, and what was held goes on.
   */
  receive(channel: ChannelId, message: ChannelMessage): Promise<void> | undefined
  /** For a task without channels, which no barrier would reach. */
  barrier(number: number): void
}
