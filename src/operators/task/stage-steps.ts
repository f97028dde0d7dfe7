import { MillraceError } from '../../runtime/errors.js'
import type { KeyedNode, NodeId, PlanNode, UserFunction } from '../plan/nodes.js'
import { AsyncMap } from './async-map.js'
import { Combining } from './combining.js'
import { EventTime } from './event-time.js'
import { Exit } from './exit.js'
import { guardedBranch, guardedEventTime, guardedExit, guardedSink, guardedStep, ledAside } from './guarded-steps.js'
import type { Slot } from './key-entry.js'
import type { KeyedOperator } from './keyed-operator.js'
import { KeyedStep } from './keyed-step.js'
import { entryPlace, type ParkPlace } from './parked.js'
import type { Parking } from './parking.js'
import { fanOut, type StageRuntime } from './stage-runtime.js'
import type { StageTaskOptions } from './stage-task.js'
import type { Push } from './step.js'
import type { StepTimers } from './step-timers.js'
import {
  branchStep,
  eventTimeStep,
  filterStep,
  flatMapStep,
  mapStep,
  partitionStep,
  passStep,
  peekStep,
  sinkStep,
  throughSink,
} from './value-steps.js'

/** A keyed step of the stage before it is compiled. */
export interface KeyedMember {
  readonly id: NodeId
  readonly node: KeyedNode
  readonly operator: KeyedOperator
  readonly slot: Slot
  readonly eventTimers: StepTimers
  readonly processingTimers: StepTimers
}

/** A synthetic keyBy: rows keep their key, and go to where they meet others of it. */
const ownKey: UserFunction = (_value: never, key: never) => key

/** The steps of one task, each compiled once: what comes out of a node is one function. */
export class StageSteps {
  readonly keyed = new Map<NodeId, KeyedStep>()
  readonly asyncMaps = new Map<NodeId, AsyncMap>()
  readonly exits = new Map<NodeId, Exit>()
  readonly eventTimes = new Map<NodeId, EventTime>()
  readonly #options: StageTaskOptions
  readonly #runtime: StageRuntime
  readonly #members: ReadonlyMap<NodeId, KeyedMember>
  readonly #parking: Parking | undefined
  /** Nodes of the stage, and the edges that lead to them: a node and the number of its input. */
  readonly #consumers = new Map<NodeId, { readonly id: NodeId; readonly input: number }[]>()
  readonly #pushes = new Map<NodeId, (input: number) => Push>()

  constructor(options: StageTaskOptions, runtime: StageRuntime, members: readonly KeyedMember[], parking?: Parking) {
    this.#options = options
    this.#parking = parking
    this.#runtime = runtime
    this.#members = new Map(members.map((member) => [member.id, member]))
    const { stages, stage } = options
    const { nodes } = stages.stages[stage] as { nodes: readonly NodeId[] }
    for (const id of nodes) {
      stages.nodes[id]?.inputs.forEach((from, input) => {
        const consumers = this.#consumers.get(from)
        if (consumers) consumers.push({ id, input })
        else this.#consumers.set(from, [{ id, input }])
      })
    }
    // From the ends on, so that the steps behind a step are there.
    for (const id of [...nodes].reverse()) this.#compile(id)
  }

  #eventTimeOf(outOfOrderMs: number): EventTime {
    return new EventTime(this.#options.holdsTime ? Number.POSITIVE_INFINITY : outOfOrderMs)
  }

