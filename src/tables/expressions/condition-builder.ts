import { type AttributeType, compareValues, typeOf } from '../values/index.js'
import type { Condition, Operand } from './condition.js'
import { type Path, requireDistinct } from './paths.js'
import { type ExpressionKind, expressionError } from './reader.js'
import type { Comparator } from './syntax.js'

/** Most values of one IN. */
export const inOperandsMax = 100

const comparedTypes: readonly AttributeType[] = ['S', 'N', 'B']
const prefixTypes: readonly AttributeType[] = ['S', 'B']
const sizedTypes: readonly AttributeType[] = ['S', 'B', 'SS', 'NS', 'BS', 'L', 'M']
const attributeTypes: readonly string[] = ['NS', 'SS', 'L', 'BS', 'N', 'M', 'B', 'BOOL', 'NULL', 'S']
/** The same in the order in which the answer to a statement has them. */
const statementTypes: readonly string[] = ['N', 'BS', 'L', 'B', 'NULL', 'M', 'S', 'SS', 'NS', 'BOOL']

/** Makes conditions of operands and refuses those whose number or types do not fit, in AWS's words. Throws ValidationError. */
export class ConditionBuilder {
  constructor(private readonly kind: ExpressionKind) {}

  compare(operator: Comparator, left: Operand, right: Operand): Condition {
    if (operator !== '=' && operator !== '<>') {
      this.requireType(operator, left, comparedTypes)
      this.requireType(operator, right, comparedTypes)
    }
    this.requireDistinct(operator, left, [right])
    return { kind: 'compare', operator, left, right }
  }

  /** `describe` gives the bounds as the message shows them. */
  between(value: Operand, low: Operand, high: Operand, describe: () => readonly [string, string]): Condition {
    for (const operand of [value, low, high]) this.requireType('BETWEEN', operand, comparedTypes)
    this.requireDistinct('BETWEEN', value, [low, high])
    if (low.kind === 'value' && high.kind === 'value') {
      const order = compareValues(low.value, high.value)
      if (order === undefined || order > 0) {
        const wrong =
          order === undefined
            ? 'requires same data type for lower and upper bounds'
            : 'requires upper bound to be greater than or equal to lower bound'
        const [lower, upper] = describe()
        throw this.error(`The BETWEEN operator ${wrong}; lower bound operand: ${lower}, upper bound operand: ${upper}`)
      }
    }
    return { kind: 'between', value, low, high }
  }

  in(value: Operand, options: readonly Operand[]): Condition {
    if (options.length > inOperandsMax) {
      throw this.error(`The IN operator is provided with too many operands; number of operands: ${options.length}`)
    }
    this.requireDistinct('IN', value, options)
    return { kind: 'in', value, options }
  }

  /** A function that is a condition. */
  call(name: string, operands: readonly Operand[]): Condition {
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

  size(name: string, operands: readonly Operand[]): Operand {
    this.requireCount(name, operands, 1)
    const of = operands[0] as Operand
    this.requireType(name, of, sizedTypes)
    return { kind: 'size', of }
  }

  /** attribute_type's second operand must be a value that names a type. */
  private typeName(operand: Operand): AttributeType {
    if (operand.kind !== 'value') {
      const found = operand.kind === 'path' ? `{${attributeTypes.join(',')}}` : typeOfOperand(operand)
      throw this.wrongType('attribute_type', found)
    }
    if (!('S' in operand.value)) throw this.wrongType('attribute_type', typeOf(operand.value))
    const type = operand.value.S
    if (!attributeTypes.includes(type)) {
      const valid = this.kind === 'Statement' ? statementTypes : attributeTypes
      throw this.error(`Invalid attribute type name found; type: ${type}, valid types: {${valid.join(',')}}`)
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

  /** Types of values, sizes and tests are known here; an attribute of a wrong type is no error, it just does not match. */
  private requireType(name: string, operand: Operand, types: readonly AttributeType[]): void {
    if (operand.kind === 'path') return
    const type = typeOfOperand(operand)
    if (!types.includes(type)) throw this.wrongType(name, type)
  }

  private wrongType(name: string, type: string): Error {
    return this.error(
      `Incorrect operand type for operator or function; operator or function: ${name}, operand type: ${type}`,
    )
  }

  private requireDistinct(name: string, first: Operand, rest: readonly Operand[]): void {
    if (first.kind !== 'path') return
    for (const operand of rest) if (operand.kind === 'path') requireDistinct(this.kind, name, first.path, operand.path)
  }

  private error(message: string): Error {
    return expressionError(this.kind, message)
  }
}

function typeOfOperand(operand: Exclude<Operand, { kind: 'path' }>): AttributeType {
  switch (operand.kind) {
    case 'value':
      return typeOf(operand.value)
    case 'size':
      return 'N'
    case 'test':
      return 'BOOL'
  }
}
