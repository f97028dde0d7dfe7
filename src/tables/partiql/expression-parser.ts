import { isFunctionKeyword, typeIdentifiers, typeNameOf } from './keywords.js'
import type { StatementReader } from './reader.js'
import { notWellFormed, type Place } from './statement-error.js'
import type { Comparison, Expression, PathStep, StatementSyntax, StructMember } from './syntax.js'

/**
 * How tightly operators bind, as in PartiQL. Operators of one level are read from left to right: `a = b = c` is
 * `(a = b) = c`.
 */
const precedences: Readonly<Record<string, number>> = {
  intersect: 5,
  'intersect all': 5,
  except: 5,
  'except all': 5,
  union: 5,
  'union all': 5,
  or: 10,
  and: 20,
  '=': 40,
  '<>': 40,
  is: 40,
  'is not': 40,
  in: 40,
  'not in': 40,
  '<': 50,
  '<=': 50,
  '>': 50,
  '>=': 50,
  between: 50,
  'not between': 50,
  like: 50,
  'not like': 50,
  '+': 60,
  '-': 60,
  '||': 60,
  '*': 70,
  '/': 70,
  '%': 70,
}
const notPrecedence = 30
/** Set operators end what stands in a SELECT. */
export const selectPrecedence = 6

/** Keywords that begin a statement, in the place of a term; given by the parser of statements. */
export type ParseStatement = (reader: StatementReader) => StatementSyntax | undefined

/** Reads expressions by precedence. Linear in the tokens: nothing is read twice. */
export class ExpressionParser {
  constructor(
    readonly reader: StatementReader,
    private readonly parseStatement: ParseStatement,
  ) {}

  expression(precedence = -1): Expression {
    const { reader } = this
    reader.enter()
    let levels = 1
    let left = this.unary()
    for (;;) {
      const operator = this.infix()
      const binding = operator === undefined ? -1 : (precedences[operator] as number)
      if (operator === undefined || binding <= precedence) break
      // A chain makes a tree as deep as it is long, but for AND and OR, which become one list.
      if (operator !== 'and' && operator !== 'or') {
        reader.enter()
        levels++
      }
      left = this.operation(operator, binding, left)
    }
    reader.leave(levels)
    return left
  }

  private infix(): string | undefined {
    const { kind, text } = this.reader.next
    if (kind !== 'operator' && kind !== '*') return undefined
    return Object.hasOwn(precedences, text) ? text : undefined
  }

  private operation(operator: string, binding: number, left: Expression): Expression {
    const { reader } = this
    const place = reader.take()
    switch (operator) {
      case 'and':
      case 'or':
        return joined(operator, left, this.right(binding), place)
      case 'is':
        return { kind: 'is', value: left, type: this.type(), place }
      case 'is not':
        return { kind: 'not', operand: { kind: 'is', value: left, type: this.type(), place }, place }
      case 'in':
        return { kind: 'in', value: left, options: this.options(binding), place }
      case 'not in':
        return { kind: 'not', operand: { kind: 'in', value: left, options: this.options(binding), place }, place }
      case 'between':
        return this.between(left, binding, place)
      case 'not between':
        return { kind: 'not', operand: this.between(left, binding, place), place }
      case '=':
      case '<>':
      case '<':
      case '<=':
      case '>':
      case '>=':
        return { kind: 'compare', operator: operator as Comparison, left, right: this.right(binding), place }
      default: {
        const right = this.right(binding)
        if (operator.endsWith('like') && reader.takeWord('escape')) this.right(binding)
        return { kind: 'binary', operator, left, right, place }
      }
    }
  }

  private right(binding: number): Expression {
    if (this.reader.next.kind === 'end') throw notWellFormed('Missing right-hand side expression of infix operator')
    return this.expression(binding)
  }

  private between(value: Expression, binding: number, place: Place): Expression {
    const low = this.right(binding)
    if (!this.reader.takeWord('and')) throw notWellFormed('Expected AND')
    if (this.reader.next.kind === 'end' || this.reader.next.kind === ';')
      throw notWellFormed('Expected expression after AND')
    return { kind: 'between', value, low, high: this.expression(binding), place }
  }

  /** In parentheses behind IN stands a list. */
  private options(binding: number): Expression {
    const { reader } = this
    if (reader.next.kind !== '(' || reader.following?.text === 'select') return this.right(binding)
    const place = reader.take()
    const elements = this.list()
    reader.expectKind(')')
    return { kind: 'list', elements, place }
  }

  private type(): string {
    const token = this.reader.next
    const type =
      token.kind === 'keyword'
        ? typeNameOf(token.text)
        : token.kind === 'name' && typeIdentifiers.has(token.text.toLowerCase())
          ? token.text.toLowerCase()
          : undefined
    if (type === undefined) throw notWellFormed('Expected type name')
    this.reader.take()
    if (this.reader.takeKind('(')) {
      this.list()
      this.reader.expectKind(')')
    }
    return type
  }

  private unary(): Expression {
    const { reader } = this
    const { kind, text } = reader.next
    if (kind !== 'operator' || (text !== '+' && text !== '-' && text !== 'not')) return this.path(this.term())
    const place = reader.take()
    reader.enter()
    const operand = text === 'not' ? this.expression(notPrecedence) : this.unary()
    reader.leave()
    if (text === 'not') return { kind: 'not', operand, place }
    if (operand.kind !== 'number') return { kind: text === '+' ? 'plus' : 'minus', operand, place }
    return text === '+' ? operand : { ...operand, text: negated(operand.text) }
  }