  /** Takes what comes out of a node, or into the stage by a keyBy. */
  behind(id: NodeId): Push {
    return fanOut(this.#pushesTo(id, ({ kind }) => kind !== 'output'))
  }

  /** Takes what comes into the stage by a node. What took a run down is parked here, where nothing was made of it yet. */
  entry(id: NodeId): Push {
    const push = this.behind(id)
    const parking = this.#parking
    if (!parking) return push
    const place = entryPlace(this.#options.stages.nodes.length, id)
    return (value, at) => {
      const item = { kind: 'row', value, input: 0 } as const
      if (parking.waits(place, at)) return void parking.join(place, at, item)
      const poison = parking.poisonAt(undefined, at.sequence)
      if (poison) return void parking.park(place, at, item, poison.error, poison.attempts)
      return push(value, at)
    }
  }

  /** Takes what a step was to take by one of its inputs, or what was to come into the stage. */
  into(place: ParkPlace, input: number): Push | undefined {
    const { length } = this.#options.stages.nodes
    return place >= length ? this.behind(place - length) : this.#pushes.get(place)?.(input)
  }

  #pushesTo(id: NodeId, wants: (node: { readonly kind: PlanNode['kind'] }, id: NodeId) => boolean): Push[] {
    return (this.#consumers.get(id) ?? [])
      .filter((edge) => wants(this.#options.stages.nodes[edge.id] as PlanNode, edge.id))
      .map((edge) => (this.#pushes.get(edge.id) as (input: number) => Push)(edge.input))
  }

  /** Takes what a branch or a keyed step gives to the output of a name. */
  #output(id: NodeId, names: readonly string[]): Push {
    return fanOut(
      this.#pushesTo(id, (_, consumer) => {
        const node = this.#options.plan.nodes[consumer]
        return node?.kind === 'output' && names.includes(node.output)
      }),
    )
  }

  #compile(id: NodeId): void {
    const { stages, plan } = this.#options
    if (stages.stageOfExit.has(id)) return this.#compileExit(id)
    const node = plan.nodes[id] as PlanNode
    if (node.kind === 'keyed') return this.#compileKeyed(id, node)
    const parking = this.#parking
    const plain = (): Push => this.#compileNode(id, node)
    const push = parking?.isCareful
      ? (this.#compileGuarded(parking, id, node) ?? plain())
      : parking?.hasAny(id)
        ? ledAside(parking, id, plain())
        : plain()
    this.#pushes.set(id, () => push)
  }

  #compileExit(id: NodeId): void {
    const { stages, plan, tasksOf, bounds } = this.#options
    const node = plan.nodes[id]
    const run = node === undefined ? ownKey : node.kind === 'keyBy' ? node.run : undefined
    const tasks = tasksOf(stages.stageOfExit.get(id) as number)
    const exit = new Exit(this.#runtime, id, run, tasks, bounds.messageRowsMax, this.#combiningAt(id))
    this.exits.set(id, exit)
    const parking = this.#parking
    const push = parking?.isCareful
      ? guardedExit(this.#runtime, parking, exit)
      : parking?.hasAny(id)
        ? ledAside(parking, id, exit.push)
        : exit.push
    this.#pushes.set(id, () => push)
  }

  /** Where rows go to one step alone, which wants to know only what they come to. Rows that may be parked stay single. */
  #combiningAt(exit: NodeId): Combining | undefined {
    const { stages, plan } = this.#options
    if (this.#parking) return undefined
    const behind = stages.nodes.flatMap(({ inputs }, id) => (inputs.includes(exit) ? [id] : []))
    const [id] = behind
    const node = id === undefined ? undefined : plan.nodes[id]
    if (behind.length !== 1 || id === undefined || node?.kind !== 'keyed' || node.inputs.length !== 1) return undefined
    // What comes too late is wanted row by row.
    const hasSides = plan.nodes.some((other) => other.kind === 'output' && other.inputs[0] === id)
    const operator = node.make()
    return hasSides || !operator.combiner ? undefined : new Combining(this.#runtime, id, operator, operator.combiner)
  }

  #compileKeyed(id: NodeId, node: KeyedNode): void {
    const member = this.#members.get(id) as KeyedMember
    const sides = new Map(node.sides.map((side) => [side, this.#output(id, [side])]))
    const waits = this.#parking?.isCareful || this.#parking?.hasAny(id)
    const parking = waits ? this.#parking : undefined
    const step = new KeyedStep({ ...member, runtime: this.#runtime, next: this.behind(id), sides, parking })
    this.keyed.set(id, step)
    this.#pushes.set(id, (input) => step.push(input))
  }

  /** The step in careful mode; undefined where it has no user code. */
  #compileGuarded(parking: Parking, id: NodeId, node: PlanNode): Push | undefined {
    const runtime = this.#runtime
    switch (node.kind) {
      case 'branch':
        return guardedBranch(runtime, parking, id, node, this.#branches(id, node))
      case 'eventTime': {
        const eventTime = this.#eventTimeOf(node.time.outOfOrderMs)
        this.eventTimes.set(id, eventTime)
        return guardedEventTime(runtime, parking, id, node, eventTime, this.behind(id))
      }
      case 'sink':
        return guardedSink(runtime, parking, id, node.sink)
      case 'through':
        return guardedSink(runtime, parking, id, throughSink(node))
      default:
        return guardedStep(runtime, parking, id, node, this.behind(id))
    }
  }

  #branches(id: NodeId, node: Extract<PlanNode, { kind: 'branch' }>): readonly Push[] {
    const rest = node.runs.length
    const outputs = node.runs.map((_, i) => this.#output(id, [String(i)]))
    return [...outputs, this.#output(id, [String(rest), 'rest'])]
  }

  #compileNode(id: NodeId, node: PlanNode): Push {
    const runtime = this.#runtime
    switch (node.kind) {
      case 'source':
      case 'merge':
      case 'output':
        return passStep(runtime, id, this.behind(id))
      case 'filter':
        return filterStep(runtime, id, node.run, this.behind(id))
      case 'map':
        return mapStep(runtime, id, node.run, this.behind(id))
      case 'peek':
        return peekStep(runtime, id, node.run, this.behind(id))
      case 'flatMap':
        return flatMapStep(runtime, id, node.run, this.behind(id))
      case 'branch':
        return branchStep(runtime, id, node.runs, this.#branches(id, node))
      case 'eventTime': {
        const eventTime = this.#eventTimeOf(node.time.outOfOrderMs)
        this.eventTimes.set(id, eventTime)
        return eventTimeStep(runtime, id, node.time.run, eventTime, this.behind(id))
      }
      case 'asyncMap': {
        const step = new AsyncMap(runtime, id, node, this.behind(id))
        this.asyncMaps.set(id, step)
        return step.push
      }
      case 'keyByPartition':
        return partitionStep(runtime, id, this.behind(id))
      case 'sink':
        return sinkStep(runtime, id, node.sink)
      case 'through':
        return sinkStep(runtime, id, throughSink(node))
      default:
        throw new MillraceError('INTERNAL', `Node ${id} (${node.kind}) has no place within a stage.`)
    }
  }
}
