import { type AttributeValue, compareValues, type Item, typeOf, valuesEqual } from '../values/index.js'
import type { Condition, Operand } from './condition.js'
import { readPath } from './paths.js'

/** Whether an item fulfils a condition; `item` is `{}` when there is none. */
export function evaluateCondition(condition: Condition, item: Item): boolean {
  switch (condition.kind) {
    case 'and':
      for (const part of condition.items) {
        if (!evaluateCondition(part, item)) return false
      }
      return true
    case 'or':
      for (const part of condition.items) {
        if (evaluateCondition(part, item)) return true
      }
      return false
    case 'not':
      return !evaluateCondition(condition.item, item)
    case 'compare': {
      const left = evaluateOperand(condition.left, item)
      const right = evaluateOperand(condition.right, item)
      if (condition.operator === '=') return same(left, right)
      if (condition.operator === '<>') return !same(left, right)
      const order = compare(left, right)
      if (order === undefined) return false
      switch (condition.operator) {
        case '<':
          return order < 0
        case '<=':
          return order <= 0
        case '>':
          return order > 0
        case '>=':
          return order >= 0
      }
      return false
    }
    case 'between': {
      const value = evaluateOperand(condition.value, item)
      const fromLow = compare(value, evaluateOperand(condition.low, item))
      const fromHigh = compare(value, evaluateOperand(condition.high, item))
      return fromLow !== undefined && fromHigh !== undefined && fromLow >= 0 && fromHigh <= 0
    }
    case 'in': {
      const value = evaluateOperand(condition.value, item)
      for (const option of condition.options) {
        if (same(value, evaluateOperand(option, item))) return true
      }
      return false
    }
    case 'attribute_exists':
      return readPath(item, condition.path) !== undefined
    case 'attribute_not_exists':
      return readPath(item, condition.path) === undefined
    case 'attribute_type': {
      const value = evaluateOperand(condition.of, item)
      return value !== undefined && typeOf(value) === condition.type
    }
    case 'begins_with':
      return beginsWith(evaluateOperand(condition.of, item), evaluateOperand(condition.operand, item))
    case 'contains':
      return contains(evaluateOperand(condition.of, item), evaluateOperand(condition.operand, item))
  }
}

function evaluateOperand(operand: Operand, item: Item): AttributeValue | undefined {
  switch (operand.kind) {
    case 'path':
      return readPath(item, operand.path)
    case 'value':
      return operand.value
    case 'size': {
      const value = evaluateOperand(operand.of, item)
      const size = value === undefined ? undefined : sizeOf(value)
      return size === undefined ? undefined : { N: String(size) }
    }
    case 'test':
      return { BOOL: evaluateCondition(operand.of, item) }
  }
}

/** A missing attribute equals nothing, not even another missing one. */
function same(a: AttributeValue | undefined, b: AttributeValue | undefined): boolean {
  return a !== undefined && b !== undefined && valuesEqual(a, b)
}

function compare(a: AttributeValue | undefined, b: AttributeValue | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : compareValues(a, b)
}

/** Characters (UTF-16 units) of S, bytes of B, members of the others; N, BOOL and NULL have no size. */
function sizeOf(value: AttributeValue): number | undefined {
  if ('S' in value) return value.S.length
  if ('B' in value) return Buffer.byteLength(value.B, 'base64')
  if ('L' in value) return value.L.length
  if ('M' in value) return Object.keys(value.M).length
  if ('SS' in value) return value.SS.length
  if ('NS' in value) return value.NS.length
  if ('BS' in value) return value.BS.length
  return undefined
}

function beginsWith(value: AttributeValue | undefined, prefix: AttributeValue | undefined): boolean {
  if (value === undefined || prefix === undefined) return false
  if ('S' in value && 'S' in prefix) return value.S.startsWith(prefix.S)
  if ('B' in value && 'B' in prefix) {
    const start = Buffer.from(prefix.B, 'base64')
    return Buffer.from(value.B, 'base64').subarray(0, start.length).equals(start)
  }
  return false
}

/** A part of S or B, a member of a set, or an element of a list. */
function contains(value: AttributeValue | undefined, part: AttributeValue | undefined): boolean {
  if (value === undefined || part === undefined) return false
  if ('S' in value) return 'S' in part && value.S.includes(part.S)
  if ('B' in value) return 'B' in part && Buffer.from(value.B, 'base64').includes(Buffer.from(part.B, 'base64'))
  if ('SS' in value) return 'S' in part && value.SS.includes(part.S)
  if ('NS' in value) return 'N' in part && value.NS.includes(part.N)
  if ('BS' in value) return 'B' in part && value.BS.includes(part.B)
  if ('L' in value) {
    for (const element of value.L) {
      if (valuesEqual(element, part)) return true
    }
  }
  return false
}
