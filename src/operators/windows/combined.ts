import { isThenable } from '../keyed/thenable.js'
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

/** Times of the first and the last of some rows of which each is at most a gap behind the one before. */
export interface Stretch {
  readonly start: number
  readonly last: number
}

/** Rows of a session that were put together. */
export interface SessionPart extends Stretch {
  readonly accumulator: unknown
}

/**
 * Rows of one key in a stretch of a quarter of the gap: they are of one session. A session that ends without them would have
 * ended where they begin, at the earliest, so they are there before event time is.
 */
export function sessionCombiner(gapMs: number, aggregate: WindowAggregate): RowCombiner {
  const stretchMs = Math.max(1, Math.floor(gapMs / 4))
  const add = partAdder(aggregate)
  return {
    partOf: ({ time, stamp }) => (time > stamp ? Math.floor(time / stretchMs) : undefined),
    add: (before, value, row, key) => {
      const part = before as Mutable<SessionPart> | undefined
      const { time } = row
      const accumulator = add(part?.accumulator, value, row, key)
      if (isThenable(accumulator)) return Promise.resolve(accumulator).then((given) => longer(part, time, given))
      return longer(part, time, accumulator)
    },
    heldUntil: (stretch) => stretch * stretchMs,
  }
}

function longer(part: Mutable<SessionPart> | undefined, time: number, accumulator: unknown): SessionPart {
  if (!part) return { start: time, last: time, accumulator }
  part.accumulator = accumulator
  if (time < part.start) part.start = time
  if (time > part.last) part.last = time
  return part
}

type Mutable<Of> = { -readonly [Name in keyof Of]: Of[Name] }
