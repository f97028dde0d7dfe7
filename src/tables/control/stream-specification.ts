import type { ViewType } from '../catalogue/table-row.js'
import { validation } from '../requests/aws-error.js'
import { type Constraints, flag, type Input, object, oneOf } from '../requests/request.js'

const views: readonly ViewType[] = ['OLD_IMAGE', 'KEYS_ONLY', 'NEW_AND_OLD_IMAGES', 'NEW_IMAGE']

const words = {
  create: {
    missing: 'Table is being created with a stream enabled, UpdateViewType is required',
    needless: 'Table is being created with a stream disabled, UpdateViewType should not be specified',
  },
  update: {
    missing: 'If stream is being enabled then UpdateViewType is required',
    needless: 'If stream is being disabled, then UpdateViewType must not be specified',
  },
} as const

/** Reads StreamSpecification. Adds to the constraints. */
export function readStream(
  input: Input,
  constraints: Constraints,
  operation: 'create' | 'update',
): ViewType | 'off' | undefined {
  const given = object(input, 'StreamSpecification')
  if (!given) return undefined
  const view = oneOf(given, 'StreamViewType', 'streamSpecification.streamViewType', views, constraints)
  const isOn = flag(given, 'StreamEnabled')
  constraints.check(isOn !== undefined, 'streamSpecification.streamEnabled', undefined, 'Member must not be null')
  if ((isOn === true && view === undefined) || (isOn === false && view !== undefined)) {
    constraints.done()
    throw validation(`One or more parameter values were invalid: ${words[operation][isOn ? 'missing' : 'needless']}`)
  }
  return isOn ? view : 'off'
}
