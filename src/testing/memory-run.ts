import { idleMsOf, inheritedWatermarks } from '../operators/task/index.js'
import { chunkOf, type MemoryLog, type MemoryShard } from './memory-log.js'
import { type HashRange, type MemoryMarks, type MemoryPart, rangeOfTask } from './memory-store.js'
import {
  type KeyedMemoryTask,
  leaveName,
  type MemoryChannel,
  type MemorySettings,
  type MemoryTask,
  openKeyed,
  openSource,
  queuesOf,
  type SourceMemoryTask,
  type TaskEvents,
} from './memory-tasks.js'
import type { Random } from './random.js'

/** Records that a task reads at once. */
const chunkRecordsMax = 40

interface Barrier {
  readonly number: number
  readonly parts: Map<MemoryTask, MemoryPart>
}

/** One thing that a run may do next. */
type Action = () => Promise<void>

/**
 * The tasks of a pipeline from a commit to a crash. What happens next follows from random numbers: which task reads, which
 * message arrives, when a barrier is sent and when it commits. So every interleaving that threads could bring may come, and
 * the same one again from the same seed.
 */
export class MemoryRun {
  readonly #settings: MemorySettings
  readonly #log: MemoryLog
  readonly #random: Random
  readonly #sources = new Map<number, SourceMemoryTask>()
  readonly #keyed = new Map<number, readonly KeyedMemoryTask[]>()
  /** Channels with messages. */
  readonly #waiting = new Set<MemoryChannel>()
  #tasks: readonly MemoryTask[] = []
  readonly #events: TaskEvents
  #channel = 0
  #number = 0
  #barrier: Barrier | undefined
  #wantsBarrier = false
  /** Timers that had to wait have fired since the last barrier began. */
  #hasFiredOn = false
  /** Shards that have fallen silent, and whose tasks have not been told. */
  readonly #silent = new Set<SourceMemoryTask>()
  /** What user code or the engine threw: nothing more can be done. */
  #isBroken = false
  /** Event time ends in every shard that has been read. */
  #isOver = false
  /** Channels that are full and being emptied within a step. */
  readonly #draining: Promise<void>[] = []
  /** The last message that each task takes, or has taken. */
  readonly #receiving = new Map<KeyedMemoryTask, Promise<void>>()

