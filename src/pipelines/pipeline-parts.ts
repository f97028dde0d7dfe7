import type { LoadSink } from '../balance/index.js'
import type { Commit } from '../commit/index.js'
import type { ShardedLog } from '../log/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import type { Clock, Logger } from '../runtime/index.js'
import type { CommittedFile, Outbox, OutboxView, SinkSurroundings } from '../sinks/index.js'
import type { Storage } from '../storage/index.js'
import type { TableKeys } from '../tables/index.js'
import type { WorkerPool } from '../workers/index.js'
import type { Feeder, FeedProgress } from './feeds/index.js'
import type { ParkedLimits } from './parked-index.js'
import type { PipelineState } from './pipeline-lifecycle.js'
import type { Bounded, Failure, OutboxRow, PipelineRow, TakeOver } from './rows.js'
import type { RunLimits } from './run.js'
import type { RunSource } from './run-tasks.js'

export interface PipelineLimits extends RunLimits, ParkedLimits {
  readonly attemptsMax: number
  readonly onError: 'park' | 'stop'
  readonly retryMs: number
  readonly outboxBytesMax: number
  readonly swapBehindMax: number
  /** What one commit may hold, bytes. */
  readonly effectSetBytesMax: number
}

export interface PipelineSurroundings {
  readonly commit: Commit
  readonly storage: Storage
  readonly log: ShardedLog
  readonly workers: WorkerPool
  /** Hears what the records of each shard cost. */
  readonly load: LoadSink
  readonly sinks: SinkSurroundings
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: PipelineLimits
}

/** What belongs to one pipeline and is known at its opening. */
export interface PipelineParts {
  /** In the order of their nodes. */
  readonly sources: readonly RunSource[]
  /** What fills the streams of some of them, for one run. */
  readonly feeders: () => readonly Feeder[]
  /** How far a bounded run is. */
  readonly passed: () => { readonly passed: number; readonly all: number }
  readonly moduleFile: () => Promise<string>
  /** What is to be done before a run, while it `isWanted`: the targets of a shadow, what is left of a swap. Gives whether it is done. */
  readonly prepare: (row: PipelineRow, isWanted: () => boolean) => Promise<boolean>
  /** Deletes the group of a source that it reads no more. */
  readonly dropGroup: (name: string) => Promise<void>
  /** Removes the outbox of a sink that it has no more. */
  readonly dropOutbox: (outbox: OutboxRow) => Promise<void>
  readonly sinkKeys: () => Readonly<Record<NodeId, TableKeys>>
  /** Committed files of its file sinks, by their nodes. */
  readonly files: () => Promise<ReadonlyMap<NodeId, CommittedFile>>
  /** Outboxes of its sinks that go outside, by their nodes; `onRoom`: one that was full has room again. */
  readonly outboxes: (moduleFile: string, onRoom: () => void) => Promise<ReadonlyMap<NodeId, Outbox>>
}

/** What is shown of a shadow. */
export interface ShadowView {
  /** The pipeline that it may take the place of. */
  readonly of: string
  /** Whether it began with the first records of its sources, of which nothing was trimmed. */
  readonly isWhole: boolean
  /** Results that were not sent outside since the start of the daemon, by sink. */
  readonly held: readonly { readonly sink: string; readonly records: number }[]
  /** How far it is behind that pipeline. Only where one pipeline is shown. */
  readonly behind?: Behind
}

export interface Behind {
  /** Sequence numbers that the other one has passed and it has not: records at most. */
  readonly records: number
  /** How much older the oldest record is that it has not passed. */
  readonly seconds: number
}

/** What is shown of a pipeline. */
export interface PipelineView {
  readonly name: string
  /** The first of its sources. */
  readonly source: string
  readonly sources: readonly string[]
  readonly state: PipelineState
  /** That of the first of its sources. */
  readonly group: string
  readonly groups: readonly string[]
  readonly attempts: number
  readonly createdAt: number
  /** How many modules it has had. */
  readonly revision: number
  /**
   * Of a bounded run: what it reads, and how many of these sequence numbers of all shards it has passed; of files, while it
   * runs, the bytes.
   */
  readonly bounded?: Bounded & { readonly passed: number; readonly all: number; readonly files?: FeedProgress }
  /** Records of all sources, over the last ten seconds. */
  readonly recordsPerSecond: number
  readonly shadow?: ShadowView
  /** Its tables take the items of those of its shadow, before it begins. */
  readonly takeOver?: Pick<TakeOver, 'tables'>
  readonly steps: readonly { readonly kind: string; readonly name?: string; readonly rowsIn: number }[]
  readonly barrier: { readonly inFlight: boolean; readonly committed: number; readonly secondsLast: number }
  readonly tasks: number
  /** How far event time is, milliseconds since 1970. */
  readonly watermark?: number
  readonly error: Failure | undefined
  /** What is on its way out, by sink. */
  readonly outboxes?: readonly ({ readonly sink: string } & OutboxView)[]
  /** What becomes of a record that its step cannot take. */
  readonly onError: 'park' | 'stop'
  /** What waits because it failed, or came behind what failed. `isFull`: the sources wait as well. */
  readonly parked: { readonly records: number; readonly keys: number; readonly isFull: boolean }
  readonly plan: PlanDescription
}
