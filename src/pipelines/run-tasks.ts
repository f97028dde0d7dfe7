import type { Group, Position } from '../groups/index.js'
import type { Sequence, ShardedLog, ShardId } from '../log/index.js'
import {
  groupsOfTask,
  type KeyedStage,
  type NodeId,
  type SourceStage,
  type StageId,
  type Stages,
} from '../operators/task/index.js'
import type { Clock } from '../runtime/index.js'
import type { TableKeys } from '../tables/index.js'
import type {
  ChannelStart,
  Exit,
  OpenTaskOptions,
  RowsOfPipeline,
  TaskHandle,
  TaskListener,
  WorkerPool,
} from '../workers/index.js'
import type { EventTimes } from './event-times.js'
import { idleMsOf, stageLabel } from './plan-steps.js'
import type { PipelineRow, SourceRow } from './rows.js'
import type { RunLimits } from './run.js'
import type { RunParking } from './run-parking.js'
import { SourceTask } from './source-task.js'
import type { TimeOwner } from './time-rows.js'
import type { HashRange } from './timer-pages.js'

/** A source as a run reads it. */
export interface RunSource {
  readonly row: SourceRow
  readonly group: Group
  /** What must have been read to its end before: the snapshot of the table whose changes this source gives. */
  readonly behind?: RunSource
}

/** A task of a run. */
export interface RunTask {
  /** For people: which one a barrier waits for. */
  readonly label: string
  readonly owner: TimeOwner
  readonly stage: number
  /** The keys that may be its own. */
  readonly range: HashRange
  readonly handle: TaskHandle
  /** What it reads, where it is a source's. */
  readonly source: { readonly task: SourceTask; readonly of: RunSource } | undefined
}

/** The one record that was read between two commits. */
export interface OnlyRecord {
  readonly stage: StageId
  /** Of its source. */
  readonly node: NodeId
  readonly shard: ShardId
  readonly sequence: Sequence
}

export interface RunTasksOptions {
  readonly row: PipelineRow
  readonly stages: Stages
  readonly sources: readonly RunSource[]
  /** The first sequence number that is read no more; undefined: it reads all that comes. */
  readonly until: Sequence | undefined
  readonly log: ShardedLog
  readonly workers: WorkerPool
  readonly clock: Clock
  readonly limits: RunLimits
  readonly moduleFile: string
  readonly sinkKeys: Readonly<Record<NodeId, TableKeys>>
  readonly times: EventTimes
  readonly rows: RowsOfPipeline
  readonly parking: RunParking
  /** Whether the store has no state of the pipeline yet. */
  readonly isNew: () => boolean
  /** Whether the epoch has room for more. */
  readonly mayRead: () => boolean
  readonly onRead: (bytes: number, only: OnlyRecord | undefined) => void
  readonly onError: (error: unknown, shard: ShardId) => void
  readonly onCaughtUp: () => void
  /** What a task hears of its worker. */
  readonly listen: (task: () => RunTask) => TaskListener
}

/** Rows that may be on their way into one keyed task, over all of its channels, and over one at least. */
const rowsInFlightMax = 65_536
const creditRowsLeast = 256
const creditRowsMost = 4096
/** Bytes that are read from the store ahead of what is handed over: by all source tasks, and by one at most. */
const readAheadMax = 16 * 1024 * 1024
const readAheadMost = 4 * 1024 * 1024
/** Timers of one step and domain that a task keeps in memory. */
const timersMax = 100_000

/** The tasks of a run and the channels between them. They come and go only between a commit and the next barrier. */
export class RunTasks {
  readonly #options: RunTasksOptions
  /** Tasks of each keyed stage, in the order of their key groups. */
  readonly #keyed = new Map<number, RunTask[]>()
  readonly #sources = new Map<string, RunTask>()
  /** Channels of the source tasks. */
  readonly #exits = new Map<string, readonly Exit[]>()
  #isFollowing = false