  /** A name for what is written, with the steps that follow it. */
  simplePath(): Expression {
    const token = this.reader.next
    if (token.kind !== 'name' && token.kind !== 'quoted') throw notWellFormed('Expected identifier for simple path')
    this.reader.take()
    return this.path({ kind: 'path', name: token.text, steps: [], place: token }, true)
  }

  private path(root: Expression, isSimple = false): Expression {
    const { reader } = this
    const steps: PathStep[] = []
    for (;;) {
      if (reader.takeKind('.')) steps.push(this.member(isSimple))
      else if (reader.takeKind('[')) {
        if (reader.takeKind('*')) steps.push({ kind: 'wildcard' })
        else steps.push({ kind: 'element', index: this.expression() })
        reader.expectKind(']')
      } else break
    }
    if (steps.length === 0) return root
    if (root.kind === 'path' && root.steps.length === 0) return { ...root, steps }
    return { kind: 'pathOf', root, steps, place: root.place }
  }

  private member(isSimple: boolean): PathStep {
    const { kind, text } = this.reader.next
    if (kind === '*') {
      if (isSimple) throw notWellFormed('Invalid path dot component for simple path')
      this.reader.take()
      return { kind: 'unpivot' }
    }
    if (kind !== 'name' && kind !== 'quoted') throw notWellFormed('Invalid path dot component')
    this.reader.take()
    return { kind: 'member', name: text }
  }

  private term(): Expression {
    const { reader } = this
    const place = reader.next
    switch (place.kind) {
      case 'string':
      case 'number':
        reader.take()
        return { kind: place.kind, text: place.text, place }
      case 'ion':
        reader.take()
        return { kind: 'ion', place }
      case 'parameter':
        reader.take()
        return { kind: 'parameter', position: reader.countParameter(), place }
      case '(':
        return this.group()
      case '[':
        reader.take()
        return { kind: 'list', elements: this.elements(']'), place }
      case '<<':
        reader.take()
        return { kind: 'bag', elements: this.elements('>>'), place }
      case '{':
        reader.take()
        return { kind: 'struct', members: this.members(), place }
      case 'name':
      case 'quoted':
        reader.take()
        if (reader.next.kind === '(') return this.call(place.text, place)
        return { kind: 'path', name: place.text, steps: [], place }
      case 'operator':
        throw notWellFormed('Unexpected operator')
      case 'keyword':
        return this.keyword()
      default:
        throw notWellFormed('Unexpected term')
    }
  }

  private keyword(): Expression {
    const { reader } = this
    const place = reader.next
    switch (place.text) {
      case 'true':
      case 'false':
        reader.take()
        return { kind: 'boolean', value: place.text === 'true', place }
      case 'null':
      case 'missing':
        reader.take()
        return { kind: place.text, place }
      case 'date':
      case 'time':
        reader.take()
        if (reader.next.kind !== 'string') throw notWellFormed('Expected date literal')
        reader.take()
        return { kind: 'date', place }
    }
    const statement = this.parseStatement(reader)
    if (statement) return { kind: 'statement', statement, place }
    if (!isFunctionKeyword(place.text) || reader.following?.kind !== '(') throw notWellFormed('Unexpected keyword')
    reader.take()
    return this.call(place.text, place)
  }

  private group(): Expression {
    const { reader } = this
    const place = reader.take()
    const elements = this.list()
    reader.expectKind(')')
    return elements.length === 1 ? (elements[0] as Expression) : { kind: 'list', elements, place }
  }

  private call(written: string, place: Place): Expression {
    const { reader } = this
    const name = written.toLowerCase()
    reader.take()
    const isAggregate = ['count', 'avg', 'max', 'min', 'sum'].includes(name)
    if (isAggregate && (reader.isWord('distinct') || reader.isWord('all'))) reader.take()
    let operands: Expression[] = []
    if (isAggregate && reader.next.kind === '*') reader.take()
    else if (reader.next.kind !== ')') operands = this.list()
    reader.expectKind(')')
    return { kind: 'call', name, operands, isAggregate, place }
  }

  private elements(close: string): Expression[] {
    if (this.reader.takeKind(close)) return []
    const elements = this.list()
    this.reader.expectKind(close)
    return elements
  }

  private members(): StructMember[] {
    const { reader } = this
    if (reader.takeKind('}')) return []
    const members: StructMember[] = []
    do {
      const name = this.expression()
      reader.expectKind(':')
      members.push({ name, value: this.expression() })
    } while (reader.takeKind(','))
    reader.expectKind('}')
    return members
  }

  /** Expressions with commas between them, at least one. */
  list(precedence = -1): Expression[] {
    const list = [this.expression(precedence)]
    while (this.reader.takeKind(',')) list.push(this.expression(precedence))
    return list
  }
}

/**
 * AND and OR of more than two are one list, which bounds the depth of what an expression becomes. The left side was just
 * made here and is nobody else's: its list grows in place.
 */
function joined(kind: 'and' | 'or', left: Expression, right: Expression, place: Place): Expression {
  if (left.kind !== kind) return { kind, items: [left, right], place }
  left.items.push(right)
  return left
}

const negated = (number: string): string => (number.startsWith('-') ? number.slice(1) : `-${number}`)
