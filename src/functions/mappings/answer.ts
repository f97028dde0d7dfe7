import type { FunctionAnswer } from '../types.js'
import type { LastAnswer, Outcome } from './core/index.js'
import { isObject } from './json-object.js'

/** What an invocation was about. */
export interface Asked {
  /** The place in the batch of a record that the function names by its sequence number; undefined: it is none of the batch. */
  readonly placeOf: (itemIdentifier: string) => number | undefined
  /** The function may report the records that failed. */
  readonly reports: boolean
  /** A tumbling window is open: the answer brings its state along. */
  readonly isAggregating: boolean
}

/**
 * What the answer of a function says of its batch (AWS Lambda Developer Guide, "Reporting batch item failures" and "Time
 * windows"). Whatever cannot be understood is a failure: nothing is lost by it.
 */
export function outcomeOf(answer: FunctionAnswer, asked: Asked): Outcome {
  const { requestId, functionError } = answer
  if (functionError !== undefined) return { kind: 'failed', last: { requestId, functionError } }
  const last: LastAnswer = { requestId, functionError: null }
  if (!asked.reports && !asked.isAggregating) return { kind: 'succeeded' }
  const value = parsed(answer.payload)
  let state: string | undefined
  if (asked.isAggregating) {
    const given = isObject(value) ? value.state : undefined
    if (!isObject(given)) return { kind: 'failed', last }
    state = JSON.stringify(given)
  }
  const whole: Outcome = state === undefined ? { kind: 'succeeded' } : { kind: 'succeeded', state }
  if (!asked.reports) return whole
  const from = firstFailure(value, asked.placeOf)
  if (from === undefined) return whole
  if (from === 0) return { kind: 'failed', last }
  return { kind: 'partial', from, last, ...(state === undefined ? {} : { state }) }
}

/** The place of the first record that is reported; undefined: none is. 0, the whole batch, where the report is no report. */
function firstFailure(value: unknown, placeOf: Asked['placeOf']): number | undefined {
  if (value === null || value === undefined || value === '') return undefined
  if (Array.isArray(value)) return value.length === 0 ? undefined : 0
  if (!isObject(value)) return 0
  const failures = value.batchItemFailures
  if (failures === null || failures === undefined) return undefined
  if (!Array.isArray(failures)) return 0
  let first: number | undefined
  for (const failure of failures) {
    const identifier: unknown = isObject(failure) ? failure.itemIdentifier : undefined
    const place = typeof identifier === 'string' ? placeOf(identifier) : undefined
    if (place === undefined) return 0
    if (first === undefined || place < first) first = place
  }
  return first
}

function parsed(payload: string): unknown {
  if (payload === '') return null
  try {
    return JSON.parse(payload)
  } catch {
    return payload
  }
}
