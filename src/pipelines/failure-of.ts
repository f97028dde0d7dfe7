import { stepOf } from './plan-steps.js'
import type { Failure } from './rows.js'
import type { RunFailure } from './run.js'

/** Why a run ended, as it is shown and stored. `at`: milliseconds since 1970. */
export function failureOf({ error, stack, place, shard }: RunFailure, at: number): Failure {
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
