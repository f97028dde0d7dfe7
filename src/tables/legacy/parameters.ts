import { type Constraints, type Input, list, object, text } from '../requests/request.js'
import { ValidationError } from '../values/index.js'

/** What an operation has from before expressions, and what stands for it since, each in the order in which AWS lists it. */
const parameters = {
  PutItem: { legacy: ['Expected', 'ConditionalOperator'], expressions: ['ConditionExpression'] },
  DeleteItem: { legacy: ['Expected', 'ConditionalOperator'], expressions: ['ConditionExpression'] },
  UpdateItem: {
    legacy: ['AttributeUpdates', 'Expected', 'ConditionalOperator'],
    expressions: ['UpdateExpression', 'ConditionExpression'],
  },
  GetItem: { legacy: ['AttributesToGet'], expressions: ['ProjectionExpression'] },
  BatchGetItem: { legacy: ['AttributesToGet'], expressions: ['ProjectionExpression'] },
  Query: {
    legacy: ['AttributesToGet', 'QueryFilter', 'ConditionalOperator', 'KeyConditions'],
    expressions: ['ProjectionExpression', 'FilterExpression', 'KeyConditionExpression'],
  },
  Scan: {
    legacy: ['AttributesToGet', 'ScanFilter', 'ConditionalOperator'],
    expressions: ['ProjectionExpression', 'FilterExpression'],
  },
} as const

export type LegacyOperation = keyof typeof parameters

/**
 * Refuses a request that has parameters of both kinds. KeyConditions may stand beside expressions, as long as there is no
 * KeyConditionExpression.
 */
export function refuseMixed(operation: LegacyOperation, input: Input): void {
  const { legacy, expressions } = parameters[operation]
  if (!legacy.some((name) => (input[name] ?? undefined) !== undefined)) return
  const given = (names: readonly string[]) => names.filter((name) => (input[name] ?? undefined) !== undefined)
  const modern = given(expressions)
  const old = given(legacy).filter((name) => name !== 'KeyConditions' || modern.includes('KeyConditionExpression'))
  if (old.length === 0 || modern.length === 0) return
  throw new ValidationError(
    'Can not use both expression and non-expression parameters in the same request: ' +
      `Non-expression parameters: {${old.join(', ')}} Expression parameters: {${modern.join(', ')}}`,
  )
}

const comparisonOperators = [
  'IN',
  'NULL',
  'BETWEEN',
  'LT',
  'NOT_CONTAINS',
  'EQ',
  'GT',
  'NOT_NULL',
  'NE',
  'LE',
  'BEGINS_WITH',
  'GE',
  'CONTAINS',
]
const conditionMaps = ['Expected', 'QueryFilter', 'KeyConditions', 'ScanFilter']
const conditionalOperators = ['OR', 'AND']
const attributesToGetMax = 255

/** What the model asks of legacy parameters, whatever they mean. Adds to the constraints. */
export function checkLegacy(input: Input, constraints: Constraints): void {
  for (const name of conditionMaps) {
    const conditions = object(input, name)
    if (!conditions) continue
    const member = lowerFirst(name)
    for (const [attribute, condition] of Object.entries(conditions)) {
      const place = `${member}.${attribute}.member.comparisonOperator`
      const operator = text((condition ?? {}) as Input, 'ComparisonOperator')
      constraints.check(operator !== undefined || name === 'Expected', place, undefined, 'Member must not be null')
      checkOneOf(constraints, place, operator, comparisonOperators)
    }
  }
  const updates = object(input, 'AttributeUpdates')
  for (const attribute in updates) {
    const action = text((updates[attribute] ?? {}) as Input, 'Action')
    checkOneOf(constraints, `attributeUpdates.${attribute}.member.action`, action, ['ADD', 'PUT', 'DELETE'])
  }
  checkOneOf(constraints, 'conditionalOperator', text(input, 'ConditionalOperator'), conditionalOperators)
  checkAttributesToGet(input, constraints, 'attributesToGet')
}

export function checkAttributesToGet(input: Input, constraints: Constraints, member: string): void {
  const count = list(input, 'AttributesToGet')?.length
  if (count === undefined) return
  constraints.check(count >= 1, member, '[]', 'Member must have length greater than or equal to 1')
  constraints.check(
    count <= attributesToGetMax,
    member,
    `[${count} names]`,
    `Member must have length less than or equal to ${attributesToGetMax}`,
  )
}

function checkOneOf(
  constraints: Constraints,
  member: string,
  value: string | undefined,
  allowed: readonly string[],
): void {
  if (value === undefined || allowed.includes(value)) return
  constraints.check(false, member, value, `Member must satisfy enum value set: [${allowed.join(', ')}]`)
}

const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1)