  constructor(options: RunTasksOptions) {
    this.#options = options
    // Rows go from lower stages to higher ones: whoever sends must know to whom.
    for (const stage of [...options.stages.stages].reverse()) if (stage.kind === 'keyed') this.#openKeyed(stage)
  }

  get #isAlone(): boolean {
    return this.#options.parking.careful?.recordsMax !== undefined
  }

  /** Records of each shard that may be read between two barriers; where it is one, it is one of all shards. */
  get recordsMax(): number | undefined {
    const { limits, parking } = this.#options
    const inQuarantine = parking.careful?.recordsMax
    if (limits.recordsMax === undefined || inQuarantine === undefined) return limits.recordsMax ?? inQuarantine
    return Math.min(limits.recordsMax, inQuarantine)
  }

  get count(): number {
    return this.#sources.size + [...this.#keyed.values()].reduce((sum, tasks) => sum + tasks.length, 0)
  }

  /** Source tasks by source and shard, then keyed ones: so that the outputs of one barrier come in an order that can be repeated. */
  all(): readonly RunTask[] {
    const shard = ({ owner }: RunTask): number => (owner.kind === 'shard' ? owner.shard : 0)
    const root = ({ owner }: RunTask): number => (owner.kind === 'shard' ? owner.root : 0)
    const sources = [...this.#sources.values()].sort((a, b) => root(a) - root(b) || shard(a) - shard(b))
    const stages = [...this.#keyed].sort(([a], [b]) => a - b)
    return [...sources, ...stages.flatMap(([, tasks]) => tasks)]
  }

  get hasProgress(): boolean {
    for (const { source } of this.#sources.values()) if (source?.task.hasProgress) return true
    return false
  }

  /** Whether no source has had more to read all the time since the last barrier. */
  get keepsUp(): boolean {
    for (const { source } of this.#sources.values()) if (source && !source.task.keepsUp) return false
    return true
  }

  /** Whether every source is gone and everything of it has been read and committed. */
  get isDrained(): boolean {
    const { sources, log } = this.#options
    if (this.#sources.size > 0) return false
    return sources.every(({ row }) => {
      const stream = log.stream(row.stream)
      return !stream || stream.closedAt !== undefined
    })
  }

  /** Whether a run that ends has committed all that it was to read, and what its end made. */
  get isFinished(): boolean {
    if (this.#options.until === undefined) return false
    for (const { source } of this.#sources.values()) {
      if (!source) continue
      // One that has ended and only holds event time back is followed by children that are read before the run is over.
      const { of, task } = source
      if (!task.isOver && !of.group.position(task.shard)?.ended) return false
    }
    return true
  }

  #openKeyed(stage: KeyedStage): void {
    const { row, stages, workers, times, listen } = this.#options
    const tasks: RunTask[] = []
    const size = workers.size
    for (let i = 0; i < size; i++) {
      const exits = this.#exitsOf(stage.exits)
      const owner: TimeOwner = { kind: 'stage', stage: stage.id }
      const listener = listen(() => task)
      const { first, last } = groupsOfTask(i, size)
      const range: HashRange = {
        low: { hi: first * 2 ** 24, lo: 0 },
        high: { hi: (last + 1) * 2 ** 24 - 1, lo: 2 ** 32 - 1 },
      }
      const options = this.#open(stage.id, i, exits, undefined, times.ofStage(stage.id), range)
      const handle = workers.open(options, listener, { place: row.id + i, isAlone: this.#isAlone })
      const task: RunTask = {
        label: `task ${i + 1} of ${stageLabel(row.plan, stages, stage.id)}`,
        owner,
        stage: stage.id,
        range,
        handle,
        source: undefined,
      }
      tasks.push(task)
      this.#connect(handle, exits)
    }
    this.#keyed.set(stage.id, tasks)
  }

  #open(
    stage: number,
    index: number,
    exits: readonly Exit[],
    hashKeyName: string | undefined,
    restored: OpenTaskOptions['restored'],
    range: HashRange,
  ): OpenTaskOptions {
    const { moduleFile, row, rows, stages, sinkKeys, until, limits, workers, isNew, parking } = this.#options
    const tasks = stages.stages.map(({ kind }) => (kind === 'keyed' ? workers.size : 1))
    return {
      file: moduleFile,
      label: row.plan.name,
      stage,
      index,
      tasks,
      hashKeyName,
      sinkKeys,
      restored,
      isEnded: false,
      until,
      isNew: isNew(),
      rows,
      exits,
      stateBytesMax: limits.stateBytesMax,
      timersMax,
      effectBytesMax: limits.effectSetBytesMax,
      firing: {
        bytesMax: (limits.firedBytesMax ?? Number.POSITIVE_INFINITY) / this.#firingTasks(),
        isAlone: limits.recordsMax === 1,
      },
      creditRows: this.#creditRows(),
      parking: parking.ofTask(stage, range),
    }
  }

  /** How many tasks of one stage have steps with timers, at most: what they fire together goes into one commit. */
  #firingTasks(): number {
    const { row, stages, workers, sources } = this.#options
    const shards = sources.reduce((sum, { group }) => sum + group.readable().length, 0)
    const hasTimers = ({ nodes }: Stages['stages'][number]) => nodes.some((id) => row.plan.nodes[id]?.kind === 'keyed')
    const tasks = stages.stages.filter(hasTimers).map(({ kind }) => (kind === 'keyed' ? workers.size : shards))
    return Math.max(1, ...tasks)
  }

  /** Few rows a channel where many sources send to each task: what waits for a barrier is bounded by it. */
  #creditRows(): number {
    const shards = this.#options.sources.reduce((sum, { group }) => sum + group.readable().length, 0)
    const share = Math.floor(rowsInFlightMax / Math.max(1, shards))
    return Math.min(creditRowsMost, Math.max(creditRowsLeast, share))
  }

  /** Shared by the shards. */
  #readAheadBytes(): number {
    return Math.min(readAheadMost, Math.floor(readAheadMax / Math.max(1, this.#sources.size)))
  }

  #exitsOf(nodes: readonly NodeId[]): readonly Exit[] {
    const { stages, workers } = this.#options
    return nodes.map((node) => {
      const receivers = this.#keyed.get(stages.stageOfExit.get(node) as number) as RunTask[]
      const first = workers.takeChannels(receivers.length)
      return { node, channels: receivers.map(({ handle }, i) => ({ channel: first + i, to: handle.address })) }
    })
  }

  /** Tells the receivers of the channels that a new task has. */
  #connect({ address }: TaskHandle, exits: readonly Exit[]): void {
    for (const [receiver, opened] of this.#startsOf(address, exits)) receiver.handle.channels(opened, [])
  }

  #startsOf(from: TaskHandle['address'], exits: readonly Exit[]): Map<RunTask, ChannelStart[]> {
    const starts = new Map<RunTask, ChannelStart[]>()
    for (const { node, channels } of exits) {
      const receivers = this.#keyed.get(this.#options.stages.stageOfExit.get(node) as number) as RunTask[]
      channels.forEach(({ channel }, i) => {
        const receiver = receivers[i] as RunTask
        starts.set(receiver, [...(starts.get(receiver) ?? []), { channel, entry: node, from }])
      })
    }
    return starts
  }

  /**
   * Opens a task for each shard that may be read now, then closes those whose shards have ended: a shard without its children
   * must go on to hold event time back, so its task stays until all of them have theirs. After a restart it has one again.
   */
  follow(): void {
    for (const source of this.#options.sources)
      if (isOpen(source)) for (const position of source.group.readable()) this.#openSource(source, position)
    if (!this.#isFollowing) for (const source of this.#options.sources) this.#hold(source)
    this.#isFollowing = true
    for (const [name, { source }] of this.#sources) {
      if (!source?.of.group.position(source.task.shard)?.ended || this.#isHeld(source.of, source.task.shard)) continue
      source.task.stop()
      this.#sources.delete(name)
      this.#close(name)
    }
  }

  #close(name: string): void {
    const closed = new Map<RunTask, number[]>()
    for (const { node, channels } of this.#exits.get(name) ?? []) {
      const receivers = this.#keyed.get(this.#options.stages.stageOfExit.get(node) as number) as RunTask[]
      channels.forEach(({ channel }, i) => {
        const receiver = receivers[i] as RunTask
        closed.set(receiver, [...(closed.get(receiver) ?? []), channel])
      })
    }
    this.#exits.delete(name)
    for (const [receiver, channels] of closed) receiver.handle.channels([], channels)
  }

  /** Opens a task for each shard that was read to its end before this run, and must go on to hold event time back. */
  #hold(source: RunSource): void {
    const { times } = this.#options
    for (const position of source.group.positions()) {
      if (!position.ended || !times.hasShard(source.row.node, position.shard)) continue
      if (this.#isHeld(source, position.shard)) this.#openSource(source, position)
    }
  }

  /** Whether others depend on the event time of a shard that has ended, since a child of its waits for another parent. */
  #isHeld(source: RunSource, shard: ShardId): boolean {
    if (this.#stageOf(source).exits.length === 0) return false
    return this.#hasChild(source, shard, (child) => !this.#sources.has(nameOf(source, child)))
  }

  /** Whether a shard has a child that has never been read, and is as asked. The shard itself may be trimmed already. */
  #hasChild({ row, group }: RunSource, shard: ShardId, isAsked: (child: ShardId) => boolean): boolean {
    return this.#options.log
      .shards(row.stream)
      .some(({ id, parents }) => parents.includes(shard) && !group.position(id) && isAsked(id))
  }

  #stageOf({ row }: RunSource): SourceStage {
    const { stages } = this.#options.stages
    return stages.find((each) => each.kind === 'source' && each.root === row.node) as SourceStage
  }

  isReading(root: NodeId, shard: ShardId): boolean {
    const task = this.#sources.get(`${root} ${shard}`)?.source?.task
    return task !== undefined && !task.isEnded
  }

  /** Whether a shard has ended and its children have times of their own in the store. */
  hasHeirs(root: NodeId, shard: ShardId): boolean {
    const sources = this.#options.sources.filter(({ row }) => row.node === root)
    if (sources.length === 0) return true
    const source = sources.find(({ group }) => group.position(shard))
    // The shards of the table's changes begin at the time of its snapshot, also those that open much later.
    if (!source || source.row.feed !== undefined) return false
    return source.group.position(shard)?.ended === true && !this.#hasChild(source, shard, () => true)
  }

  #openSource(source: RunSource, position: Position): void {
    const name = nameOf(source, position.shard)
    if (this.#sources.has(name)) return
    const { log, clock, limits, workers, times, listen, row, mayRead, onRead, onError, onCaughtUp } = this.#options
    const { node: root, hashKeyName } = source.row
    const stage = this.#stageOf(source)
    const shard = log.shard(position.shard)
    const owner: TimeOwner = { kind: 'shard', root, shard: position.shard }
    const parents = this.#parentsOf(source, shard?.parents ?? [])
    const restored = times.ofShard(root, { id: position.shard, parents }, (parent) => log.shard(parent))
    const { until, isFed, endsTime } = this.#endOf(source)
    const idleMs = idleMsOf(row.plan, stage)
    const task = new SourceTask({
      position,
      stream: source.row.stream,
      log,
      clock,
      handoverBytes: Math.min(limits.handoverBytes, limits.epochBytesMax),
      handoversInFlightMax: limits.handoversInFlightMax,
      readAheadBytes: () => this.#readAheadBytes(),
      mayRead,
      onRead: (bytes, only) =>
        onRead(bytes, only && { stage: stage.id, node: root, shard: position.shard, sequence: only }),
      onError: (error) => onError(error, position.shard),
      onCaughtUp,
      // Where event time stands still, nothing may run ahead of it.
      idleMs: () => (times.isAsked && endsTime ? idleMs : undefined),
      isIdle:
        (restored?.watermarks.length ?? 0) > 0 &&
        (restored?.watermarks.every(({ isIdle, keys }) => isIdle || keys) ?? false),
      until,
      recordsMax: () => this.recordsMax,
      endsTime: row.bounded !== undefined,
      isFed,
      isChildless: () => {
        const end = until ?? Number.POSITIVE_INFINITY
        const children = log.shard(position.shard)?.children ?? []
        return children.every((child) => (log.shard(child)?.firstSequence ?? end) >= end)
      },
      isLast: () =>
        endsTime &&
        log.stream(source.row.stream)?.closedAt !== undefined &&
        log.shard(position.shard)?.children.length === 0,
    })
    const exits = this.#exitsOf(stage.exits)
    const listener = listen(() => entry)
    const range = { low: shard?.low ?? { hi: 0, lo: 0 }, high: shard?.high ?? { hi: 2 ** 32 - 1, lo: 2 ** 32 - 1 } }
    const opened = {
      ...this.#open(stage.id, 0, exits, hashKeyName, restored, range),
      until,
      holdsTime: !endsTime,
      isEnded: position.ended,
    }
    const handle = workers.open(opened, listener, { isAlone: this.#isAlone })
    const entry: RunTask = {
      label: `the task of shard ${position.shard}`,
      owner,
      stage: stage.id,
      range,
      handle,
      source: { task, of: source },
    }
    task.handle = handle
    this.#sources.set(name, entry)
    this.#exits.set(name, exits)
    this.#connect(handle, exits)
  }

  /** Where a source's shards are over. */
  #endOf({ row: { feed } }: RunSource): {
    readonly until: Sequence | undefined
    readonly isFed: boolean
    /** Whether nothing comes behind the end of the source's stream, so that event time may come to its end. */
    readonly endsTime: boolean
  } {
    const { until } = this.#options
    if (feed === undefined) return { until, isFed: false, endsTime: true }
    // What is fed comes while the run reads: its end is that of the stream. The changes of the table follow a snapshot.
    if (feed === 'snapshot') return { until: undefined, isFed: true, endsTime: false }
    return { until: until && sequenceMax, isFed: true, endsTime: true }
  }

  /** Where event time comes from: shards of a table's changes that nothing was read before follow its snapshot. */
  #parentsOf({ row, behind }: RunSource, parents: readonly ShardId[]): readonly ShardId[] {
    if (!behind) return parents
    const snapshot = behind.group.positions().map(({ shard }) => shard)
    if (parents.length === 0) return snapshot
    return parents.flatMap((parent) => (this.#options.times.hasShard(row.node, parent) ? [parent] : snapshot))
  }

  /** Whether every source has read past a sequence number by the last barrier, or has nothing more to read. */
  hasPassed(sequence: number): boolean {
    for (const { source } of this.#sources.values()) if (source && !source.task.hasPassed(sequence)) return false
    return true
  }

  /** Has the sources read on. */
  pump(): void {
    const sources = [...this.#sources.values()].flatMap(({ source }) => source?.task ?? [])
    // Where one record of all shards is read, it is the oldest one.
    if (this.#options.limits.recordsMax === 1) sources.sort((a, b) => a.next - b.next)
    for (const task of sources) task.pump()
  }

  awaitIdleness(): void {
    for (const { source } of this.#sources.values()) source?.task.awaitIdleness()
  }

  stop(): void {
    for (const { source } of this.#sources.values()) source?.task.stop()
    for (const tasks of this.#keyed.values()) for (const { handle } of tasks) handle.close()
    this.#sources.clear()
    this.#keyed.clear()
  }
}

const nameOf = ({ row }: RunSource, shard: ShardId): string => `${row.node} ${shard}`

/** The highest number that a record can have. */
const sequenceMax = Number.MAX_SAFE_INTEGER as Sequence

/** Whether a source may be read: what it follows was read to its end, and that is committed. */
function isOpen({ behind }: RunSource): boolean {
  return behind?.group.positions().every(({ ended }) => ended) ?? true
}
