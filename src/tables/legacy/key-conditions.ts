import type { AttributeConditions, KeyOperator } from '../expressions/index.js'
import type { Input } from '../requests/request.js'
import { ValidationError } from '../values/index.js'
import { comparisonsOf } from './conditions.js'

const keyOperators: Readonly<Record<string, KeyOperator>> = {
  EQ: '=',
  LT: '<',
  LE: '<=',
  GT: '>',
  GE: '>=',
  BETWEEN: 'BETWEEN',
  BEGINS_WITH: 'begins_with',
}

/** Conditions on a key of one hash attribute and at most one range attribute. */
const conditionsOfTwoMax = 2

/**
 * KeyConditions, by attribute, as those of a KeyConditionExpression. What no key can be asked for has no operator, which
 * is refused when the table's key is known. Throws ValidationError.
 */
export function legacyKeyConditions(input: Input, conditionsMax: number = conditionsOfTwoMax): AttributeConditions {
  const comparisons = comparisonsOf(input, 'KeyConditions')
  if (comparisons.length < 1 || comparisons.length > conditionsMax)
    throw new ValidationError('Conditions can be of length 1 or 2 only')
  return new Map(
    comparisons.map(({ attribute, operator, values }) => [
      attribute,
      { name: attribute, operator: keyOperators[operator], values },
    ]),
  )
}
