import { withState } from '../keyed/state.js'
import type { KeyedOperator } from '../task/keyed-operator.js'
import type { KeyedNode } from './nodes.js'
import { type StateOptions, statePlan } from './state-plan.js'
import { joined, nextStep, type Trail } from './trail.js'

/** A step that keeps state per key, as the method that makes it describes it. */
export interface KeyedStep {
  /** What it does, as people know it: `count`, `tumbling.sum`, `join`. */
  readonly operator: string
  readonly name: string
  /** Makes the operator; one instance serves all keys of a task. */
  readonly make: () => KeyedOperator
  readonly sides?: readonly string[]
  /** What bounds its state, for people. */
  readonly bound?: string
  /** Which windows it has, for people. */
  readonly windows?: string
  readonly options?: StateOptions | undefined
}

/** Adds a step that keeps state per key behind one flow, or several that meet in it (a join: left, right). */
export function withKeyedStep(trails: readonly [Trail, ...Trail[]], step: KeyedStep): Trail {
  const { operator, name, make, sides = [], bound, windows, options } = step
  const state = statePlan(options, nextStep(trails[0], operator))
  const node: Omit<KeyedNode, 'inputs'> = {
    kind: 'keyed',
    operator,
    name,
    sides,
    state,
    ...(bound === undefined ? {} : { bound }),
    ...(windows === undefined ? {} : { windows }),
    make: () => withState(make(), state),
  }
  return joined(trails, node)
}
