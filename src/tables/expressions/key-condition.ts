import {
  type AttributeValue,
  checkKeyValue,
  type KeyAttribute,
  type KeySchema,
  ValidationError,
} from '../values/index.js'
import { type Condition, type Operand, operandsOf, readCondition } from './condition.js'
import type { ExpressionContext } from './context.js'
import { expressionError } from './reader.js'

export type KeyOperator = '=' | '<' | '<=' | '>' | '>=' | 'BETWEEN' | 'begins_with'

export interface KeyCondition {
  /** The partition key's value. */
  readonly hash: AttributeValue
  /** What the sort key must fulfil; BETWEEN has two values, the others one. */
  readonly range?: { readonly operator: KeyOperator; readonly values: readonly AttributeValue[] }
}

/** What a query asks of a key of one or several attributes of each kind. */
export interface KeyConditions {
  /** A value for each hash attribute. */
  readonly hash: readonly AttributeValue[]
  /** Values of the first range attributes. */
  readonly equal: readonly AttributeValue[]
  /** What the next range attribute must fulfil. */
  readonly range?: KeyCondition['range']
}

interface AttributeCondition {
  readonly name: string
  readonly operator: KeyOperator
  readonly values: readonly AttributeValue[]
}

/** The conditions of a key condition, by the attribute that each is on; one or two. */
export type AttributeConditions = ReadonlyMap<string, AttributeCondition>

/** The grammar is that of conditions; what of it a key condition may use is checked after the parse, as on AWS. */
export function parseKeyCondition(text: string, context: ExpressionContext): AttributeConditions {
  return attributeConditionsOf(readKeyCondition(text, context))
}

/** The first part of parseKeyCondition: what comes before the other expressions of a request are looked at. */
export function readKeyCondition(text: string, context: ExpressionContext): Condition {
  return readCondition('KeyConditionExpression', text, context)
}

/** The second part, when the names and values of all expressions are known to be used. */
export function attributeConditionsOf(condition: Condition): AttributeConditions {
  const found = new Map<string, AttributeCondition>()
  collect(condition, found)
  return found
}

/**
 * What the conditions ask of a table's keys. `visit` is called with each attribute of the key before its condition is
 * looked at: AWS checks a starting key attribute by attribute too.
 */
export function keyConditionOf(
  found: AttributeConditions,
  schema: KeySchema,
  visit: (attribute: KeyAttribute) => void = () => {},
): KeyCondition {
  visit(schema.hash)
  const keys = schema.range === undefined ? 1 : 2
  if (found.size > keys && found.size <= 2) throw new ValidationError('Query key condition not supported')
  if (found.size > keys) {
    throw new ValidationError(
      `The number of query conditions (${found.size}) exceeds the number of key attributes defined in the schema (${keys})`,
    )
  }
  const hash = found.get(schema.hash.name)
  if (hash === undefined) throw missed(schema.hash)
  checkTypes(schema.hash, hash)
  if (hash.operator !== '=') throw new ValidationError('Query key condition not supported')
  checkValues(schema.hash, hash, 'hash')
  const key = hash.values[0] as AttributeValue
  if (schema.range) visit(schema.range)
  if (found.size === 1) return { hash: key }

  const rangeKey = schema.range as KeyAttribute
  const range = found.get(rangeKey.name)
  if (range === undefined) throw missed(rangeKey)
  checkValues(rangeKey, range, 'range')
  return { hash: key, range: { operator: range.operator, values: range.values } }
}

/**
 * What the conditions ask of a key of several attributes: a value for each hash attribute, and values for the range
 * attributes from the left on, of which only the last may have another condition.
 */
export function compositeKeyConditionOf(
  found: AttributeConditions,
  hash: readonly KeyAttribute[],
  range: readonly KeyAttribute[],
  visit: (attribute: KeyAttribute) => void = () => {},
): KeyConditions {
  for (const attribute of [...hash, ...range]) visit(attribute)
  const known = new Set([...hash, ...range].map(({ name }) => name))
  const missed = hash.filter(({ name }) => found.get(name)?.operator !== '=').map(({ name }) => name)
  if (missed.length > 0) {
    throw new ValidationError(
      `HASH key attributes ${missed.join(', ')} must have equality conditions specified in the query`,
    )
  }
  for (const name of found.keys()) {
    if (!known.has(name)) throw new ValidationError('Query key condition not supported')
  }
  const conditions = range.map(({ name }) => found.get(name))
  const last = conditions.findLastIndex((condition) => condition !== undefined)
  refuseGaps(range, conditions)
  for (const attribute of hash) checkValues(attribute, found.get(attribute.name) as AttributeCondition, 'hash')
  conditions.forEach((condition, i) => {
    if (condition) checkValues(range[i] as KeyAttribute, condition, 'range')
  })
  const end = conditions[last]
  const equal = conditions.slice(0, end?.operator === '=' ? last + 1 : Math.max(last, 0))
  return {
    hash: hash.map(({ name }) => found.get(name)?.values[0] as AttributeValue),
    equal: equal.map((condition) => condition?.values[0] as AttributeValue),
    ...(end && end.operator !== '=' ? { range: { operator: end.operator, values: end.values } } : {}),
  }
}

