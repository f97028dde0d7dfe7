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
  /** Which windows they are and how they are kept, for people: state of others means nothing to them. */
  readonly windows: string
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
  const windows = windowsText(spec, early !== undefined)
  const bound = `${durationText(sizeMs)}${untilOver} of ${spec.domain} time`
  if (spec.kind === 'session') {
    if (!aggregate.merge) throw noMerge(where, 'a value that connects two sessions makes one of them')
    const make = () => new SessionWindows({ gapMs: sizeMs, latenessMs, clock }, aggregate, early ?? noEarly)
    return { make, bound: `until no value came for ${bound}`, windows, mapAccumulators: mapSessions }
  }
  if (spec.kind === 'sliding') {
    if (!aggregate.merge) throw noMerge(where, 'sliding windows are put together of parts')
    const mapPanes = (cell: unknown, run: (accumulator: unknown) => unknown): unknown =>
      mapAccumulators(cell, (times) => mapTimes(times, run))
    return {
      make: () => new SlidingWindows({ sizeMs, latenessMs, clock }, aggregate),
      bound,
      windows,
      mapAccumulators: mapPanes,
    }
  }
  const { stepMs, offsetMs } = spec
  const shape = { sizeMs, stepMs, offsetMs, latenessMs, clock }
  if (!early && (aggregate.merge || sizeMs === stepMs))
    return { make: () => new PaneWindows(shape, aggregate), bound, windows, mapAccumulators }
  const each = Math.ceil(sizeMs / stepMs)
  if (each > separateWindowsPerRowMax)
    throw invalid(
      `${where} adds each value to ${each} windows; ${separateWindowsPerRowMax} are allowed with early results or without a merge.`,
      'Make the step longer, leave early out, or give aggregate a merge function.',
    )
  const mapWindows = (cell: unknown, run: (accumulator: unknown) => unknown): unknown =>
    mapAccumulators(cell, (window) => ({
      ...(window as object),
      accumulator: run((window as { accumulator: unknown }).accumulator),
    }))
  const make = () => new SeparateWindows(shape, aggregate, early ?? noEarly)
  return { make, bound, windows, mapAccumulators: mapWindows }
}

/** Tumbling and hopping windows are kept otherwise with early results. */
function windowsText(spec: CheckedSpec, hasEarly: boolean): string {
  const time = spec.domain === 'event' ? '' : ' of processing time'
  const size = durationText(spec.sizeMs)
  if (spec.kind === 'session') return `session windows with a gap of ${size}${time}`
  if (spec.kind === 'sliding') return `sliding windows of ${size}${time}`
  const step = spec.kind === 'hopping' ? ` every ${durationText(spec.stepMs)}` : ''
  const offset = spec.offsetMs === 0 ? '' : ` with an offset of ${durationText(spec.offsetMs)}`
  return `${spec.kind} windows of ${size}${step}${offset}${time}${hasEarly ? ' with early results' : ''}`
}

const noMerge = (where: string, why: string): Error =>
  invalid(
    `${where} has no merge function, but ${why}.`,
    "aggregate('name', () => initial, fold, { merge: (a, b) => both })",
  )
