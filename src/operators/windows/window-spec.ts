import { type Duration, durationMs, durationText } from '../plan/duration.js'
import { invalid } from '../plan/invalid.js'
import { checkMembers, type Members } from '../plan/members.js'
import type { TimeDomain } from '../task/keyed-operator.js'

/** The longest window, gap or lateness: a hundred years. */
export const windowMsMax = 36_500 * 86_400_000
/** Windows that one row may be in. */
export const windowsPerRowMax = 10_000
/** The same where each window is kept apart: with early results, or without a merge. */
export const separateWindowsPerRowMax = 1000

export interface TimeOptions {
  /** Event time, the default, or processing time: the clock of the daemon. */
  readonly time?: TimeDomain
}

export interface AlignedOptions extends TimeOptions {
  /** How long after 00:00 UTC of 1 January 1970 some window begins; 0 by default. A day from 22:00 UTC has `22h`. */
  readonly offset?: Duration
}

/** Which windows; made by `tumbling`, `hopping`, `sliding` and `session`. */
export type WindowSpec =
  | {
      readonly kind: 'tumbling' | 'hopping'
      readonly size: Duration
      readonly step: Duration
      readonly options: AlignedOptions
    }
  | { readonly kind: 'sliding' | 'session'; readonly size: Duration; readonly options: TimeOptions }

/** Windows of one size, one behind the other: each row is in one. */
export const tumbling = (size: Duration, options: AlignedOptions = {}): WindowSpec => ({
  kind: 'tumbling',
  size,
  step: size,
  options,
})

/** Windows of one size that begin every step: a row is in size / step of them. */
export const hopping = (size: Duration, step: Duration, options: AlignedOptions = {}): WindowSpec => ({
  kind: 'hopping',
  size,
  step,
  options,
})

/** For each time at which a key has rows, a window that ends there: the rows of the last `size` up to and with them. */
export const sliding = (size: Duration, options: TimeOptions = {}): WindowSpec => ({ kind: 'sliding', size, options })

/** Rows of which each comes at most a gap behind the one before. */
export const session = (gap: Duration, options: TimeOptions = {}): WindowSpec => ({
  kind: 'session',
  size: gap,
  options,
})

/** A spec that has been checked. Milliseconds. */
export type CheckedSpec = { readonly domain: TimeDomain } & (
  | {
      readonly kind: 'tumbling' | 'hopping'
      readonly sizeMs: number
      readonly stepMs: number
      readonly offsetMs: number
    }
  | { readonly kind: 'sliding'; readonly sizeMs: number }
  /** The gap is the size. */
  | { readonly kind: 'session'; readonly sizeMs: number }
)

const timeMembers: Members<TimeOptions> = { time: true }
const alignedMembers: Members<AlignedOptions> = { ...timeMembers, offset: true }

/** Throws PIPELINE_INVALID, which names the step. */
export function checkedSpec(spec: WindowSpec, where: string): CheckedSpec {
  // Plain JavaScript may give anything.
  const { kind, size, options } = (spec ?? {}) as Partial<WindowSpec>
  if (kind === undefined || !['tumbling', 'hopping', 'sliding', 'session'].includes(kind))
    throw invalid(
      `${where} was given no windows.`,
      "Give it tumbling('10s'), hopping('10s', '2s'), sliding('10s') or session('30s').",
    )
  const isAligned = kind === 'tumbling' || kind === 'hopping'
  checkMembers<TimeOptions>(options, isAligned ? alignedMembers : timeMembers, `${where}, in its ${kind} windows,`)
  const domain = options?.time ?? 'event'
  if (domain !== 'event' && domain !== 'processing')
    throw invalid(`${where} goes by ${JSON.stringify(domain)} time.`, "Give time: 'event' or time: 'processing'.")
  const what = kind === 'session' ? 'the gap' : 'the size'
  const sizeMs = windowMs(size as Duration, `${what} of ${kind} windows in ${where}`)
  if (kind === 'sliding' || kind === 'session') return { kind, domain, sizeMs }
  return { kind, domain, sizeMs, ...checkedSteps(spec as AlignedSpec, sizeMs, where) }
}

type AlignedSpec = Extract<WindowSpec, { readonly step: Duration }>

function checkedSteps(
  { step, options }: AlignedSpec,
  sizeMs: number,
  where: string,
): {
  readonly stepMs: number
  readonly offsetMs: number
} {
  const stepMs = windowMs(step, `the step of hopping windows in ${where}`)
  if (stepMs > sizeMs)
    throw invalid(
      `${where} has windows of ${durationText(sizeMs)} every ${durationText(stepMs)}: what comes between them would be in none.`,
      'Make the step as long as the size or shorter; filter first where values are to be left out.',
    )
  if (sizeMs / stepMs > windowsPerRowMax)
    throw invalid(
      `${where} puts each value into ${Math.ceil(sizeMs / stepMs)} windows; ${windowsPerRowMax} are allowed.`,
      `Make the step ${durationText(Math.ceil(sizeMs / windowsPerRowMax))} or longer.`,
    )
  const offset = options.offset ?? 0
  return { stepMs, offsetMs: windowMs(offset, `the offset of windows in ${where}`, 0) % stepMs }
}

/** Milliseconds of a duration that windows can have. */
export function windowMs(duration: Duration, what: string, least = 1): number {
  const ms = durationMs(duration, what, least)
  if (ms <= windowMsMax) return ms
  throw invalid(
    `${JSON.stringify(duration)} is too long for ${what}.`,
    `${durationText(windowMsMax)} are the longest; state that is kept for ever needs no window.`,
  )
}
