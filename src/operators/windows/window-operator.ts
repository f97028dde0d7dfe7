import { durationText } from '../plan/duration.js'
import { invalid } from '../plan/invalid.js'
import type { KeyedOperator } from '../task/keyed-operator.js'
import type { WindowAggregate } from './aggregates/aggregate.js'
import { mapAccumulators } from './open-panes.js'
import { PaneWindows } from './pane-windows.js'
import { SeparateWindows } from './separate-windows.js'
import { mapSessions, SessionWindows } from './session-windows.js'
import { mapTimes, SlidingWindows } from './sliding-windows.js'
import { eventClock, processingClock } from './window-clock.js'
import type { CheckedOptions } from './window-options.js'
import { type CheckedSpec, separateWindowsPerRowMax } from './window-spec.js'

const noEarly = { everyMs: undefined, count: undefined }

/** How one kind of window and one aggregate are run. */
export interface WindowOperator {
  readonly make: () => KeyedOperator
  /** What bounds the state, for people. */
  readonly bound: string
  /** A cell of the operator with a function applied to each accumulator in it. */
  readonly mapAccumulators: (cell: unknown, run: (accumulator: unknown) => unknown) => unknown
}

/** Throws PIPELINE_INVALID, which names the step, for an aggregate that the windows cannot be made of. */
export function windowOperator(
  spec: CheckedSpec,
  { latenessMs, early }: CheckedOptions,
  aggregate: WindowAggregate,
  where: string,
): WindowOperator {
  const clock = spec.domain === 'event' ? eventClock : processingClock
  const { sizeMs } = spec
  const untilOver = latenessMs > 0 ? ` and ${durationText(latenessMs)} of lateness` : ''
  const bound = `${durationText(sizeMs)}${untilOver} of ${spec.domain} time`
  if (spec.kind === 'session') {
    if (!aggregate.merge) throw noMerge(where, 'a value that connects two sessions makes one of them')
    const make = () => new SessionWindows({ gapMs: sizeMs, latenessMs, clock }, aggregate, early ?? noEarly)
    return { make, bound: `until no value came for ${bound}`, mapAccumulators: mapSessions }
  }
  if (spec.kind === 'sliding') {
    if (!aggregate.merge) throw noMerge(where, 'sliding windows are put together of parts')
    const mapPanes = (cell: unknown, run: (accumulator: unknown) => unknown): unknown =>
      mapAccumulators(cell, (times) => mapTimes(times, run))
    return {
      make: () => new SlidingWindows({ sizeMs, latenessMs, clock }, aggregate),
      bound,
      mapAccumulators: mapPanes,
    }
  }
  const { stepMs, offsetMs } = spec
  const shape = { sizeMs, stepMs, offsetMs, latenessMs, clock }
  if (!early && (aggregate.merge || sizeMs === stepMs))
    return { make: () => new PaneWindows(shape, aggregate), bound, mapAccumulators }
  const windows = Math.ceil(sizeMs / stepMs)
  if (windows > separateWindowsPerRowMax)
    throw invalid(
      `${where} adds each value to ${windows} windows; ${separateWindowsPerRowMax} are allowed with early results or without a merge.`,
      'Make the step longer, leave early out, or give aggregate a merge function.',
    )
  const mapWindows = (cell: unknown, run: (accumulator: unknown) => unknown): unknown =>
    mapAccumulators(cell, (window) => ({
      ...(window as object),
      accumulator: run((window as { accumulator: unknown }).accumulator),
    }))
  return { make: () => new SeparateWindows(shape, aggregate, early ?? noEarly), bound, mapAccumulators: mapWindows }
}

const noMerge = (where: string, why: string): Error =>
  invalid(
    `${where} has no merge function, but ${why}.`,
    "aggregate('name', () => initial, fold, { merge: (a, b) => both })",
  )
