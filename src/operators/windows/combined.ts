import type { KeyedContext, Row, RowCombiner } from '../task/keyed-operator.js'
import type { WindowAggregate } from './aggregates/aggregate.js'

/** The aggregate, which also takes rows that were put together before: their accumulators. */
export function takesParts(aggregate: WindowAggregate): WindowAggregate {
  const { add, merge } = aggregate
  if (!merge) return aggregate
  return {
    ...aggregate,
    add: (accumulator, row, context) =>
      row.parts ? merge(accumulator, row.value, context) : add(accumulator, row, context),
  }
}

/** Adds values to an accumulator where there is no context of the step yet: such an aggregate wants the key of it alone. */
export function partAdder({ add }: WindowAggregate): RowCombiner['add'] {
  // One of each for all rows: an aggregate that is combined keeps neither.
  const row: Mutable<Row> = { value: undefined, time: 0, stamp: 0, sequence: 0, parts: 0 }
  const context = { key: undefined as unknown }
  return (accumulator, value, { time, stamp, sequence }, key) => {
    row.value = value
    row.time = time
    row.stamp = stamp
    row.sequence = sequence
    context.key = key
    return add(accumulator, row, context as KeyedContext)
  }
}

type Mutable<Of> = { -readonly [Name in keyof Of]: Of[Name] }
