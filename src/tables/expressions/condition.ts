import { type AttributeType, type AttributeValue, compareValues, typeOf } from '../values/index.js'
import { parseConditionSyntax } from './condition-parser.js'
import type { ExpressionContext } from './context.js'
import { checkConditionNames } from './names.js'
import { describePath, type Path, pathsEqual } from './paths.js'
import { type ExpressionKind, ExpressionReader, expressionError } from './reader.js'
import type { CallSyntax, Comparator, ConditionSyntax, OperandSyntax } from './syntax.js'

/** Most values of one IN. */
export const inOperandsMax = 100

export type Operand =
  | { readonly kind: 'path'; readonly path: Path }
  | { readonly kind: 'value'; readonly value: AttributeValue }
  | { readonly kind: 'size'; readonly of: Operand }

/** A parsed condition with its names and values put in. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly items: readonly Condition[] }
  | { readonly kind: 'not'; readonly item: Condition }
  | { readonly kind: 'compare'; readonly operator: Comparator; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'between'; readonly value: Operand; readonly low: Operand; readonly high: Operand }
  | { readonly kind: 'in'; readonly value: Operand; readonly options: readonly Operand[] }
  | { readonly kind: 'attribute_exists' | 'attribute_not_exists'; readonly path: Path }
  | { readonly kind: 'attribute_type'; readonly of: Operand; readonly type: AttributeType }
  | { readonly kind: 'begins_with' | 'contains'; readonly of: Operand; readonly operand: Operand }

export function parseCondition(
  kind: 'ConditionExpression' | 'FilterExpression',
  text: string,
  context: ExpressionContext,
): Condition {
  return readCondition(kind, text, context)
}

/** Three passes, as AWS has them: the syntax, then the names, then what the names and values are. */
export function readCondition(kind: ExpressionKind, text: string, context: ExpressionContext): Condition {
  const syntax = parseConditionSyntax(new ExpressionReader(kind, text))
  checkConditionNames(kind, syntax)
  return new Resolver(kind, context).condition(syntax)
}

const comparedTypes: readonly AttributeType[] = ['S', 'N', 'B']
const prefixTypes: readonly AttributeType[] = ['S', 'B']
const sizedTypes: readonly AttributeType[] = ['S', 'B', 'SS', 'NS', 'BS', 'L', 'M']
const attributeTypes: readonly string[] = ['NS', 'SS', 'L', 'BS', 'N', 'M', 'B', 'BOOL', 'NULL', 'S']

/** Puts names and values in, and checks number and types of operands; operands before their operator, left to right. */
class Resolver {
  constructor(
    private readonly kind: ExpressionKind,
    private readonly context: ExpressionContext,
  ) {}

  condition(syntax: ConditionSyntax): Condition {
    switch (syntax.kind) {
      case 'and':
      case 'or':
        return { kind: syntax.kind, items: syntax.items.map((item) => this.condition(item)) }
      case 'not':
        return { kind: 'not', item: this.condition(syntax.item) }
      case 'compare': {
        const left = this.operand(syntax.left)
        const right = this.operand(syntax.right)
        if (syntax.operator !== '=' && syntax.operator !== '<>') {
          this.requireType(syntax.operator, left, comparedTypes)
          this.requireType(syntax.operator, right, comparedTypes)
        }
        this.requireDistinct(syntax.operator, left, [right])
        return { kind: 'compare', operator: syntax.operator, left, right }
      }
      case 'between':
        return this.between(syntax.value, syntax.low, syntax.high)
      case 'in': {
        const value = this.operand(syntax.value)
        const options = syntax.options.map((option) => this.operand(option))
        if (options.length > inOperandsMax) {
          throw this.error(`The IN operator is provided with too many operands; number of operands: ${options.length}`)
        }
        this.requireDistinct('IN', value, options)
        return { kind: 'in', value, options }
      }
      case 'call':
        return this.call(syntax)
    }
  }

  private between(valueSyntax: OperandSyntax, lowSyntax: OperandSyntax, highSyntax: OperandSyntax): Condition {
    const value = this.operand(valueSyntax)
    const low = this.operand(lowSyntax)
    const high = this.operand(highSyntax)
    for (const operand of [value, low, high]) this.requireType('BETWEEN', operand, comparedTypes)
    this.requireDistinct('BETWEEN', value, [low, high])
    if (low.kind === 'value' && high.kind === 'value') {
      const order = compareValues(low.value, high.value)
      if (order === undefined || order > 0) {
        const wrong =
          order === undefined
            ? 'requires same data type for lower and upper bounds'
            : 'requires upper bound to be greater than or equal to lower bound'
        throw this.error(
          `The BETWEEN operator ${wrong}; lower bound operand: ${this.describe(lowSyntax)}, ` +
            `upper bound operand: ${this.describe(highSyntax)}`,
        )
      }
    }
    return { kind: 'between', value, low, high }
  }

