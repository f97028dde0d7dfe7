import type { LoadSink } from '../balance/index.js'
import type { Commit } from '../commit/index.js'
import type { ShardedLog } from '../log/index.js'
import type { NodeId, PlanDescription } from '../operators/index.js'
import type { Clock, Logger } from '../runtime/index.js'
import type { CommittedFile, Outbox, OutboxView, SinkSurroundings } from '../sinks/index.js'
import type { Storage } from '../storage/index.js'
import type { KeySchema } from '../tables/index.js'
import type { WorkerPool } from '../workers/index.js'
import type { ParkedLimits } from './parked-index.js'
import type { PipelineState } from './pipeline-lifecycle.js'
import type { Bounded, Failure, OutboxRow } from './rows.js'
import type { RunLimits } from './run.js'
import type { RunSource } from './run-tasks.js'

export interface PipelineLimits extends RunLimits, ParkedLimits {
  readonly attemptsMax: number
  readonly onError: 'park' | 'stop'
  readonly retryMs: number
  readonly outboxBytesMax: number
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
  /** How far a bounded run is. */
  readonly passed: () => { readonly passed: number; readonly all: number }
  readonly moduleFile: () => Promise<string>
  /** Deletes the group of a source that it reads no more. */
  readonly dropGroup: (name: string) => Promise<void>
  /** Removes the outbox of a sink that it has no more. */
  readonly dropOutbox: (outbox: OutboxRow) => Promise<void>
  readonly sinkKeys: () => Readonly<Record<NodeId, KeySchema>>
  /** Committed files of its file sinks, by their nodes. */
  readonly files: () => Promise<ReadonlyMap<NodeId, CommittedFile>>
  /** Outboxes of its sinks that go outside, by their nodes; `onRoom`: one that was full has room again. */
  readonly outboxes: (moduleFile: string, onRoom: () => void) => Promise<ReadonlyMap<NodeId, Outbox>>
}

/** What is shown of a pipeline. */
export interface PipelineView {
  readonly name: string
  /** The first of its sources. */
  readonly source: string
  readonly sources: readonly string[]
  readonly state: PipelineState
  readonly group: string
  readonly attempts: number
  readonly createdAt: number
  /** How many modules it has had. */
  readonly revision: number
  /** Of a bounded run: what it reads, and how many of these sequence numbers of all shards it has passed. */
  readonly bounded?: Bounded & { readonly passed: number; readonly all: number }
  readonly steps: readonly { readonly kind: string; readonly name?: string; readonly rowsIn: number }[]
  readonly barrier: { readonly inFlight: boolean; readonly committed: number; readonly secondsLast: number }
  readonly tasks: number
  /** How far event time is, milliseconds since 1970. */
  readonly watermark?: number
  readonly error: Failure | undefined
  /** What is on its way out, by sink. */
  readonly outboxes?: readonly ({ readonly sink: string } & OutboxView)[]
  /** What waits because it failed, or came behind what failed. `isFull`: the sources wait as well. */
  readonly parked: { readonly records: number; readonly keys: number; readonly isFull: boolean }
  readonly plan: PlanDescription
}
