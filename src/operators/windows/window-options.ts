import { type Duration, durationText } from '../plan/duration.js'
import { atLeast, invalid } from '../plan/invalid.js'
import { checkMembers } from '../plan/members.js'
import type { EarlyTrigger } from './early.js'
import { type CheckedSpec, windowMs } from './window-spec.js'

export interface WindowOptions {
  /**
   * How long behind its end a window still takes late rows, each of which gives a corrected result (`late`); 0 by default.
   * What is later goes to the side output `late`.
   */
  readonly allowedLateness?: Duration
  /** Results before the window is over (`early`); none by default. */
  readonly early?: {
    /** At most one in so long of processing time, if there is something new. */
    readonly every?: Duration
    /** One for every so many values. */
    readonly count?: number
  }
}

/** Options that have been checked. */
export interface CheckedOptions {
  readonly latenessMs: number
  readonly early: EarlyTrigger | undefined
}

/** Throws PIPELINE_INVALID, which names the step. */
export function checkedOptions(options: WindowOptions, { kind, domain }: CheckedSpec, where: string): CheckedOptions {
  checkMembers<WindowOptions>(options, { allowedLateness: true, early: true }, where)
  const { allowedLateness = 0, early } = options
  const latenessMs = windowMs(allowedLateness, `allowedLateness of ${where}`, 0)
  if (latenessMs > 0 && domain === 'processing')
    throw invalid(
      `${where} allows a lateness of ${durationText(latenessMs)} in processing time, in which nothing is late.`,
      "Leave allowedLateness out, or give time: 'event'.",
    )
  if (!early) return { latenessMs, early: undefined }
  checkMembers<typeof early>(early, { every: true, count: true }, `early of ${where}`)
  const { every, count } = early
  if (every === undefined && count === undefined)
    throw invalid(`${where} is to give early results, but not when.`, "Give early: { every: '1s' } or { count: 100 }.")
  if (kind === 'sliding')
    throw invalid(
      `${where} is to give early results of sliding windows, which give one for each value as it is.`,
      'Leave early out, or use hopping windows.',
    )
  return {
    latenessMs,
    early: {
      everyMs: every === undefined ? undefined : windowMs(every, `early.every of ${where}`),
      count: count === undefined ? undefined : atLeast(1, count, `early.count of ${where}`),
    },
  }
}
