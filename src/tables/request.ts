import { serialization, validation } from './aws-error.js'
import type { Placeholders } from './expressions/index.js'

/** A request's body: an object of members that are checked one by one when they are read. */
export type Input = Readonly<Record<string, unknown>>

export function parseInput(body: Buffer): Input {
  let value: unknown
  try {
    value = JSON.parse(body.toString()) as unknown
  } catch {
    throw serialization('Unable to parse request body')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw serialization('Start of structure or map found where not expected')
  return value as Input
}

/** Faults of the model's constraints, which AWS counts and answers together. */
export class Constraints {
  readonly #faults: string[] = []

  check(isMet: boolean, member: string, value: unknown, constraint: string): void {
    if (isMet) return
    const shown =
      value === undefined || value === null ? 'null' : typeof value === 'object' ? JSON.stringify(value) : String(value)
    this.#faults.push(
      `Value ${value === undefined || value === null ? 'null' : `'${shown}'`} at '${member}' failed to satisfy constraint: ${constraint}`,
    )
  }

  done(): void {
    const count = this.#faults.length
    if (count > 0)
      throw validation(`${count} validation error${count === 1 ? '' : 's'} detected: ${this.#faults.join('; ')}`)
  }
}

const textFault = 'STRING_VALUE cannot be converted to '

export function text(input: Input, name: string): string | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw serialization(`${typeName(value)} cannot be converted to String`)
  return value
}

export function whole(input: Input, name: string): number | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'string') throw serialization(`${textFault}Integer`)
  if (typeof value !== 'number') throw serialization(`${typeName(value)} cannot be converted to Integer`)
  return Math.trunc(value)
}

export function flag(input: Input, name: string): boolean | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'boolean') throw serialization(`${typeName(value)} cannot be converted to Boolean`)
  return value
}

export function object(input: Input, name: string): Input | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object' || Array.isArray(value)) throw serialization('Unexpected field type')
  return value as Input
}

export function list(input: Input, name: string): readonly unknown[] | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) throw serialization('Unexpected field type')
  return value
}

function typeName(value: unknown): string {
  if (typeof value === 'number') return 'NUMBER_VALUE'
  if (typeof value === 'boolean') return value ? 'TRUE_VALUE' : 'FALSE_VALUE'
  return Array.isArray(value) ? 'START_ARRAY' : 'START_OBJECT'
}

const tableNamePattern = /^[a-zA-Z0-9_.-]+$/
const tableArnPattern = /^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table\/([a-zA-Z0-9_.-]+)$/

/** The table's name of a request; an ARN is taken for its last part. Adds to the constraints that it fails. */
export function tableName(input: Input, constraints: Constraints, options: { created?: boolean } = {}): string {
  const name = text(input, 'TableName')
  if (name === undefined) {
    constraints.check(false, 'tableName', undefined, 'Member must not be null')
    return ''
  }
  const arn = options.created ? null : tableArnPattern.exec(name)
  if (arn) return arn[1] as string
  if (options.created) {
    constraints.check(
      tableNamePattern.test(name),
      'tableName',
      name,
      'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+',
    )
    constraints.check(name.length >= 3, 'tableName', name, 'Member must have length greater than or equal to 3')
    constraints.check(name.length <= 255, 'tableName', name, 'Member must have length less than or equal to 255')
  } else {
    constraints.check(name.length >= 1, 'tableName', name, 'Member must have length greater than or equal to 1')
    constraints.check(name.length <= 1024, 'tableName', name, 'Member must have length less than or equal to 1024')
    constraints.check(
      name.length === 0 || tableNamePattern.test(name),
      'tableName',
      name,
      'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+',
    )
  }
  return name
}

export function oneOf<T extends string>(
  input: Input,
  name: string,
  member: string,
  allowed: readonly T[],
  constraints: Constraints,
): T | undefined {
  const value = text(input, name)
  if (value === undefined) return undefined
  constraints.check(
    (allowed as readonly string[]).includes(value),
    member,
    value,
    `Member must satisfy enum value set: [${allowed.join(', ')}]`,
  )
  return value as T
}

export function atMost(
  input: Input,
  name: string,
  member: string,
  max: number,
  constraints: Constraints,
): number | undefined {
  const value = whole(input, name)
  if (value === undefined) return undefined
  constraints.check(value >= 1, member, value, 'Member must have value greater than or equal to 1')
  constraints.check(value <= max, member, value, `Member must have value less than or equal to ${max}`)
  return value
}

/** The names and values of a request's expressions. */
export function placeholders(input: Input): Placeholders {
  const names = input.ExpressionAttributeNames
  const values = input.ExpressionAttributeValues
  return {
    ...(names === undefined || names === null ? {} : { names: names as Record<string, string> }),
    ...(values === undefined || values === null ? {} : { values: values as Record<string, unknown> }),
  }
}

/** Names or values without an expression to use them. */
export function refuseLonePlaceholders(input: Input, expressions: readonly string[]): void {
  if (expressions.some((name) => input[name] !== undefined && input[name] !== null)) return
  for (const name of ['ExpressionAttributeNames', 'ExpressionAttributeValues']) {
    if (input[name] === undefined || input[name] === null) continue
    throw validation(
      `${name} can only be specified when using expressions${expressions.length === 1 ? `: ${expressions[0]} is null` : ''}`,
    )
  }
}

/** Parameters from before expressions are not there yet: better a refusal than a wrong answer. */
export function refuseLegacy(input: Input): void {
  for (const name of [
    'Expected',
    'AttributeUpdates',
    'ConditionalOperator',
    'KeyConditions',
    'QueryFilter',
    'ScanFilter',
    'AttributesToGet',
  ]) {
    if (input[name] !== undefined && input[name] !== null) {
      throw validation(`The legacy parameter ${name} is not supported by this version of Millrace; use an expression`)
    }
  }
}
