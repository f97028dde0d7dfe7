import {
  type AttributeValue,
  checkValue,
  type Item,
  nestingMax,
  normaliseNumber,
  setAttribute,
  ValidationError,
} from '../values/index.js'
import { nameOfKind } from './operation-names.js'
import { describePlace, type Place } from './statement-error.js'
import type { Expression } from './syntax.js'

/** The text and the parameters that a statement's expressions are read against. */
export class Literals {
  constructor(
    private readonly text: string,
    private readonly parameters: readonly AttributeValue[],
  ) {}

  /** ` at line:column:length`, which AWS puts behind many messages. */
  at(place: Place): string {
    return ` at ${describePlace(this.text, place)}`
  }

  isValue(expression: Expression): boolean {
    switch (expression.kind) {
      case 'string':
      case 'number':
      case 'boolean':
      case 'null':
      case 'parameter':
      case 'list':
      case 'bag':
      case 'struct':
      case 'ion':
      case 'date':
        return true
      default:
        return false
    }
  }

  /** What a literal or a parameter stands for. Throws ValidationError. */
  value(expression: Expression): AttributeValue {
    return this.read(expression, 'root', 0)
  }

  /** The members of a struct, each as a value of its own. */
  item(members: Extract<Expression, { kind: 'struct' }>['members']): Item {
    return this.struct(members, 'root', (value) => this.value(value))
  }

  private read(expression: Expression, path: string, depth: number): AttributeValue {
    if (depth >= nestingMax) throw new ValidationError(`Nesting Levels have exceeded supported limits under ${path}`)
    switch (expression.kind) {
      case 'string':
        return checkValue({ S: expression.text })
      case 'number':
        return { N: this.number(expression.text, path) }
      case 'boolean':
        return { BOOL: expression.value }
      case 'null':
        return { NULL: true }
      case 'parameter':
        // A parameter is a whole value: it cannot stand in a list or a map.
        if (depth === 0) return this.parameter(expression.position)
        break
      case 'list':
        return { L: expression.elements.map((element, i) => this.read(element, `${path}[${i}]`, depth + 1)) }
      case 'struct':
        return {
          M: this.struct(expression.members, path, (value, name) => this.read(value, `${path}.${name}`, depth + 1)),
        }
      case 'bag':
        return this.bag(expression.elements, path)
      case 'ion':
        throw new ValidationError(
          `Ion Literals are not supported: ${this.text.slice(expression.place.start, expression.place.end)} under key ${path}`,
        )
      case 'missing':
        throw new ValidationError('MISSING must be compared using IS operator')
    }
    const found = expression.kind === 'call' ? expression.name : nameOfKind(expression)
    throw new ValidationError(`Unsupported data type: ${found} under key ${path}${this.at(expression.place)}`)
  }

  /** As on AWS it is no fault that more were given than the statement has. */
  private parameter(position: number): AttributeValue {
    const value = this.parameters[position]
    if (value === undefined) throw new ValidationError("Number of parameters in request and statement don't match.")
    return value
  }

  private number(text: string, path: string): string {
    try {
      return normaliseNumber(text)
    } catch (thrown) {
      if (!(thrown instanceof ValidationError)) throw thrown
      throw new ValidationError(`${thrown.message} under ${path}`)
    }
  }

  private struct(
    members: Extract<Expression, { kind: 'struct' }>['members'],
    path: string,
    read: (value: Expression, name: string) => AttributeValue,
  ): Item {
    const item: Item = {}
    const names = new Set<string>()
    for (const { name, value } of members) {
      if (name.kind !== 'string') {
        throw new ValidationError(
          `Tuple keys must be of type String. Actual type: ${nameOfKind(name)} under ${path}${this.at(name.place)}`,
        )
      }
      if (names.has(name.text)) throw new ValidationError(`Duplicate keys in tuple. Key: ${name.text} under ${path}`)
      names.add(name.text)
      setAttribute(item, name.text, read(value, name.text))
    }
    return item
  }

  /** A set: of strings or of numbers, for there are no literals of binaries. */
  private bag(elements: readonly Expression[], path: string): AttributeValue {
    if (elements.length === 0) throw new ValidationError('Empty bags are not supported')
    const texts: string[] = []
    for (const element of elements) {
      if ((element.kind !== 'string' && element.kind !== 'number') || element.kind !== elements[0]?.kind) {
        throw new ValidationError(
          'Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags',
        )
      }
      texts.push(element.text)
    }
    if (elements[0]?.kind === 'string') return checkValue({ SS: texts })
    const numbers = texts.map((text) => this.number(text, path))
    if (new Set(numbers).size < numbers.length) {
      throw new ValidationError(
        `One or more parameter values were invalid: Input collection [${texts.join(', ')}] contains duplicates! under ${path}`,
      )
    }
    return checkValue({ NS: numbers })
  }
}
