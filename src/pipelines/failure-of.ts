import { stepOf } from './plan-steps.js'
import type { Failure } from './rows.js'
import type { RunFailure } from './run.js'

/** What is remembered of a failed run. `at`: milliseconds since 1970. */
export function failureOf(
  { error, stack, place, shard }: Pick<RunFailure, 'error' | 'stack' | 'place' | 'shard'>,
  at: number,
): Failure {
  const { node, sequence = -1 } = place
  const step = node === undefined ? undefined : stepOf(node)
  // A timer has no sequence number.
  return {
    code: error.code,
    message: error.message,
    stack,
    step,
    sequence: sequence < 0 ? undefined : sequence,
    shard,
    at,
  }
}
