import { packState } from '../../src/operators/task/index.js'

/** A row that has failed as often as it may, as it is parked. */
export const failedRow = {
  kind: 'row',
  value: packState(1),
  input: 0,
  isKeyed: false,
  time: 0,
  stamp: 0,
  sequence: 1,
  marks: [],
  at: 0,
  attempts: 2,
} as const
