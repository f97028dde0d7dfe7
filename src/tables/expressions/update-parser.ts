import { parseOperand, parsePath } from './operand-parser.js'
import type { ExpressionReader } from './reader.js'
import type { ActionSyntax, OperandSyntax, SectionSyntax, SetValueSyntax, ValueSyntax } from './syntax.js'

/*
 * update  := section {section}
 * section := SET path '=' value {',' ...} | REMOVE path {',' ...} | ADD path ':value' {',' ...} | DELETE ...
 * value   := operand [('+' | '-') operand] | '(' value ')'
 */

export function parseUpdateSyntax(reader: ExpressionReader): SectionSyntax[] {
  const sections: SectionSyntax[] = []
  do {
    const kind = reader.next
    if (kind !== 'SET' && kind !== 'REMOVE' && kind !== 'ADD' && kind !== 'DELETE') throw reader.syntaxError()
    reader.take(kind)
    const actions = [parseAction(reader, kind)]
    while (reader.take(',')) actions.push(parseAction(reader, kind))
    sections.push({ kind, actions })
  } while (reader.next !== 'end')
  return sections
}

function parseAction(reader: ExpressionReader, kind: SectionSyntax['kind']): ActionSyntax {
  const path = parsePath(reader)
  switch (kind) {
    case 'SET':
      reader.expect('=')
      return { kind, path, value: parseSetValue(reader) }
    case 'REMOVE':
      return { kind, path }
    case 'ADD':
    case 'DELETE':
      return { kind, path, value: parseValueReference(reader) }
  }
}

function parseValueReference(reader: ExpressionReader): ValueSyntax {
  if (reader.next !== 'valueReference') throw reader.syntaxError()
  return { kind: 'value', reference: reader.takeText() }
}

/** A sum has exactly two operands: neither `a + b + c` nor `(a + b) + c` is one. */
function parseSetValue(reader: ExpressionReader): SetValueSyntax {
  const left = parseSetOperand(reader)
  if ((reader.next !== '+' && reader.next !== '-') || left.kind === 'arithmetic') return left
  const operator = reader.takeText() as '+' | '-'
  reader.countOperator()
  const right: OperandSyntax = parseOperand(reader)
  return { kind: 'arithmetic', operator, left, right }
}

function parseSetOperand(reader: ExpressionReader): SetValueSyntax {
  if (reader.next !== '(') return parseOperand(reader)
  const opened = reader.openGroup()
  const value = parseSetValue(reader)
  reader.closeGroup(opened)
  return value
}
