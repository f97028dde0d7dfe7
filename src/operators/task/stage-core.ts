import { Outputs } from '../outputs.js'
import type { NodeId, PlanNode } from '../plan/nodes.js'
import { FiringShare } from './firing-share.js'
import { KeyDirectory, type KeySpace } from './key-directory.js'
import type { KeyEntry } from './key-entry.js'
import { KeyedState } from './keyed-state.js'
import type { KeyedStep } from './keyed-step.js'
import { nodeOfPlace, type ParkedQueue, type ParkedRow } from './parked.js'
import { Parking } from './parking.js'
import { StageRuntime } from './stage-runtime.js'
import { type KeyedMember, StageSteps } from './stage-steps.js'
import type { NodeWatermark, StageBarrier, StageTaskOptions, TaskCounters, TimerChange } from './stage-task.js'
import type { StageId, Stages } from './stages.js'
import { newAt } from './step.js'
import { StepTimers } from './step-timers.js'

/** What tasks of both kinds have: steps, state, timers, event time, and what a barrier takes of them. */
export class StageCore {
  readonly options: StageTaskOptions
  readonly runtime: StageRuntime
  readonly steps: StageSteps
  readonly nodes: readonly NodeId[]
  /** undefined: nothing waits, and an error ends the task. */
  readonly parking: Parking | undefined
  /** Whether anything in the plan asks for event time. */
  readonly usesTime: boolean
  /** Event time behind each node. */
  readonly #marks: number[]
  readonly #idles: boolean[]
  readonly #state: KeyedState
  readonly #timers: StepTimers[] = []
  /** What event time comes from at each node: of a merge of sources, those that another stage reads are no inputs here. */
  readonly #inputs: ReadonlyMap<NodeId, readonly NodeId[]>
  /** Keyed steps and exits by their place in `nodes`. */
  readonly #keyed: readonly (KeyedStep | undefined)[]

