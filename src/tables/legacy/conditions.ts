import type { Condition } from '../expressions/index.js'
import { flag, type Input, object, text } from '../requests/request.js'
import { checkAttributeName, checkValue, ValidationError } from '../values/index.js'
import { type Comparison, checkComparison, conditionOf, valuesOf } from './comparison.js'

const invalid = 'One or more parameter values were invalid: '

/** Expected as a condition; undefined when it asks for nothing. Throws ValidationError, ValidationException. */
export function expectedCondition(input: Input): Condition | undefined {
  const comparisons = Object.entries(object(input, 'Expected') ?? {}).map(([attribute, condition]) => {
    checkAttributeName(attribute)
    return expectedOf(attribute, (condition ?? {}) as Input)
  })
  return combined(input, comparisons)
}

/** QueryFilter or ScanFilter as a condition. Throws as expectedCondition does. */
export function legacyFilter(input: Input, parameter: 'QueryFilter' | 'ScanFilter'): Condition | undefined {
  return combined(input, comparisonsOf(input, parameter))
}

/** The comparisons of a filter, or of KeyConditions, checked. */
export function comparisonsOf(input: Input, parameter: string): Comparison[] {
  return Object.entries(object(input, parameter) ?? {}).map(([attribute, given]) => {
    checkAttributeName(attribute)
    const condition = (given ?? {}) as Input
    const operator = text(condition, 'ComparisonOperator') as string
    const comparison = { attribute, operator, values: valuesOf(condition) }
    checkComparison(comparison)
    return comparison
  })
}

/** What Expected asks of one attribute: a comparison, or that it has a value, or that it is not there. */
function expectedOf(attribute: string, condition: Input): Comparison {
  const has = (name: string) => (condition[name] ?? undefined) !== undefined
  const operator = text(condition, 'ComparisonOperator')
  const values = has('Value') ? [checkValue(condition.Value)] : valuesOf(condition)
  if (has('AttributeValueList') && has('Value'))
    throw fault(attribute, 'Value and AttributeValueList cannot be used together')
  if (operator !== undefined) {
    if (has('Exists')) throw fault(attribute, 'Exists and ComparisonOperator cannot be used together')
    if (operator !== 'NULL' && operator !== 'NOT_NULL' && !has('AttributeValueList') && !has('Value'))
      throw fault(attribute, `Value or AttributeValueList must be used with ComparisonOperator: ${operator}`)
    const comparison = { attribute, operator, values }
    checkComparison(comparison)
    return comparison
  }
  if (has('AttributeValueList')) throw fault(attribute, 'AttributeValueList can only be used with a ComparisonOperator')
  const exists = flag(condition, 'Exists')
  if (exists === false) {
    if (has('Value')) throw fault(attribute, 'Value cannot be used when Exists is false')
    return { attribute, operator: 'NULL', values: [] }
  }
  if (!has('Value')) throw fault(attribute, `Value must be provided when Exists is ${exists ?? null}`)
  return { attribute, operator: 'EQ', values }
}

const fault = (attribute: string, what: string) => new ValidationError(`${invalid}${what} for Attribute: ${attribute}`)

/** All comparisons must hold, or with ConditionalOperator OR any of them. */
function combined(input: Input, comparisons: readonly Comparison[]): Condition | undefined {
  const operator = text(input, 'ConditionalOperator')
  if (operator !== undefined && comparisons.length < 2) {
    throw new ValidationError(
      comparisons.length === 0
        ? 'ConditionalOperator cannot be used without Filter or Expected'
        : 'ConditionalOperator can only be used when Filter or Expected has two or more elements',
    )
  }
  const items = comparisons.map(conditionOf)
  return items.length < 2 ? items[0] : { kind: operator === 'OR' ? 'or' : 'and', items }
}
