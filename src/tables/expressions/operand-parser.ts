import { isFunction } from './functions.js'
import type { ExpressionReader } from './reader.js'
import type { CallSyntax, OperandSyntax, PathPart, PathSyntax } from './syntax.js'

/** operand := path | ':value' | name '(' operand {',' operand} ')' | '(' operand ')' */
export function parseOperand(reader: ExpressionReader): OperandSyntax {
  switch (reader.next) {
    case '(': {
      const opened = reader.openGroup()
      const operand = parseOperand(reader)
      reader.closeGroup(opened)
      return continuePath(reader, operand)
    }
    case 'name':
      return reader.following === '(' ? parseCall(reader) : parsePath(reader)
    case 'nameReference':
      return parsePath(reader)
    case 'valueReference':
      return { kind: 'value', reference: reader.takeText() }
    default:
      throw reader.syntaxError()
  }
}

function parseCall(reader: ExpressionReader): CallSyntax {
  const name = reader.takeText()
  if (isFunction(name)) reader.countOperator()
  reader.enter()
  reader.expect('(')
  const operands = [parseOperand(reader)]
  while (reader.take(',')) operands.push(parseOperand(reader))
  reader.expect(')')
  reader.leave()
  return { kind: 'call', name, operands }
}

/** path := part {'.' part | '[' number ']'}, where a part is a name or a '#reference' */
export function parsePath(reader: ExpressionReader): PathSyntax {
  const parts = [parseName(reader)]
  readParts(reader, parts)
  return { kind: 'path', parts }
}

/** A path in parentheses goes on behind them in conditions; update expressions do not know that. */
export function continuePath(reader: ExpressionReader, operand: OperandSyntax): OperandSyntax {
  if (operand.kind !== 'path' || reader.kind === 'UpdateExpression') return operand
  if (reader.next !== '.' && reader.next !== '[') return operand
  const parts = [...operand.parts]
  readParts(reader, parts)
  return { kind: 'path', parts }
}

function readParts(reader: ExpressionReader, parts: PathPart[]): void {
  for (;;) {
    if (reader.take('.')) {
      parts.push(parseName(reader))
    } else if (reader.take('[')) {
      if (reader.next !== 'number') throw reader.syntaxError()
      parts.push({ kind: 'index', text: reader.takeText() })
      reader.expect(']')
    } else {
      return
    }
  }
}

function parseName(reader: ExpressionReader): PathPart {
  if (reader.next === 'name') return { kind: 'name', text: reader.takeText() }
  if (reader.next === 'nameReference') return { kind: 'reference', text: reader.takeText() }
  throw reader.syntaxError()
}
