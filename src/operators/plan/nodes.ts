import type { KeyedOperator } from '../task/keyed-operator.js'
import type { SinkPlan } from './sink-plan.js'
import type { SourcePlan } from './source-plan.js'

/** Index of a node in its plan. Inputs come before the nodes that take them. */
export type NodeId = number

/** A function of the user's, called with the value and, behind a key, that key. */
export type UserFunction = (value: never, key: never) => unknown

/** How event time is found, and how far it may be out of order. */
export interface EventTimePlan {
  /** Milliseconds since 1970 of a value; without it, the record's own time. */
  readonly run: UserFunction | undefined
  /** Longest time, ms, by which a value may come after a later one of its source shard without being late. */
  readonly outOfOrderMs: number
  /** A source shard that gives nothing for so long, ms, holds no watermark back. */
  readonly idleMs: number
}

/** State of a named step across deploys. */
export interface StatePlan {
  /** Raised when the shape of the state changes. */
  readonly version: number
  /** Makes a state of this version from one of an older version. */
  readonly migrate: ((state: unknown, fromVersion: number) => unknown) | undefined
  /** State of a key that was not written for so long, ms of processing time, is forgotten. */
  readonly ttlMs: number | undefined
}

/** A step that keeps state per key. */
export interface KeyedNode {
  readonly kind: 'keyed'
  /** What it does, as people know it: `count`, `tumbling.sum`, `join`, `pattern`. */
  readonly operator: string
  /** Names its state, its metrics, its errors; one of a kind in the plan. */
  readonly name: string
  readonly inputs: readonly NodeId[]
  /** Names of its side outputs, such as `late`. */
  readonly sides: readonly string[]
  readonly state: StatePlan
  /** What bounds its state, for people: `10 minutes`, `per key: one number`. */
  readonly bound?: string
  /** Which windows it has, for people: those of another text cannot go on with its state. */
  readonly windows?: string
  readonly make: () => KeyedOperator
}

/** A node of a plan. Functions are the user's own. */
export type PlanNode =
  | { readonly kind: 'source'; readonly source: SourcePlan; readonly inputs: readonly [] }
  | { readonly kind: 'eventTime'; readonly inputs: readonly [NodeId]; readonly time: EventTimePlan }
  | {
      readonly kind: 'filter' | 'map' | 'flatMap' | 'peek'
      readonly inputs: readonly [NodeId]
      readonly run: UserFunction
    }
  | {
      readonly kind: 'asyncMap'
      readonly inputs: readonly [NodeId]
      readonly run: UserFunction
      /** Promises of one task at a time. */
      readonly concurrency: number
      readonly isOrdered: boolean
      readonly timeoutMs: number
    }
  /** Gives each value to the first output whose function is true; to the last output, `rest`, when none is. */
  | { readonly kind: 'branch'; readonly inputs: readonly [NodeId]; readonly runs: readonly UserFunction[] }
  /** One output of a branch (`0`, `1`, ...), or a side output of a keyed step (`late`). */
  | { readonly kind: 'output'; readonly inputs: readonly [NodeId]; readonly output: string }
  | { readonly kind: 'merge'; readonly inputs: readonly NodeId[] }
  /** What follows belongs to the key that the function gives; rows go to the task that owns it. */
  | { readonly kind: 'keyBy'; readonly inputs: readonly [NodeId]; readonly run: UserFunction }
  /** What follows belongs to the source's own partition key; rows stay where they are. */
  | { readonly kind: 'keyByPartition'; readonly inputs: readonly [NodeId] }
  | KeyedNode
  | { readonly kind: 'sink'; readonly inputs: readonly [NodeId]; readonly name: string; readonly sink: SinkPlan }
  /** A stream that stands between: what comes in is appended to it, and what follows reads it. */
  | {
      readonly kind: 'through'
      readonly inputs: readonly [NodeId]
      readonly stream: string
      readonly run: UserFunction
    }

/** What becomes of a record that its step cannot take: it is parked and others go on, or its pipeline stops before it. */
export type OnError = 'park' | 'stop'

/** What a pipeline is: data, and the user's functions. */
export interface PipelinePlan {
  readonly version: 2
  readonly name: string
  /** Absent: as the daemon is configured (`pipelines.onError`). */
  readonly onError?: OnError
  readonly nodes: readonly PlanNode[]
}