  private call(syntax: CallSyntax): Condition {
    const name = syntax.name
    const operands = syntax.operands.map((operand) => this.operand(operand))
    switch (name) {
      case 'attribute_exists':
      case 'attribute_not_exists':
        this.requireCount(name, operands, 1)
        return { kind: name, path: this.requirePath(name, operands[0] as Operand) }
      case 'attribute_type': {
        this.requireCount(name, operands, 2)
        const [of, type] = operands as [Operand, Operand]
        this.requireDistinct(name, of, [type])
        return { kind: name, of, type: this.typeName(type) }
      }
      case 'begins_with':
      case 'contains': {
        this.requireCount(name, operands, 2)
        const [of, operand] = operands as [Operand, Operand]
        if (name === 'begins_with') {
          this.requireType(name, of, prefixTypes)
          this.requireType(name, operand, prefixTypes)
        }
        this.requireDistinct(name, of, [operand])
        return { kind: name, of, operand }
      }
      default:
        throw this.error(`Invalid function name; function: ${name}`)
    }
  }

  private operand(syntax: OperandSyntax): Operand {
    switch (syntax.kind) {
      case 'path':
        return { kind: 'path', path: this.context.path(this.kind, syntax) }
      case 'value':
        return { kind: 'value', value: this.context.value(this.kind, syntax.reference) }
      case 'call': {
        const operands = syntax.operands.map((operand) => this.operand(operand))
        this.requireCount(syntax.name, operands, 1)
        const of = operands[0] as Operand
        this.requireType(syntax.name, of, sizedTypes)
        return { kind: 'size', of }
      }
    }
  }

  /** attribute_type's second operand must be a value that names a type. */
  private typeName(operand: Operand): AttributeType {
    if (operand.kind !== 'value') {
      const found = operand.kind === 'path' ? `{${attributeTypes.join(',')}}` : 'N'
      throw this.wrongType('attribute_type', found)
    }
    if (!('S' in operand.value)) throw this.wrongType('attribute_type', typeOf(operand.value))
    const type = operand.value.S
    if (!attributeTypes.includes(type)) {
      throw this.error(`Invalid attribute type name found; type: ${type}, valid types: {${attributeTypes.join(',')}}`)
    }
    return type as AttributeType
  }

  private requireCount(name: string, operands: readonly Operand[], count: number): void {
    if (operands.length === count) return
    throw this.error(
      'Incorrect number of operands for operator or function; ' +
        `operator or function: ${name}, number of operands: ${operands.length}`,
    )
  }

  private requirePath(name: string, operand: Operand): Path {
    if (operand.kind === 'path') return operand.path
    throw this.error(`Operator or function requires a document path; operator or function: ${name}`)
  }

  /** Types of values and sizes are known here; an attribute of a wrong type is no error, it just does not match. */
  private requireType(name: string, operand: Operand, types: readonly AttributeType[]): void {
    if (operand.kind === 'path') return
    const type = operand.kind === 'value' ? typeOf(operand.value) : 'N'
    if (!types.includes(type)) throw this.wrongType(name, type)
  }

  private wrongType(name: string, type: string): Error {
    return this.error(
      `Incorrect operand type for operator or function; operator or function: ${name}, operand type: ${type}`,
    )
  }

  private requireDistinct(name: string, first: Operand, rest: readonly Operand[]): void {
    if (first.kind !== 'path') return
    for (const operand of rest) {
      if (operand.kind !== 'path' || !pathsEqual(first.path, operand.path)) continue
      throw this.error(
        'The first operand must be distinct from the remaining operands for this operator or function; ' +
          `operator: ${name}, first operand: ${describePath(first.path)}`,
      )
    }
  }

  private describe(syntax: OperandSyntax): string {
    return syntax.kind === 'value' ? this.context.describeValue(syntax.reference) : ''
  }

  private error(message: string): Error {
    return expressionError(this.kind, message)
  }
}

/** The paths that a condition reads, in the order of the text. */
export function conditionPaths(condition: Condition): readonly Path[] {
  const paths: Path[] = []
  collectPaths(condition, paths)
  return paths
}

function collectPaths(condition: Condition, paths: Path[]): void {
  switch (condition.kind) {
    case 'and':
    case 'or':
      for (const item of condition.items) collectPaths(item, paths)
      break
    case 'not':
      collectPaths(condition.item, paths)
      break
    case 'attribute_exists':
    case 'attribute_not_exists':
      paths.push(condition.path)
      break
    default:
      for (const operand of operandsOf(condition)) {
        let inner = operand
        while (inner.kind === 'size') inner = inner.of
        if (inner.kind === 'path') paths.push(inner.path)
      }
  }
}

type WithOperands = Extract<
  Condition,
  { kind: 'compare' | 'between' | 'in' | 'attribute_type' | 'begins_with' | 'contains' }
>

/** The operands of a condition that has some, in the order of the text. */
export function operandsOf(condition: WithOperands): readonly Operand[] {
  switch (condition.kind) {
    case 'compare':
      return [condition.left, condition.right]
    case 'between':
      return [condition.value, condition.low, condition.high]
    case 'in':
      return [condition.value, ...condition.options]
    case 'attribute_type':
      return [condition.of]
    case 'begins_with':
    case 'contains':
      return [condition.of, condition.operand]
  }
}
