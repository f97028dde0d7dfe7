import { continuePath, parseOperand } from './operand-parser.js'
import type { ExpressionReader } from './reader.js'
import type { Comparator, ConditionSyntax, OperandSyntax } from './syntax.js'

/*
 * or   := and {OR and}
 * and  := not {AND not}
 * not  := {NOT} unit
 * unit := '(' or ')' | call | operand comparator operand | operand BETWEEN operand AND operand
 *       | operand IN '(' operand {',' operand} ')'
 *
 * A parenthesis may open a condition or an operand, and only what follows the closing one tells: `(a) = b`, `(a = b)`,
 * `(size(a)) > b`. So a unit is parsed as either, and nothing is ever read twice.
 */

type Unit = ConditionSyntax | OperandSyntax

export function parseConditionSyntax(reader: ExpressionReader): ConditionSyntax {
  const condition = parseOr(reader, false)
  reader.expectEnd()
  return condition as ConditionSyntax
}

/** Gives an operand (a path or a value) only if `inGroup` and it fills the group; else always a condition. */
function parseOr(reader: ExpressionReader, inGroup: boolean): Unit {
  const first = parseAnd(reader, inGroup)
  if (reader.next !== 'OR') return first
  const items = [first as ConditionSyntax]
  while (reader.take('OR')) {
    reader.countOperator()
    items.push(parseAnd(reader, false) as ConditionSyntax)
  }
  return { kind: 'or', items }
}

function parseAnd(reader: ExpressionReader, inGroup: boolean): Unit {
  const first = parseNot(reader, inGroup)
  if (reader.next !== 'AND') return first
  const items = [first as ConditionSyntax]
  while (reader.take('AND')) {
    reader.countOperator()
    items.push(parseNot(reader, false) as ConditionSyntax)
  }
  return { kind: 'and', items }
}

function parseNot(reader: ExpressionReader, inGroup: boolean): Unit {
  let negations = 0
  while (reader.take('NOT')) {
    reader.countOperator()
    negations++
  }
  if (negations === 0) return parseUnit(reader, inGroup)
  let condition = parseUnit(reader, false) as ConditionSyntax
  for (; negations > 0; negations--) condition = { kind: 'not', item: condition }
  return condition
}

function parseUnit(reader: ExpressionReader, inGroup: boolean): Unit {
  let unit: Unit
  if (reader.next === '(') {
    const opened = reader.openGroup()
    unit = parseOr(reader, true)
    reader.closeGroup(opened)
    if (!isOperand(unit)) return unit
    unit = continuePath(reader, unit)
  } else {
    unit = parseOperand(reader)
  }
  const comparison = parseComparison(reader, unit)
  if (comparison !== undefined) return comparison
  // A call can be a condition; whether this function can is checked with the names.
  if (unit.kind === 'call' || (inGroup && reader.next === ')')) return unit
  throw reader.syntaxError()
}

function isOperand(unit: Unit): unit is OperandSyntax {
  return unit.kind === 'path' || unit.kind === 'value' || unit.kind === 'call'
}

function parseComparison(reader: ExpressionReader, left: OperandSyntax): ConditionSyntax | undefined {
  switch (reader.next) {
    case '=':
    case '<>':
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const operator = reader.takeText() as Comparator
      reader.countOperator()
      return { kind: 'compare', operator, left, right: parseOperand(reader) }
    }
    case 'BETWEEN': {
      reader.take('BETWEEN')
      reader.countOperator()
      const low = parseOperand(reader)
      reader.expect('AND')
      return { kind: 'between', value: left, low, high: parseOperand(reader) }
    }
    case 'IN': {
      reader.take('IN')
      reader.countOperator()
      reader.expect('(')
      const options = [parseOperand(reader)]
      while (reader.take(',')) options.push(parseOperand(reader))
      reader.expect(')')
      return { kind: 'in', value: left, options }
    }
    default:
      return undefined
  }
}
