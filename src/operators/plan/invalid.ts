import { MillraceError } from '../../runtime/errors.js'

/** A pipeline that cannot be run as it is written: what is wrong, with the step, and what to do. */
export function invalid(message: string, remedy: string): MillraceError {
  return new MillraceError('PIPELINE_INVALID', message, { remedy })
}

/** The function that a step was given. Plain JavaScript may give anything. */
export function functionOf<Given>(given: Given, where: string, what = 'function'): Given & UserCallable {
  if (typeof given === 'function') return given as Given & UserCallable
  throw invalid(`${where} has no ${what}.`, 'Give it one.')
}

/** A whole number that was given for `what`. */
export function atLeast(least: number, given: unknown, what: string): number {
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= least) return given
  throw invalid(`${String(given)} is no ${what}.`, `Give a whole number of at least ${least}.`)
}

type UserCallable = (...values: never[]) => unknown
