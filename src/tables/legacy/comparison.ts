import type { Condition, Operand } from '../expressions/index.js'
import { type Input, list } from '../requests/request.js'
import {
  type AttributeType,
  type AttributeValue,
  checkValue,
  compareValues,
  typeOf,
  ValidationError,
} from '../values/index.js'

const invalid = 'One or more parameter values were invalid: '

/** How many values a ComparisonOperator takes, and of which types; any when not named. */
interface Arguments {
  readonly min: number
  readonly max: number
  readonly types?: readonly AttributeType[]
}

const ordered: Arguments = { min: 1, max: 1, types: ['S', 'N', 'B'] }
const members: Arguments = { min: 1, max: 1, types: ['S', 'N', 'B', 'BOOL', 'NULL'] }

const takes: Readonly<Record<string, Arguments>> = {
  EQ: { min: 1, max: 1 },
  NE: { min: 1, max: 1 },
  LE: ordered,
  LT: ordered,
  GE: ordered,
  GT: ordered,
  CONTAINS: members,
  NOT_CONTAINS: members,
  BEGINS_WITH: { min: 1, max: 1, types: ['S', 'B'] },
  IN: { min: 1, max: Number.POSITIVE_INFINITY, types: ['S', 'N', 'B'] },
  BETWEEN: { min: 2, max: 2, types: ['S', 'N', 'B'] },
  NULL: { min: 0, max: 0 },
  NOT_NULL: { min: 0, max: 0 },
}

/** A comparison of one attribute, its values checked. */
export interface Comparison {
  readonly attribute: string
  /** One of `takes`: the model has seen to it. */
  readonly operator: string
  readonly values: readonly AttributeValue[]
}

/** The values of an AttributeValueList. */
export function valuesOf(condition: Input): AttributeValue[] {
  return (list(condition, 'AttributeValueList') ?? []).map(checkValue)
}

/** Refuses values that do not fit the operator, in AWS's order. Throws ValidationError. */
export function checkComparison({ operator, values }: Comparison): void {
  const { min, max, types } = takes[operator] as Arguments
  if (values.length < min || values.length > max)
    throw new ValidationError(`${invalid}Invalid number of argument(s) for the ${operator} ComparisonOperator`)
  const [first] = values
  if (first === undefined) return
  if (values.some((value) => typeOf(value) !== typeOf(first)))
    throw new ValidationError(`${invalid}AttributeValues inside AttributeValueList must be of same type`)
  const type = typeOf(first)
  if (types && !types.includes(type)) {
    throw new ValidationError(`${invalid}ComparisonOperator ${operator} is not valid for ${type} AttributeValue type`)
  }
  if (operator !== 'BETWEEN' || (compareValues(first, values[1] as AttributeValue) as number) <= 0) return
  throw new ValidationError(
    'The BETWEEN condition was provided a range where the lower bound is greater than the upper bound',
  )
}

const comparators = { EQ: '=', NE: '<>', LE: '<=', LT: '<', GE: '>=', GT: '>' } as const

/** A checked comparison as a condition. */
export function conditionOf({ attribute, operator, values }: Comparison): Condition {
  const path = [attribute] as const
  const of: Operand = { kind: 'path', path }
  const operands = values.map((value): Operand => ({ kind: 'value', value }))
  const [first, second] = operands as [Operand, Operand]
  switch (operator) {
    case 'NULL':
      return { kind: 'attribute_not_exists', path }
    case 'NOT_NULL':
      return { kind: 'attribute_exists', path }
    case 'CONTAINS':
      return { kind: 'contains', of, operand: first }
    case 'NOT_CONTAINS':
      // Unlike NE it does not hold for an attribute that is not there.
      return {
        kind: 'and',
        items: [
          { kind: 'attribute_exists', path },
          { kind: 'not', item: { kind: 'contains', of, operand: first } },
        ],
      }
    case 'BEGINS_WITH':
      return { kind: 'begins_with', of, operand: first }
    case 'IN':
      return { kind: 'in', value: of, options: operands }
    case 'BETWEEN':
      return { kind: 'between', value: of, low: first, high: second }
    default:
      return { kind: 'compare', operator: comparators[operator as keyof typeof comparators], left: of, right: first }
  }
}