  constructor(options: StageTaskOptions, space: KeySpace) {
    this.options = options
    const { plan, stages, stage, host, isNew, bounds, sinkKeys, hashKeyName, restored, parking } = options
    this.nodes = stages.stages[stage]?.nodes ?? []
    this.#inputs = inputsOf(stages, stage)
    const members = membersOf(this.nodes, plan.nodes)
    const directory = new KeyDirectory(space, members.length)
    this.#state = new KeyedState({
      steps: members.map(({ id, node }) => ({ node: id, version: node.state.version })),
      directory,
      isNew,
      bytesMax: bounds.stateBytesMax,
      fetch: host.fetchCells,
      pack: host.pack,
      unpack: host.unpack,
    })
    const outputs = new Outputs(sinkKeys, bounds.effectBytesMax)
    this.runtime = new StageRuntime({
      host,
      nodes: stages.nodes.length,
      outputs,
      firing: new FiringShare(bounds.firing, outputs),
      directory,
      state: this.#state,
      keepsPartitions:
        parking !== undefined ||
        this.nodes.some((id) => plan.nodes[id]?.kind === 'keyByPartition' && !stages.isSent(id)),
      wantsPartition: parking !== undefined || this.nodes.some((id) => plan.nodes[id]?.kind === 'keyByPartition'),
      hashKeyName,
    })
    const marks = () => [...this.steps.eventTimes].map(([id, { watermark }]) => [id, watermark] as const)
    this.parking = parking && new Parking(parking, this.runtime, marks)
    const timersOf = (id: NodeId, slot: number, domain: 'event' | 'processing'): StepTimers => {
      const timers = new StepTimers({
        node: id,
        slot,
        domain,
        directory,
        isNew,
        most: bounds.timersMax,
        fetch: host.fetchTimers,
        released: (entry) => this.#state.release(entry),
      })
      this.#timers.push(timers)
      return timers
    }
    this.steps = new StageSteps(
      options,
      this.runtime,
      members.map(
        (member, slot): KeyedMember => ({
          ...member,
          slot,
          eventTimers: timersOf(member.id, slot, 'event'),
          processingTimers: timersOf(member.id, slot, 'processing'),
        }),
      ),
      this.parking,
    )
    this.#keyed = this.nodes.map((id) => this.steps.keyed.get(id))
    this.usesTime = plan.nodes.some(
      (node) => node.kind === 'eventTime' || (node.kind === 'keyed' && node.make().onTimer !== undefined),
    )
    this.#marks = new Array<number>(stages.nodes.length).fill(Number.NEGATIVE_INFINITY)
    this.#idles = new Array<boolean>(stages.nodes.length).fill(false)
    this.runtime.now = restored?.now ?? 0
    const before = restored?.watermarks ?? []
    for (const { node, watermark, keys } of before) if (!keys) this.#restore(node, watermark, before)
  }

  #restore(node: NodeId, watermark: number, marks: readonly NodeWatermark[]): void {
    this.#marks[node] = watermark
    const floors = marks.flatMap(({ keys, ...mark }) => (keys && mark.node === node ? [{ ...mark, keys }] : []))
    this.steps.keyed.get(node)?.restore(watermark, floors)
    const eventTime = this.steps.eventTimes.get(node)
    if (eventTime) eventTime.watermark = watermark
  }

  mark(node: NodeId): number {
    return this.#marks[node] as number
  }

  /** Event time at which rows come in. Takes effect with `advance`. */
  setMark(node: NodeId, watermark: number, isIdle: boolean): void {
    if (watermark > (this.#marks[node] as number)) this.#marks[node] = watermark
    this.#idles[node] = isIdle
  }

  /** Fetches the first timers of processing time, whose tick could not be told otherwise. */
  async start(): Promise<void> {
    this.begin()
    for (const step of this.steps.keyed.values()) {
      const pending = step.prime()
      if (pending) await pending
    }
    await this.advance()
  }

  /** Tries again what waits, queue by queue in their order. */
  async retry(queues: readonly ParkedQueue[]): Promise<void> {
    const { parking } = this
    for (const queue of queues) await parking?.retry(queue, (row, find) => this.#retryRow(queue, row, find))
  }

  async #retryRow({ place }: ParkedQueue, row: ParkedRow, find: () => KeyEntry): Promise<void> {
    this.begin()
    const entry = find()
    const node = nodeOfPlace(this.options.stages.nodes.length, place)
    if (row.kind === 'timer') await this.steps.keyed.get(node)?.retryTimer(row, entry)
    else {
      const { time, stamp, sequence, input, isKeyed } = row
      const at = { ...newAt(), time, stamp, sequence, partition: entry }
      const key = isKeyed ? { entry, key: entry.shown } : {}
      await this.steps.into(place, input)?.(this.options.host.unpack(row.value), Object.assign(at, key))
    }
    await this.flush()
  }

  /** A batch of rows, or of due timers, begins: nothing is on its way. */
  begin(): void {
    const { runtime } = this
    runtime.now = Math.max(runtime.now, this.options.host.now())
    this.#state.sweep()
    for (const timers of this.#timers) timers.sweep()
  }

  /** What was thrown, with the place of the user's code. */
  failure(error: unknown): unknown {
    return this.runtime.failure(error)
  }

  /** The rows of the batch are through all steps, and sent. */
  flush(): Promise<void> | undefined {
    const pending = this.#flushSteps()
    return pending ? pending.then(() => this.#flushExits()) : this.#flushExits()
  }

  #flushSteps(): Promise<void> | undefined {
    for (const step of this.steps.asyncMaps.values()) if (!step.isIdle) return this.#flushAll()
    for (const step of this.steps.keyed.values()) if (!step.isIdle) return this.#flushAll()
    return undefined
  }

  /** In order: what a step gives on is flushed with the steps behind it. */
  async #flushAll(): Promise<void> {
    for (const id of this.nodes) {
      await this.steps.asyncMaps.get(id)?.flush()
      await this.steps.keyed.get(id)?.flush()
    }
  }

  #flushExits(): Promise<void> | undefined {
    for (const exit of this.steps.exits.values()) {
      const pending = exit.flush()
      if (pending) return pending.then(() => this.#flushExits())
    }
    return undefined
  }

  /** Carries event time through the steps; what fires on the way is through before the steps behind it see the time. */
  advance(): Promise<void> | undefined {
    return this.usesTime ? this.#advanceFrom(0) : undefined
  }

  #advanceFrom(index: number): Promise<void> | undefined {
    for (let i = index; i < this.nodes.length; i++) {
      const id = this.nodes[i] as NodeId
      const before = this.mark(id)
      this.#combine(id)
      const exit = this.steps.exits.get(id)
      const pending = exit
        ? exit.flush(this.#idles[id] ? Number.POSITIVE_INFINITY : this.mark(id))
        : this.#advanceStep(i, id, before)
      if (pending) {
        return pending.then(() => {
          exit?.advance(this.mark(id), this.#idles[id] as boolean)
          return this.#advanceFrom(i + 1)
        })
      }
      exit?.advance(this.mark(id), this.#idles[id] as boolean)
    }
    return undefined
  }

  #advanceStep(index: number, id: NodeId, before: number): Promise<void> | undefined {
    const step = this.#keyed[index]
    const pending = step?.advance(this.mark(id))
    if (pending)
      return pending.then(() => {
        this.#holdBack(step, id, before)
        return this.#flushSteps()
      })
    this.#holdBack(step, id, before)
    return this.#flushSteps()
  }

  /** Behind a step whose timers wait, event time stands where it was: the steps behind it, and who begins again, know no later one. */
  #holdBack(step: KeyedStep | undefined, id: NodeId, before: number): void {
    if (!step?.isBehind) return
    this.#marks[id] = before
    this.#idles[id] = false
  }

  /** Behind a node: the lowest of its inputs that are not idle; the highest when all are. */
  #combine(id: NodeId): void {
    const eventTime = this.steps.eventTimes.get(id)
    const inputs = this.#inputs.get(id) ?? []
    if (inputs.length === 0) return
    let lowest = Number.POSITIVE_INFINITY
    let highest = Number.NEGATIVE_INFINITY
    let isIdle = true
    for (const input of inputs) {
      highest = Math.max(highest, this.#marks[input] as number)
      if (this.#idles[input]) continue
      isIdle = false
      lowest = Math.min(lowest, this.#marks[input] as number)
    }
    const mark = isIdle ? highest : lowest
    // The end of a bounded run is the end behind an `eventTime` too.
    this.setMark(id, eventTime && mark !== Number.POSITIVE_INFINITY ? eventTime.watermark : mark, isIdle)
  }

  tick(): Promise<void> | undefined {
    this.begin()
    const pending = this.#tickFrom(0)
    return pending ? pending.then(() => this.#flushExits()) : this.#flushExits()
  }

  #tickFrom(index: number): Promise<void> | undefined {
    for (let i = index; i < this.nodes.length; i++) {
      const pending = this.#keyed[i]?.fire('processing')
      const flushed = pending ? pending.then(() => this.#flushSteps()) : this.#flushSteps()
      if (flushed) return flushed.then(() => this.#tickFrom(i + 1))
    }
    return undefined
  }

  get nextTick(): number {
    let next = Number.POSITIVE_INFINITY
    for (const step of this.steps.keyed.values()) next = Math.min(next, step.nextTick)
    return next
  }

  /** Takes what the barrier takes; everything before it has been flushed. `entries` are where rows come in. */
  barrier(number: number, entries: readonly NodeId[]): StageBarrier {
    const timers: TimerChange[] = []
    for (const each of this.#timers) each.barrier(number, timers)
    this.runtime.firing.barrier()
    return {
      cells: this.#state.barrier(number),
      timers,
      outputs: this.runtime.outputs.barrier(),
      watermarks: this.usesTime ? this.#watermarks(entries) : [],
      now: this.runtime.now,
      parked: this.parking?.barrier() ?? [],
      isBehind: this.isBehind,
    }
  }

  /** Whether timers that are due wait for the next commit. */
  get isBehind(): boolean {
    for (const step of this.steps.keyed.values()) if (step.isBehind) return true
    return false
  }

  /** Whether they, or timers of processing time, wait for the next barrier. */
  get isHeld(): boolean {
    return this.runtime.firing.isHeld
  }

  /** Whether any timer has fired since the last barrier. */
  get hasFired(): boolean {
    return this.runtime.firing.hasFired
  }

  /** Fires some more of those that wait. */
  goOn(): Promise<void> | undefined {
    this.begin()
    this.runtime.firing.goOn()
    return this.advance()
  }

  #watermarks(entries: readonly NodeId[]): NodeWatermark[] {
    const ids = new Set([...entries, ...this.steps.eventTimes.keys(), ...this.steps.keyed.keys()])
    return [...ids].flatMap((node): NodeWatermark[] => {
      const watermark = this.steps.eventTimes.get(node)?.watermark ?? this.mark(node)
      const floors = this.steps.keyed.get(node)?.floors ?? []
      return [
        { node, watermark, isIdle: this.#idles[node] as boolean },
        ...floors.map(({ watermark, keys }) => ({ node, watermark, isIdle: false, keys })),
      ]
    })
  }

  /** Sends a barrier behind all rows so far. */
  sendBarrier(number: number): void {
    for (const exit of this.steps.exits.values()) exit.barrier(number)
  }

  committed(number: number): void {
    this.#state.committed(number)
    for (const timers of this.#timers) timers.committed(number)
  }

  counters(): TaskCounters {
    const { rowsIn, events } = this.runtime
    const counted = events.flatMap((ofNode, node) => [...ofNode].map(([event, by]) => ({ node, event, by })))
    const counters = { rowsIn: [...rowsIn], events: counted }
    rowsIn.fill(0)
    for (const ofNode of events) ofNode.clear()
    return counters
  }
}

function membersOf(ids: readonly NodeId[], nodes: readonly PlanNode[]) {
  return ids.flatMap((id) => {
    const node = nodes[id]
    return node?.kind === 'keyed' ? [{ id, node, operator: node.make() }] : []
  })
}

/** The inputs of each node that are in the stage, or where rows come into it. */
function inputsOf({ stages, nodes }: Stages, stage: StageId): ReadonlyMap<NodeId, readonly NodeId[]> {
  const own = stages[stage]
  if (!own) return new Map()
  const known = new Set([...own.nodes, ...(own.kind === 'source' ? [own.root] : own.entries)])
  return new Map(own.nodes.map((id) => [id, (nodes[id]?.inputs ?? []).filter((input) => known.has(input))]))
}
