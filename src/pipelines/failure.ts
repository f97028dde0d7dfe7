import { stepOf } from './plan-steps.js'
import type { Failure } from './rows.js'
import type { RunFailure } from './run.js'

/** The end of a run, as it is remembered and shown. */
export function failureOf(
  { error, stack, place, shard }: Pick<RunFailure, 'error' | 'stack' | 'place' | 'shard'>,
  at: number,
): Failure {
  return {
    code: error.code,
    message: error.message,
    stack,
    step: place.node === undefined ? undefined : stepOf(place.node),
    // A timer has none.
    sequence: (place.sequence ?? -1) < 0 ? undefined : place.sequence,
    shard,
    at,
  }
}
