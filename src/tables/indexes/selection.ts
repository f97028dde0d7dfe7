import type { Path } from '../expressions/index.js'
import { validation } from '../requests/aws-error.js'
import { projectedNames } from './projection.js'
import type { Target } from './target.js'

export type Select = 'SPECIFIC_ATTRIBUTES' | 'COUNT' | 'ALL_ATTRIBUTES' | 'ALL_PROJECTED_ATTRIBUTES'

/** A global index cannot give what it does not hold. Throws ValidationException. */
export function refuseUnprojected(target: Target, select: Select | undefined, projected: readonly Path[]): void {
  const { index, row } = target
  if (index?.kind !== 'global') return
  const names = projectedNames(row, index)
  if (names === undefined) return
  if (select === 'ALL_ATTRIBUTES') {
    throw validation(
      'One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global secondary ' +
        `index ${index.name} because its projection type is not ALL`,
    )
  }
  const missing = [...new Set(projected.map(([name]) => name))].filter((name) => !names.has(name))
  if (missing.length === 0) return
  throw validation(
    `One or more parameter values were invalid: Global secondary index ${index.name} does not project [${missing.join(', ')}]`,
  )
}

/** Whether the items themselves must be read: a local index has them beside it, and AWS fetches what it does not hold. */
export function mustFetch(target: Target, select: Select | undefined, used: readonly Path[]): boolean {
  const { index, row } = target
  if (index?.kind !== 'local') return false
  const names = projectedNames(row, index)
  if (names === undefined) return false
  return select === 'ALL_ATTRIBUTES' || used.some(([name]) => !names.has(name))
}
