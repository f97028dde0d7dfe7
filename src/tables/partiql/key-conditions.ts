import type { Condition, KeyOperator, Operand } from '../expressions/index.js'
import type { AttributeValue } from '../values/index.js'

/** A condition of a WHERE clause on one attribute against values: what can be a key condition. */
export interface AttributeTest {
  readonly name: string
  /** IN has as many values as it has options. */
  readonly operator: KeyOperator | 'IN'
  readonly values: readonly AttributeValue[]
}

const mirrored = { '=': '=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const

/** Undefined when the condition is on a path into an attribute, on two attributes, or of a kind that no key has. */
export function attributeTest(condition: Condition): AttributeTest | undefined {
  switch (condition.kind) {
    case 'compare': {
      const { operator, left, right } = condition
      if (operator === '<>') return undefined
      return test(operator, left, [right]) ?? test(mirrored[operator], right, [left])
    }
    case 'between':
      return test('BETWEEN', condition.value, [condition.low, condition.high])
    case 'begins_with':
      return test('begins_with', condition.of, [condition.operand])
    case 'in':
      return test('IN', condition.value, condition.options)
    default:
      return undefined
  }
}

function test(
  operator: AttributeTest['operator'],
  attribute: Operand,
  operands: readonly Operand[],
): AttributeTest | undefined {
  if (attribute.kind !== 'path' || attribute.path.length > 1) return undefined
  const values: AttributeValue[] = []
  for (const operand of operands) {
    if (operand.kind !== 'value') return undefined
    values.push(operand.value)
  }
  return { name: attribute.path[0], operator, values }
}
