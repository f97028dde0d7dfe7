import type { SinkPlan } from './sink-plan.js'
import type { SourcePlan } from './source-plan.js'

/** Where a pipeline's records come from: their type, and that of the source's own key. */
export interface Source<Value, Key> {
  readonly source: SourcePlan
  /** Types only. */
  readonly value?: Value
  readonly key?: Key
}

/** Where results go. */
export interface Sink<Value, Key> {
  readonly sink: SinkPlan
  /** Types only: sinks take values, so this is contravariant. */
  readonly takes?: (value: Value, key: Key) => void
}