function refuseGaps(range: readonly KeyAttribute[], conditions: readonly (AttributeCondition | undefined)[]): void {
  for (let i = 1; i < conditions.length; i++) {
    if (!conditions[i]) continue
    const before = range.slice(0, i).filter((_, j) => conditions[j]?.operator !== '=')
    if (before.length === 0) continue
    throw new ValidationError(
      `RANGE key attributes ${before.map(({ name }) => name).join(', ')} must have equality conditions specified in the ` +
        `query because a condition is present on key attribute ${range[i]?.name}`,
    )
  }
}

function collect(condition: Condition, found: Map<string, AttributeCondition>): void {
  if (condition.kind === 'and') {
    for (const item of condition.items) collect(item, found)
    return
  }
  const read = readAttributeCondition(condition)
  if (found.has(read.name)) {
    throw expressionError('KeyConditionExpression', 'KeyConditionExpressions must only contain one condition per key')
  }
  found.set(read.name, read)
}

function readAttributeCondition(condition: Condition): AttributeCondition {
  switch (condition.kind) {
    case 'compare': {
      if (condition.operator === '<>') throw notAllowed('<>')
      const [name, values] = readOperands(operandsOf(condition))
      const reversed = condition.left.kind === 'value'
      return { name, operator: reversed ? mirrored[condition.operator] : condition.operator, values }
    }
    case 'between':
      return { ...readWithKeyFirst('BETWEEN', operandsOf(condition)), operator: 'BETWEEN' }
    case 'begins_with':
      return { ...readWithKeyFirst('begins_with', operandsOf(condition)), operator: 'begins_with' }
    case 'and':
    case 'or':
    case 'not':
    case 'in':
      throw notAllowed(condition.kind.toUpperCase())
    default:
      throw notAllowed(condition.kind)
  }
}

const mirrored = { '=': '=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const

function readWithKeyFirst(
  operator: string,
  operands: readonly Operand[],
): { name: string; values: readonly AttributeValue[] } {
  if (operands[0]?.kind === 'value') {
    throw new ValidationError(
      `Invalid condition in KeyConditionExpression: ${operator} operator must have the key attribute as its first operand`,
    )
  }
  const [name, values] = readOperands(operands)
  return { name, values }
}

/** Exactly one operand must be a plain attribute, all others values; the first that is not says what is wrong. */
function readOperands(operands: readonly Operand[]): readonly [string, readonly AttributeValue[]] {
  let name: string | undefined
  const values: AttributeValue[] = []
  for (const operand of operands) {
    if (operand.kind === 'value') {
      values.push(operand.value)
    } else if (operand.kind !== 'path') {
      throw new ValidationError('KeyConditionExpressions cannot contain nested operations')
    } else if (name !== undefined) {
      throw new ValidationError(
        'Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition',
      )
    } else if (operand.path.length > 1) {
      throw new ValidationError('KeyConditionExpressions cannot have conditions on nested attributes')
    } else {
      name = operand.path[0]
    }
  }
  if (name === undefined) {
    throw new ValidationError('Invalid condition in KeyConditionExpression: No key attribute specified')
  }
  return [name, values]
}

function checkValues(attribute: KeyAttribute, condition: AttributeCondition, role: 'hash' | 'range'): void {
  checkTypes(attribute, condition)
  for (const value of condition.values) checkKeyValue(attribute, value, role)
}

function checkTypes(attribute: KeyAttribute, condition: AttributeCondition): void {
  for (const value of condition.values) {
    const wrongPrefix = condition.operator === 'begins_with' && attribute.type === 'N'
    if (!(attribute.type in value) || wrongPrefix) {
      throw new ValidationError(
        'One or more parameter values were invalid: Condition parameter type does not match schema type',
      )
    }
  }
}

function notAllowed(operator: string): ValidationError {
  return new ValidationError(`Invalid operator used in KeyConditionExpression: ${operator}`)
}

function missed(attribute: KeyAttribute): ValidationError {
  return new ValidationError(`Query condition missed key schema element: ${attribute.name}`)
}
