import type { NodeId, PlanDescription } from '../operators/index.js'
import type { Clock } from '../runtime/index.js'
import type { TaskWork } from '../workers/index.js'
import { consumersOf, stepLabel, stepsOf } from './plan-steps.js'
import { RateMeter } from './rate-meter.js'

/** What a step has seen. */
export interface StepCount {
  /** The name of its state, or its place and kind. */
  readonly label: string
  readonly kind: string
  readonly rowsIn: number
  /** undefined where nothing follows. */
  readonly rowsOut: number | undefined
  readonly failures: number
  readonly events: ReadonlyMap<string, number>
}

/** What was counted at the nodes of a plan. */
export interface NodeCounts {
  readonly rowsIn: readonly number[]
  readonly failuresOf: readonly number[]
  readonly events: ReadonlyMap<NodeId, ReadonlyMap<string, number>>
}

/** Counts at the nodes of a plan since the start of the daemon. */
export class NodeMeter implements NodeCounts {
  readonly rowsIn: number[]
  readonly failuresOf: number[]
  /** What steps counted, such as `late`. */
  readonly events = new Map<NodeId, Map<string, number>>()

  readonly #rates: RateMeter

  constructor({ nodes }: PlanDescription, clock: Pick<Clock, 'monotonic'>) {
    this.#rates = new RateMeter(clock)
    this.rowsIn = nodes.map(() => 0)
    this.failuresOf = nodes.map(() => 0)
  }

  /** Rows that enter each node, per second. */
  get rates(): readonly number[] {
    return this.#rates.rates(this.rowsIn)
  }

  worked({ rowsIn, events }: TaskWork['counters']): void {
    this.#rates.willGrow(this.rowsIn)
    // Nodes that were put in between to send rows are behind those of the plan.
    for (let i = 0; i < this.rowsIn.length; i++) this.rowsIn[i] = (this.rowsIn[i] as number) + (rowsIn[i] ?? 0)
    countEvents(this.events, events)
  }

  failed(node: NodeId | undefined): void {
    if (node !== undefined) this.failuresOf[node] = (this.failuresOf[node] ?? 0) + 1
  }
}

export function stepCountsOf(plan: PlanDescription, { rowsIn, failuresOf, events }: NodeCounts): readonly StepCount[] {
  const consumers = consumersOf(plan.nodes)
  return stepsOf(plan).map((node, step) => {
    const id = step + 1
    const next = consumers[id] as readonly NodeId[]
    // A branch gives each value to one of its outputs, any other step to all that follow it.
    const rowsOut = next.map((each) => rowsIn[each] as number)
    return {
      label: stepLabel(node, step),
      kind: node.kind,
      rowsIn: rowsIn[id] as number,
      rowsOut:
        next.length === 0
          ? undefined
          : node.kind === 'branch'
            ? rowsOut.reduce((sum, rows) => sum + rows, 0)
            : Math.max(...rowsOut),
      failures: failuresOf[id] as number,
      events: events.get(id) ?? new Map<string, number>(),
    }
  })
}

/** Names of events of one step that are counted by themselves. */
const eventsMax = 64
/** Where all others are counted. */
const otherEvents = 'other'

/** Adds what a task counted. Names come from user code, so there may be any number of them. */
export function countEvents(into: Map<NodeId, Map<string, number>>, counted: TaskWork['counters']['events']): void {
  for (const { node, event, by } of counted) {
    const events = into.get(node) ?? new Map<string, number>()
    into.set(node, events)
    const name = events.has(event) || events.size < eventsMax ? event : otherEvents
    events.set(name, (events.get(name) ?? 0) + by)
  }
}
