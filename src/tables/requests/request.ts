import { isUtf8 } from 'node:buffer'
import type { Placeholders } from '../expressions/index.js'
import { notBoolean, notList, notMap, notNumber, notText, ValidationError } from '../values/index.js'
import { serialization, validation } from './aws-error.js'

/** A request's body: an object of members that are checked one by one when they are read. */
export type Input = Readonly<Record<string, unknown>>

export function parseInput(body: Buffer): Input {
  let value: unknown
  // Decoding would put U+FFFD in place of what is no UTF-8: the item would not be the one that was sent.
  if (!isUtf8(body)) throw serialization('')
  try {
    value = JSON.parse(body.toString()) as unknown
  } catch {
    throw serialization('')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw serialization('Start of structure or map found where not expected')
  return value as Input
}

/** AWS names no more of them in one answer. */
const faultsMax = 10

/** Faults of the model's constraints, which AWS counts and answers together. */
export class Constraints {
  readonly #faults: string[] = []

  /** `value` is what the message shows; a fault of a member that is not there shows null. */
  check(isMet: boolean, member: string, value: string | number | undefined, constraint: string): void {
    if (isMet) return
    const shown = value === undefined ? 'null' : `'${value}'`
    this.#faults.push(`Value ${shown} at '${member}' failed to satisfy constraint: ${constraint}`)
  }

  done(): void {
    const shown = this.#faults.slice(0, faultsMax)
    const count = shown.length
    if (count > 0) throw validation(`${count} validation error${count === 1 ? '' : 's'} detected: ${shown.join('; ')}`)
  }
}

/*
 * Members of a request. checkShape has seen to the types of those that an operation knows; the texts here are for the
 * rest.
 */

export function text(input: Input, name: string): string | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string') throw notText(value)
  return value
}

export function whole(input: Input, name: string): number | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number') throw notNumber('Integer', value)
  return Math.trunc(value)
}

export function flag(input: Input, name: string): boolean | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'boolean') throw notBoolean(value)
  return value
}

export function object(input: Input, name: string): Input | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object' || Array.isArray(value)) throw notMap(value)
  return value as Input
}

export function list(input: Input, name: string): readonly unknown[] | undefined {
  const value = input[name]
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) throw notList(value)
  return value
}

const tableNameLengthMin = 3
const tableNameLengthMax = 255
const tableNamePattern = /^[a-zA-Z0-9_.-]+$/
const tableArnPattern = /^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table\/([a-zA-Z0-9_.-]+)$/

/** The table's name of a request of the control plane, where AWS has other words for what is wrong with it. */
export function describedTableName(input: Input, options: { created?: boolean } = {}): string {
  const name = text(input, 'TableName')
  if (name === undefined) throw validation("The parameter 'TableName' is required but was not present in the request")
  const arn = options.created ? null : tableArnPattern.exec(name)
  const found = arn ? (arn[1] as string) : name
  if (!options.created && (found.length < tableNameLengthMin || found.length > tableNameLengthMax)) {
    throw validation(
      `TableName must be at least ${tableNameLengthMin} characters long and at most ${tableNameLengthMax} characters long`,
    )
  }
  return found
}

/** The table's name of a request; an ARN is taken for its last part. Adds to the constraints that it fails. */
export function tableName(
  input: Input,
  constraints: Constraints,
  options: { created?: boolean; member?: string; lengthMin?: number } = {},
): string {
  const name = text(input, 'TableName')
  const member = options.member ?? 'tableName'
  if (name === undefined) {
    constraints.check(false, member, undefined, 'Member must not be null')
    return ''
  }
  const arn = options.created || !name.startsWith('arn:') ? null : tableArnPattern.exec(name)
  if (arn) return arn[1] as string
  checkTableName(name, member, constraints, options.lengthMin ?? (options.created ? tableNameLengthMin : 1))
  return name
}

export function checkTableName(
  name: string,
  member: string,
  constraints: Constraints,
  lengthMin = tableNameLengthMin,
): void {
  constraints.check(
    (name.length === 0 && lengthMin === 1) || tableNamePattern.test(name),
    member,
    name,
    'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+',
  )
  constraints.check(
    name.length >= lengthMin,
    member,
    name,
    `Member must have length greater than or equal to ${lengthMin}`,
  )
  constraints.check(
    name.length <= tableNameLengthMax,
    member,
    name,
    `Member must have length less than or equal to ${tableNameLengthMax}`,
  )
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
  const isAllowed = (allowed as readonly string[]).includes(value)
  if (!isAllowed) constraints.check(false, member, value, `Member must satisfy enum value set: [${allowed.join(', ')}]`)
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

/** A request that knows no values of expressions (GetItem and those like it): a member that is unknown is passed over. */
export function withoutValues(input: Input): Input {
  const { ExpressionAttributeValues: _, ...rest } = input
  return rest
}

/** Names or values without an expression to use them; the older words list those that could have used the values. */
export function refuseLonePlaceholders(
  input: Input,
  expressions: readonly string[],
  forValues: readonly string[] = expressions.filter((name) => name !== 'ProjectionExpression'),
): void {
  if (expressions.some((name) => input[name] !== undefined && input[name] !== null)) return
  for (const name of ['ExpressionAttributeNames', 'ExpressionAttributeValues']) {
    if (input[name] === undefined || input[name] === null) continue
    const message = `${name} can only be specified when using expressions`
    const absent = forValues.length === 1 ? `${forValues[0]} is null` : `${forValues.join(' and ')} are null`
    throw new ValidationError(
      message,
      'validation',
      name === 'ExpressionAttributeValues' && forValues.length > 0 ? `${message}: ${absent}` : message,
    )
  }
}
