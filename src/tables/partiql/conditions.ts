import { type Condition, ConditionBuilder, type Operand } from '../expressions/index.js'
import { type AttributeType, typeOf, ValidationError } from '../values/index.js'
import type { Literals } from './literals.js'
import { nameOfKind } from './operation-names.js'
import { pathOf } from './paths.js'
import type { Expression } from './syntax.js'

const conditionFunctions = new Set([
  'attribute_exists',
  'attribute_not_exists',
  'attribute_type',
  'begins_with',
  'contains',
])

/** The types that IS knows, beside MISSING. */
const testedTypes: Readonly<Record<string, AttributeType>> = {
  null: 'NULL',
  boolean: 'BOOL',
  blob: 'B',
  string: 'S',
  numeric: 'N',
  struct: 'M',
  tuple: 'M',
  list: 'L',
}

const notBoolean = 'WHERE clause must contain an expression that resolves to a boolean'

/** A condition that no item fulfils. */
const never: Condition = { kind: 'or', items: [] }

/** Makes the condition of a WHERE clause. Throws ValidationError. */
export class ConditionCompiler {
  private readonly build = new ConditionBuilder('Statement')

  constructor(private readonly literals: Literals) {}

  condition(expression: Expression, refusal = notBoolean): Condition {
    switch (expression.kind) {
      case 'and':
      case 'or': {
        const wrong = 'The arguments to AND/OR must be Expressions'
        return { kind: expression.kind, items: expression.items.map((item) => this.condition(item, wrong)) }
      }
      case 'not':
        return {
          kind: 'not',
          item: this.condition(expression.operand, 'The argument to NOT must be a Type or Expression'),
        }
      case 'compare':
        return this.build.compare(expression.operator, this.operand(expression.left), this.operand(expression.right))
      case 'between': {
        const [value, low, high] = [expression.value, expression.low, expression.high].map((part) => this.operand(part))
        return this.build.between(value as Operand, low as Operand, high as Operand, () => [
          describe(low as Operand),
          describe(high as Operand),
        ])
      }
      case 'in':
        return this.in(expression)
      case 'is':
        return this.is(expression)
      case 'call':
        if (!conditionFunctions.has(expression.name)) {
          if (expression.name === 'size') throw new ValidationError(refusal)
          throw this.unrecognised(expression)
        }
        return this.build.call(
          expression.name,
          expression.operands.map((operand) => this.operand(operand)),
        )
      case 'binary':
        throw unsupported(expression.operator)
      case 'plus':
        throw unsupported('+')
      case 'minus':
        throw unsupported('-')
      case 'statement':
        throw new ValidationError(`Unsupported operation: ${nameOfKind(expression)}`)
      default:
        throw new ValidationError(refusal)
    }
  }

  private operand(expression: Expression): Operand {
    if (this.literals.isValue(expression)) return { kind: 'value', value: this.literals.value(expression) }
    switch (expression.kind) {
      case 'path':
        return { kind: 'path', path: pathOf(expression, this.literals) }
      case 'missing':
        throw new ValidationError('MISSING must be compared using IS operator')
      case 'call':
        if (expression.name !== 'size') break
        return this.build.size(
          expression.name,
          expression.operands.map((operand) => this.operand(operand)),
        )
      case 'pathOf':
        throw new ValidationError(`Unexpected path component${this.literals.at(expression.place)}`)
    }
    return { kind: 'test', of: this.condition(expression) }
  }

  private in(expression: Extract<Expression, { kind: 'in' }>): Condition {
    const { options } = expression
    if ((options.kind !== 'list' && options.kind !== 'bag') || options.elements.length === 0) {
      throw new ValidationError(
        'IN operator must have a left hand argument of type Variable Reference and right hand argument of type Seq with at least one member',
      )
    }
    return this.build.in(
      this.operand(expression.value),
      options.elements.map((element) => this.operand(element)),
    )
  }

  private is(expression: Extract<Expression, { kind: 'is' }>): Condition {
    const { value, type } = expression
    if (value.kind !== 'path' && !this.literals.isValue(value) && value.kind !== 'missing') {
      throw new ValidationError('The left hand side argument to IS must be a Variable Reference, Literal, or Path')
    }
    if (type === 'missing') {
      if (value.kind === 'missing') return { kind: 'not', item: never }
      return value.kind === 'path' ? { kind: 'attribute_not_exists', path: pathOf(value, this.literals) } : never
    }
    const tested = Object.hasOwn(testedTypes, type) ? testedTypes[type] : undefined
    if (tested === undefined) {
      throw new ValidationError(
        `Unsupported data type for IS operator: ${type.toUpperCase().replace(' ', '_')}. ` +
          'Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST]',
      )
    }
    return value.kind === 'missing' ? never : { kind: 'attribute_type', of: this.operand(value), type: tested }
  }

  private unrecognised(call: Extract<Expression, { kind: 'call' }>): ValidationError {
    return new ValidationError(`Unrecognized function: ${call.name}${this.literals.at(call.place)}`)
  }
}

const unsupported = (operator: string): ValidationError =>
  new ValidationError(`Unsupported operator in Condition Expression. Operator: ${operator.toUpperCase()}`)

/** A bound of BETWEEN as AWS's messages show values. */
function describe(operand: Operand): string {
  if (operand.kind !== 'value') return ''
  const type = typeOf(operand.value)
  const content = (operand.value as Record<string, unknown>)[type]
  return `AttributeValue: {${type}:${typeof content === 'object' ? JSON.stringify(content) : content}}`
}
