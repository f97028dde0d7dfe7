import type { ChunkCursor } from '../../log/format.js'
import type { SinkOutput } from '../outputs.js'
import type { NodeId } from '../plan/nodes.js'
import type { SinkPlan } from '../plan/sink-plan.js'
import { type PartitionKey, partitionKeys } from '../records.js'
import { StepError } from '../step-error.js'
import type { FiringShare } from './firing-share.js'
import type { KeyDirectory } from './key-directory.js'
import type { KeyedState } from './keyed-state.js'
import type { TaskHost } from './stage-task.js'
import { type At, newAt, type Push } from './step.js'

const nowhere = -1

/** What sinks gather until the next barrier. */
export interface SinkOutputs {
  /** Characters since the last barrier. */
  readonly text: number
  take(sink: { readonly kind: SinkPlan['kind'] }, node: NodeId, result: unknown, key: unknown): void
  barrier(): SinkOutput[]
}

export interface StageRuntimeOptions {
  readonly host: TaskHost
  readonly nodes: number
  readonly outputs: SinkOutputs
  readonly directory: KeyDirectory
  readonly state: KeyedState
  readonly firing: FiringShare
  /** Whether keyByPartition keeps its rows where they are in this stage. */
  readonly keepsPartitions: boolean
  /** Whether any step asks for the partition key. */
  readonly wantsPartition: boolean
  readonly hashKeyName: string | undefined
}

/** What all steps of a task share: where user code runs, what is counted, and the row of the source. */
export class StageRuntime {
  readonly options: StageRuntimeOptions
  readonly host: TaskHost
  readonly outputs: SinkOutputs
  readonly state: KeyedState
  readonly firing: FiringShare
  /** Rows that entered each node since they were taken last. */
  readonly rowsIn: number[]
  readonly events: Map<string, number>[]
  /** Processing time of the batch under way. */
  now = 0
  /** Where in its chunk a source task is. */
  cursor: ChunkCursor | undefined
  readonly #partitionKey: (cursor: ChunkCursor) => PartitionKey
  #node: NodeId = nowhere
  #at: At = newAt()

  constructor(options: StageRuntimeOptions) {
    this.options = options
    this.host = options.host
    this.outputs = options.outputs
    this.state = options.state
    this.firing = options.firing
    this.rowsIn = new Array<number>(options.nodes).fill(0)
    this.events = Array.from({ length: options.nodes }, () => new Map())
    this.#partitionKey = partitionKeys(options.hashKeyName)
  }

  /** User code of a node is about to run on a row. */
  mark(node: NodeId, at: At): void {
    this.#node = node
    this.#at = at
    this.host.mark(node, at.sequence)
  }

  /** A row comes to a node, and its user code is about to run. */
  enter(node: NodeId, at: At): void {
    this.rowsIn[node] = (this.rowsIn[node] as number) + 1
    this.mark(node, at)
  }

  /** What was thrown, with the place where user code ran; as it is where none did. */
  failure(error: unknown): unknown {
    if (error instanceof StepError || this.#node === nowhere) return error
    return new StepError(this.#node, this.#at.sequence, error, this.#at.key)
  }

  /** Waits for a promise of user code, and gives what it gave to the rest of the step. */
  async later(
    promise: PromiseLike<unknown>,
    node: NodeId,
    at: At,
    rest: (result: unknown) => Promise<void> | undefined,
  ): Promise<void> {
    let result: unknown
    try {
      this.host.pause(node, at.sequence)
      result = await promise
    } catch (error) {
      throw error instanceof StepError ? error : new StepError(node, at.sequence, error, at.key)
    }
    this.mark(node, at)
    const pending = rest(result)
    if (pending) await pending
  }

  /** Waits for something of the host's: what fails there is nobody's user code. */
  async fromHost<Result>(promise: Promise<Result>): Promise<Result> {
    this.#node = nowhere
    try {
      return await promise
    } finally {
      this.#node = nowhere
    }
  }

  partitionOf(at: At): { readonly shown: unknown } {
    const cursor = this.cursor as ChunkCursor
    const { keepsPartitions, directory } = this.options
    at.partition ??= keepsPartitions
      ? directory.ofPartition(cursor.chunk, cursor.keyStart, cursor.bodyStart, cursor.hashHi, cursor.hashLo)
      : this.#partitionKey(cursor)
    return at.partition
  }

  count(node: NodeId, event: string, by: number): void {
    const events = this.events[node] as Map<string, number>
    events.set(event, (events.get(event) ?? 0) + by)
  }
}

/** One step that gives each value to several. */
export function fanOut(pushes: readonly Push[]): Push {
  const [first, second] = pushes
  if (first === undefined) return () => undefined
  if (second === undefined) return first
  return (value, at) => {
    const from = (index: number): Promise<void> | undefined => {
      for (let i = index; i < pushes.length; i++) {
        const pending = (pushes[i] as Push)(value, at)
        if (pending) return pending.then(() => from(i + 1))
      }
      return undefined
    }
    return from(0)
  }
}
