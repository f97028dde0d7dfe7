import {
  type AttributeValue,
  attributeNameBytesMax,
  checkItem,
  notMap,
  notText,
  typeOf,
  ValidationError,
} from '../values/index.js'
import type { Path } from './paths.js'
import { type ExpressionKind, expressionError } from './reader.js'
import type { PathSyntax } from './syntax.js'
import { isReference } from './tokens.js'

/** Most bytes of a reference (`#name` or `:value`), its mark included. */
export const referenceBytesMax = 255
/** Most bytes of all names and values of a request. */
export const placeholdersBytesMax = 2 * 1024 * 1024
/** Deepest path, the attribute itself counted. */
export const pathDepthMax = 32

export interface Placeholders {
  readonly names?: Readonly<Record<string, string>>
  readonly values?: Readonly<Record<string, unknown>>
}

/** The names and values that stand in for references in one request's expressions, and which of them were used. */
export class ExpressionContext {
  private readonly names = new Map<string, string>()
  private readonly values = new Map<string, AttributeValue>()
  private readonly written: Readonly<Record<string, unknown>>
  private readonly usedNames = new Set<string>()
  private readonly usedValues = new Set<string>()
  private size = 0

  /** Bytes of all names and values. */
  get bytes(): number {
    return this.size
  }

  /** Checks the names, then the values. Throws ValidationError. */
  constructor(placeholders: Placeholders) {
    if (placeholders.names !== undefined) this.readNames(placeholders.names)
    if (placeholders.values !== undefined) this.readValues(placeholders.values)
    this.written = placeholders.values ?? {}
    if (this.size > placeholdersBytesMax) {
      throw new ValidationError(
        'Combined size of ExpressionAttributeNames and ExpressionAttributeValues exceeds max size',
      )
    }
  }

  private readNames(names: Readonly<Record<string, unknown>>): void {
    if (typeof names !== 'object' || names === null || Array.isArray(names)) throw notMap(names)
    for (const reference of Object.keys(names)) {
      checkReference('ExpressionAttributeNames', '#', reference)
      const name = names[reference]
      if (typeof name !== 'string') throw notText(name)
      const size = Buffer.byteLength(name)
      if (size === 0) {
        throw new ValidationError(
          `ExpressionAttributeNames contains invalid value: Empty attribute name for key ${reference}`,
        )
      }
      if (size > attributeNameBytesMax) {
        throw new ValidationError(
          'ExpressionAttributeNames contains invalid value: ' +
            `Attribute name is too large, must be less than 65536 bytes for key ${reference}`,
        )
      }
      this.size += Buffer.byteLength(reference) + size
      this.names.set(reference, name)
    }
    if (this.names.size === 0) throw new ValidationError('ExpressionAttributeNames must not be empty')
  }

  private readValues(values: Readonly<Record<string, unknown>>): void {
    if (typeof values !== 'object' || values === null || Array.isArray(values)) throw notMap(values)
    // All keys come before the first value, as on AWS.
    const references = Object.keys(values)
    if (references.length === 0) throw new ValidationError('ExpressionAttributeValues must not be empty')
    for (const reference of references) checkReference('ExpressionAttributeValues', ':', reference)
    for (const reference of references) this.values.set(reference, this.readValue(reference, values[reference]))
  }

  private readValue(reference: string, raw: unknown): AttributeValue {
    try {
      const { item, size } = checkItem({ [reference]: raw })
      this.size += size
      return item[reference] as AttributeValue
    } catch (thrown) {
      if (!(thrown instanceof ValidationError) || thrown.variant === 'serialization') throw thrown
      throw new ValidationError(
        thrown.message,
        'validation',
        `ExpressionAttributeValues contains invalid value: ${thrown.older} for key ${reference}`,
      )
    }
  }

  /** The value behind a `:reference` of an expression. */
  value(kind: ExpressionKind, reference: string): AttributeValue {
    const value = this.values.get(reference)
    if (value === undefined) {
      throw expressionError(
        kind,
        `An expression attribute value used in expression is not defined; attribute value: ${reference}`,
      )
    }
    this.usedValues.add(reference)
    return value
  }

  /** A value as the request has it, in the form of AWS's messages. */
  describeValue(reference: string): string {
    const written = this.written[reference] as Readonly<Record<string, unknown>>
    const type = typeOf(this.values.get(reference) as AttributeValue)
    const content = written[type]
    return `AttributeValue: {${type}:${typeof content === 'object' ? JSON.stringify(content) : content}}`
  }

  /** A path with its `#references` replaced. */
  path(kind: ExpressionKind, syntax: PathSyntax): Path {
    const path: (string | number)[] = []
    for (const part of syntax.parts) {
      if (part.kind === 'index') path.push(Number(part.text))
      else path.push(part.kind === 'name' ? part.text : this.name(kind, part.text))
    }
    if (path.length > pathDepthMax) {
      throw expressionError(kind, `The document path has too many nesting levels; nesting levels: ${path.length}`)
    }
    return path as [string, ...(string | number)[]]
  }

  private name(kind: ExpressionKind, reference: string): string {
    const name = this.names.get(reference)
    if (name === undefined) {
      throw expressionError(
        kind,
        `An expression attribute name used in the document path is not defined; attribute name: ${reference}`,
      )
    }
    this.usedNames.add(reference)
    return name
  }

  /** Throws when a name or value was given that no expression used. Call it after all expressions are parsed. */
  checkAllUsed(): void {
    refuseUnused('ExpressionAttributeNames', this.names, this.usedNames)
    refuseUnused('ExpressionAttributeValues', this.values, this.usedValues)
  }
}

function checkReference(parameter: string, mark: '#' | ':', reference: string): void {
  const size = Buffer.byteLength(reference)
  if (size > referenceBytesMax) {
    throw new ValidationError(
      `${parameter} contains invalid key: ` +
        `The expression attribute map contains a key that is too long; size of key: ${size}`,
    )
  }
  if (!isReference(reference, mark)) {
    throw new ValidationError(`${parameter} contains invalid key: Syntax error; key: "${reference}"`)
  }
}

function refuseUnused(parameter: string, given: ReadonlyMap<string, unknown>, used: ReadonlySet<string>): void {
  if (used.size === given.size) return
  const unused = [...given.keys()].filter((reference) => !used.has(reference))
  throw new ValidationError(`Value provided in ${parameter} unused in expressions: keys: {${unused.join(', ')}}`)
}