  constructor(settings: MemorySettings, log: MemoryLog, random: Random) {
    this.#settings = settings
    this.#log = log
    this.#random = random
    this.#events = {
      sent: (channel) => this.#waiting.add(channel),
      drain: (channel) => {
        const drained = this.#drain(channel)
        this.#draining.push(drained)
        return drained
      },
      passed: (task, number, part) => this.#passed(task, number, part),
    }
  }

  /** Opens all tasks as the last commit left them. */
  async open(): Promise<void> {
    const { stages, tasks, store } = this.#settings
    const opened: KeyedMemoryTask[] = []
    for (const stage of stages.stages) {
      if (stage.kind !== 'keyed') continue
      const marks = store.stageMarks.get(stage.id)
      const ofStage = Array.from({ length: tasks }, (_, i) =>
        openKeyed(this.#settings, stage.id, i, marks, this.#events),
      )
      this.#keyed.set(stage.id, ofStage)
      opened.push(...ofStage)
    }
    for (const task of opened) this.#connect(task)
    const sources = this.#openSources()
    for (const task of opened) await this.#guarded(() => task.task.start())
    for (const task of sources) await this.#guarded(() => task.task.start())
    if (!this.#settings.parking?.isRetrying) return
    for (const task of [...opened, ...sources])
      await this.#guarded(() => task.task.retry(queuesOf(this.#settings, task.stage, this.#rangeOf(task))))
  }

  #rangeOf(task: MemoryTask): HashRange {
    return task.kind === 'source' ? task.shard : rangeOfTask(task.number, this.#settings.tasks)
  }

  /**
   * A child may be read once all of its parents have been, and that is committed. A parent that has, while a child of its
   * waits for another, holds its event time.
   */
  #openSources(): SourceMemoryTask[] {
    const { shards } = this.#log
    const opened: SourceMemoryTask[] = []
    for (const shard of shards) if (this.#isReadable(shard)) opened.push(...this.#openSource(shard))
    for (const shard of shards)
      if (this.#isEnded(shard) && this.#isAwaited(shard)) opened.push(...this.#openSource(shard))
    this.#tasks = [...this.#sources.values(), ...[...this.#keyed.values()].flat()]
    return opened
  }

  #openSource(shard: MemoryShard): SourceMemoryTask[] {
    if (this.#sources.has(shard.id)) return []
    const position = this.#settings.store.positions.get(shard.id) ?? { next: 0, isEnded: false }
    const task = openSource(this.#settings, shard, position, this.#marksOf(shard), this.#events)
    this.#sources.set(shard.id, task)
    this.#connect(task)
    return [task]
  }

  #isEnded({ id }: Pick<MemoryShard, 'id'>): boolean {
    return this.#settings.store.positions.get(id)?.isEnded ?? false
  }

  #isReadable(shard: MemoryShard): boolean {
    return !this.#isEnded(shard) && shard.parents.every((id) => this.#isEnded({ id }))
  }

  /** Whether a child of the shard has no task yet, and never had one. */
  #isAwaited({ id }: MemoryShard): boolean {
    const { positions } = this.#settings.store
    return this.#log.shards.some(
      (child) => child.parents.includes(id) && !this.#sources.has(child.id) && !positions.has(child.id),
    )
  }

  /** A shard that was never read begins where the slowest of its parents was. */
  #marksOf(shard: MemoryShard): MemoryMarks | undefined {
    const { store } = this.#settings
    const own = store.shardMarks.get(shard.id)
    if (own || shard.parents.length === 0) return own
    const parents = shard.parents.flatMap((id) => {
      const marks = store.shardMarks.get(id)
      const { low, high } = this.#log.shards[id] as MemoryShard
      return marks ? [{ ...marks, keys: { low, high } }] : []
    })
    return {
      watermarks: inheritedWatermarks(parents),
      now: Math.max(...parents.map(({ now }) => now)),
    }
  }

  #connect(from: MemoryTask): void {
    const { stages } = this.#settings
    for (const exit of stages.stages[from.stage]?.exits ?? []) {
      const receivers = this.#keyed.get(stages.stageOfExit.get(exit) as number) ?? []
      for (const to of receivers) {
        const channel: MemoryChannel = { id: this.#channel++, entry: exit, from, to, messages: [] }
        from.leaves.set(leaveName(exit, to.number), channel)
        to.task.open(channel.id, exit)
      }
    }
  }

  async #guarded(run: () => Promise<void> | undefined): Promise<void> {
    try {
      await run()
      // A barrier waits for nothing that it sends.
      while (this.#draining.length > 0) await Promise.all(this.#draining.splice(0))
    } catch (error) {
      this.#isBroken = true
      throw error
    }
  }

  /** Asks for a barrier; it commits in one of the steps that follow. */
  wantBarrier(): void {
    if (!this.#barrier) this.#wantsBarrier = true
  }

  /** Does one thing. False when there is nothing to do. */
  async step(): Promise<boolean> {
    if (this.#isBroken) return false
    const actions = this.#actions()
    if (actions.length === 0) return false
    await this.#guarded(this.#random.pick(actions))
    return true
  }

  #actions(): Action[] {
    const actions: Action[] = []
    const barrier = this.#barrier
    for (const source of this.#sources.values()) {
      if (unread(source) > 0) actions.push(() => this.#read(source))
      else if (this.#isOver && !source.isOver && !source.shard.isSealed) actions.push(() => this.#endSource(source))
      if (this.#silent.has(source)) actions.push(() => this.#tellIdle(source))
      if (barrier && source.barrier?.number !== barrier.number) actions.push(async () => this.#sendBarrier(source))
    }
    for (const channel of this.#waiting) actions.push(() => this.#deliver(channel))
    const now = this.#settings.now()
    for (const { task } of this.#tasks) {
      if (task.nextTick <= now) actions.push(async () => task.tick())
      if (task.isHeld) this.wantBarrier()
      else if (task.isBehind) actions.push(() => this.#fireOn(task))
    }
    if (this.#wantsBarrier && !barrier) actions.push(async () => this.#beginBarrier())
    if (barrier?.parts.size === this.#tasks.length) actions.push(() => this.#commit())
    return actions
  }

  async #read(source: SourceMemoryTask): Promise<void> {
    const count = 1 + this.#random.below(Math.min(unread(source), chunkRecordsMax))
    const records = source.shard.records.slice(source.at, source.at + count)
    const chunk = chunkOf(records)
    const from = source.next
    source.at += count
    source.next = (records[count - 1]?.sequence ?? 0) + 1
    source.activeAt = this.#settings.now()
    source.isIdle = false
    this.#silent.delete(source)
    await source.task.process(chunk, from)
    // The memory of a chunk goes back to whoever read it: what still looks at it finds nothing there.
    structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] })
  }

  async #fireOn(task: MemoryTask['task']): Promise<void> {
    this.#hasFiredOn = true
    await task.goOn()
  }

  /** A task takes one message after the other, as in the daemon, also where several send to it at a time. */
  #deliver(channel: MemoryChannel): Promise<void> {
    const { to } = channel
    const before = this.#receiving.get(to) ?? Promise.resolve()
    const received = before.then(async () => {
      const message = channel.messages.shift()
      if (channel.messages.length === 0) this.#waiting.delete(channel)
      if (message) await to.task.receive(channel.id, message)
    })
    this.#receiving.set(
      to,
      received.catch(() => {}),
    )
    return received
  }

  async #drain(channel: MemoryChannel): Promise<void> {
    while (channel.messages.length > 0) await this.#deliver(channel)
  }

  #beginBarrier(): void {
    this.#wantsBarrier = false
    this.#hasFiredOn = false
    this.#barrier = { number: ++this.#number, parts: new Map() }
  }

  #sendBarrier(source: SourceMemoryTask): void {
    const { number } = this.#barrier as Barrier
    const isEnded = isRead(source)
    source.barrier = { number, position: { next: source.next, isEnded } }
    source.task.barrier(number, isEnded)
  }

  #passed(task: MemoryTask, number: number, part: Omit<MemoryPart, 'position' | 'events'>): void {
    const sent = task.kind === 'source' ? task.barrier?.position : undefined
    // What waits to fire keeps its shard from ending.
    const position = sent && part.result.isBehind ? { ...sent, isEnded: false } : sent
    if (this.#barrier?.number === number)
      this.#barrier.parts.set(task, { ...part, position, events: task.task.counters().events })
  }

  async #commit(): Promise<void> {
    const { number, parts } = this.#barrier as Barrier
    const { store } = this.#settings
    // In an order that does not depend on who was first.
    store.commit([...parts.values()].sort((a, b) => a.stage - b.stage || (a.shard ?? 0) - (b.shard ?? 0)))
    this.#barrier = undefined
    for (const task of parts.keys()) task.task.committed(number)
    const opened = this.#openSources()
    for (const task of opened) await task.task.start()
    for (const source of [...this.#sources.values()])
      if (this.#isEnded(source.shard) && !this.#isAwaited(source.shard)) await this.#closeSource(source)
  }

  async #closeSource(source: SourceMemoryTask): Promise<void> {
    this.#sources.delete(source.shard.id)
    this.#tasks = this.#tasks.filter((task) => task !== source)
    for (const channel of source.leaves.values()) {
      await this.#drain(channel)
      await channel.to.task.close(channel.id)
    }
  }

  /** Steps until nothing is left to be read, delivered or fired. */
  async settle(): Promise<void> {
    while (await this.step());
  }

  /** Settles, and commits all that there is. */
  async commitAll(): Promise<void> {
    do {
      await this.settle()
      this.wantBarrier()
      await this.settle()
    } while (!this.#isBroken && this.#hasMore())
  }

  #hasMore(): boolean {
    return (
      this.#hasFiredOn ||
      this.#tasks.some(({ task }) => task.isBehind || task.isHeld) ||
      [...this.#sources.values()].some((source) => !this.#isCommitted(source))
    )
  }

  /** Children whose parents' end a barrier committed want another one. */
  #isCommitted({ shard, next }: SourceMemoryTask): boolean {
    return this.#settings.store.positions.get(shard.id)?.next === next && !shard.isSealed
  }

  /** Marks shards as idle that have given nothing for so long as their pipeline says. */
  idle(): void {
    const { plan, stages, now } = this.#settings
    for (const source of this.#sources.values()) {
      const idleMs = idleMsOf(plan.nodes, stages, source.stage)
      if (source.isIdle || source.isOver || now() - source.activeAt < idleMs) continue
      if (unread(source) > 0 || isRead(source)) continue
      source.isIdle = true
      this.#silent.add(source)
    }
  }

  async #tellIdle(source: SourceMemoryTask): Promise<void> {
    this.#silent.delete(source)
    await source.task.idle()
  }

  /** The end of a bounded run: event time is over wherever everything has been read. */
  end(): void {
    this.#isOver = true
  }

  async #endSource(source: SourceMemoryTask): Promise<void> {
    source.isOver = true
    await source.task.end()
  }

  /** When time has something to do: a timer is due, or a shard idle. +Infinity: never. */
  nextDue(): number {
    const { plan, stages } = this.#settings
    let next = Number.POSITIVE_INFINITY
    for (const { task } of this.#tasks) next = Math.min(next, task.nextTick)
    for (const source of this.#sources.values())
      if (!source.isIdle && !source.isOver && !isRead(source))
        next = Math.min(next, source.activeAt + idleMsOf(plan.nodes, stages, source.stage))
    return next
  }
}

/** How many records of its shard a task has not read. */
const unread = ({ shard, at }: SourceMemoryTask): number => shard.records.length - at

/** Whether its shard has come to its end: its children go on. */
const isRead = (source: SourceMemoryTask): boolean => source.shard.isSealed && unread(source) === 0
