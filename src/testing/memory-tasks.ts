import type { BodyReader } from '../log/bodies.js'
import type { PipelinePlan } from '../operators/plan/index.js'
import {
  type ChannelMessage,
  type KeyedStageTask,
  openKeyedTask,
  openSourceTask,
  type ParkedQueue,
  packState,
  type SourceStageTask,
  type StageId,
  type Stages,
  type StageTaskOptions,
  type TaskBounds,
  type TaskHost,
  unpackState,
} from '../operators/task/index.js'
import type { MemoryShard } from './memory-log.js'
import {
  type HashRange,
  type MemoryMarks,
  type MemoryPart,
  type MemoryPosition,
  type MemoryStore,
  rangeOfTask,
} from './memory-store.js'

/** What is the same for all tasks of a run. */
export interface MemorySettings {
  readonly plan: PipelinePlan
  readonly stages: Stages
  readonly store: MemoryStore
  /** Tasks of each keyed stage. */
  readonly tasks: number
  readonly bounds: TaskBounds
  readonly sinkKeys: StageTaskOptions['sinkKeys']
  /** Knows the shapes of all rows. */
  readonly bodies: BodyReader
  /** Names of the partition keys of tables, by the node of their source. */
  readonly hashKeyNames: ReadonlyMap<number, string>
  /** undefined: the first error ends a run. */
  readonly parking?: MemoryParking | undefined
  readonly now: () => number
  readonly setTimeout: TaskHost['setTimeout']
}

/** How the tasks of a run take what fails. */
export interface MemoryParking {
  readonly isCareful: boolean
  readonly attemptsMax: number
  /** Whether what waits is tried again first. */
  readonly isRetrying: boolean
}

/** A promise of user code that takes longer, ms of virtual time, is given up. */
const awaitMsMax = 30_000

/** Messages that a channel takes before its receiver is made to work some off. */
export const channelMessagesMax = 8

/** A channel between two tasks. */
export interface MemoryChannel {
  readonly id: number
  readonly entry: number
  readonly from: MemoryTask
  readonly to: KeyedMemoryTask
  readonly messages: ChannelMessage[]
}

export type MemoryTask = SourceMemoryTask | KeyedMemoryTask

interface TaskBase {
  /** Channels that leave it, by exit and receiving task. */
  readonly leaves: Map<string, MemoryChannel>
  readonly stage: StageId
}

export interface SourceMemoryTask extends TaskBase {
  readonly kind: 'source'
  readonly shard: MemoryShard
  readonly task: SourceStageTask
  /** The next sequence number to read, and the place of its record. */
  next: number
  at: number
  /** When it gave something last, or was opened. */
  activeAt: number
  isIdle: boolean
  /** Whether it was told that event time is over. */
  isOver: boolean
  /** Where it stood when the barrier under way passed. */
  barrier: { readonly number: number; readonly position: MemoryPart['position'] } | undefined
}

export interface KeyedMemoryTask extends TaskBase {
  readonly kind: 'keyed'
  readonly number: number
  readonly task: KeyedStageTask
}

/** How tasks speak with the run that opened them. */
export interface TaskEvents {
  readonly sent: (channel: MemoryChannel) => void
  /** Delivers messages of a channel until it is empty. */
  readonly drain: (channel: MemoryChannel) => Promise<void>
  readonly passed: (task: MemoryTask, number: number, part: Omit<MemoryPart, 'position' | 'events'>) => void
}

export function openSource(
  settings: MemorySettings,
  shard: MemoryShard,
  { next, isEnded }: MemoryPosition,
  marks: MemoryMarks | undefined,
  events: TaskEvents,
): SourceMemoryTask {
  const stage = settings.stages.stages.findIndex((each) => each.kind === 'source' && each.root === shard.root)
  const leaves = new Map<string, MemoryChannel>()
  const holder: { task?: SourceMemoryTask } = {}
  const host = hostOf(settings, shard, leaves, events, (number, result) =>
    events.passed(holder.task as SourceMemoryTask, number, { stage, shard: shard.id, result }),
  )
  const task = openSourceTask({
    ...taskOptions(settings, stage, 0, host, marks, shard),
    hashKeyName: settings.hashKeyNames.get(shard.root),
    bodies: settings.bodies,
    isEnded,
  })
  const isIdle = marks?.watermarks.some((mark) => mark.node === shard.root && mark.isIdle) ?? false
  const state = { isIdle, isOver: false, activeAt: settings.now(), barrier: undefined }
  const at = shard.records.filter(({ sequence }) => sequence < next).length
  holder.task = { kind: 'source', stage, shard, task, next, at, leaves, ...state }
  return holder.task
}

export function openKeyed(
  settings: MemorySettings,
  stage: StageId,
  number: number,
  marks: MemoryMarks | undefined,
  events: TaskEvents,
): KeyedMemoryTask {
  const leaves = new Map<string, MemoryChannel>()
  const holder: { task?: KeyedMemoryTask } = {}
  const host = hostOf(settings, rangeOfTask(number, settings.tasks), leaves, events, (barrier, result) =>
    events.passed(holder.task as KeyedMemoryTask, barrier, { stage, shard: undefined, result }),
  )
  const task = openKeyedTask(taskOptions(settings, stage, number, host, marks, rangeOfTask(number, settings.tasks)))
  holder.task = { kind: 'keyed', stage, number, task, leaves }
  return holder.task
}

function taskOptions(
  settings: MemorySettings,
  stage: StageId,
  task: number,
  host: TaskHost,
  restored: MemoryMarks | undefined,
  range: HashRange,
): StageTaskOptions {
  const { plan, stages, tasks, bounds, sinkKeys, store, parking } = settings
  const isNew = store.commits === 0
  return {
    plan,
    stages,
    stage,
    task,
    tasksOf: () => tasks,
    hashKeyName: undefined,
    sinkKeys,
    restored,
    isNew,
    bounds,
    host,
    parking: parking && { ...parking, awaitMsMax, poison: [], keys: queuesOf(settings, stage, range) },
  }
}

/** What waits at the places of a task. */
export const queuesOf = ({ store, stages }: MemorySettings, stage: StageId, range: HashRange): ParkedQueue[] =>
  store.queuesOf(stage, range, stages.nodes.length)

function hostOf(
  { store, now, setTimeout }: MemorySettings,
  range: HashRange,
  leaves: ReadonlyMap<string, MemoryChannel>,
  { drain, sent }: TaskEvents,
  passed: TaskHost['passed'],
): TaskHost {
  return {
    fetchCells: async (cells) => store.fetchCells(cells),
    fetchTimers: async (request) => store.fetchTimers(request, range),
    send: (exit, task, message) => {
      const channel = leaves.get(leaveName(exit, task)) as MemoryChannel
      channel.messages.push(message)
      sent(channel)
      if (message.kind !== 'rows' || channel.messages.length <= channelMessagesMax) return undefined
      return drain(channel)
    },
    taken: () => {},
    passed,
    mark: () => {},
    pause: () => {},
    align: () => undefined,
    turn: () => undefined,
    now,
    setTimeout,
    pack: packState,
    unpack: unpackState,
  }
}

export const leaveName = (exit: number, task: number): string => `${exit} ${task}`
