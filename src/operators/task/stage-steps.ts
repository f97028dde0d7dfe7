import { MillraceError } from '../../runtime/errors.js'
import type { KeyedNode, NodeId, PlanNode, UserFunction } from '../plan/nodes.js'
import { AsyncMap } from './async-map.js'
import { EventTime } from './event-time.js'
import { Exit } from './exit.js'
import type { Slot } from './key-entry.js'
import type { KeyedOperator } from './keyed-operator.js'
import { KeyedStep } from './keyed-step.js'
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
  /** Nodes of the stage, and the edges that lead to them: a node and the number of its input. */
  readonly #consumers = new Map<NodeId, { readonly id: NodeId; readonly input: number }[]>()
  readonly #pushes = new Map<NodeId, (input: number) => Push>()

  constructor(options: StageTaskOptions, runtime: StageRuntime, members: readonly KeyedMember[]) {
    this.#options = options
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

  /** Takes what comes out of a node, or into the stage by a keyBy. */
  behind(id: NodeId): Push {
    return fanOut(this.#pushesTo(id, ({ kind }) => kind !== 'output'))
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
    const push = this.#compileNode(id, node)
    this.#pushes.set(id, () => push)
  }

  #compileExit(id: NodeId): void {
    const { stages, plan, tasksOf, bounds } = this.#options
    const node = plan.nodes[id]
    const run = node === undefined ? ownKey : node.kind === 'keyBy' ? node.run : undefined
    const tasks = tasksOf(stages.stageOfExit.get(id) as number)
    const exit = new Exit(this.#runtime, id, run, tasks, bounds.messageRowsMax)
    this.exits.set(id, exit)
    this.#pushes.set(id, () => exit.push)
  }

  #compileKeyed(id: NodeId, node: KeyedNode): void {
    const member = this.#members.get(id) as KeyedMember
    const sides = new Map(node.sides.map((side) => [side, this.#output(id, [side])]))
    const step = new KeyedStep({ ...member, runtime: this.#runtime, next: this.behind(id), sides })
    this.keyed.set(id, step)
    this.#pushes.set(id, (input) => step.push(input))
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
      case 'branch': {
        const rest = node.runs.length
        const outputs = node.runs.map((_, i) => this.#output(id, [String(i)]))
        return branchStep(runtime, id, node.runs, [...outputs, this.#output(id, [String(rest), 'rest'])])
      }
      case 'eventTime': {
        const eventTime = new EventTime(node.time.outOfOrderMs)
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
