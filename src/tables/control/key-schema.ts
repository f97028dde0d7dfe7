import { validation } from '../requests/aws-error.js'
import { type Constraints, type Input, list } from '../requests/request.js'
import type { KeyAttribute, KeySchema, KeyType } from '../values/index.js'

const keyNameBytesMax = 255
const keysMax = 2

export interface Definition {
  readonly AttributeName: string
  readonly AttributeType: KeyType
}

export interface Element {
  readonly AttributeName: string
  readonly KeyType: 'HASH' | 'RANGE'
}

/** KeySchema and AttributeDefinitions as CreateTable has them, each member for itself. Adds to the constraints. */
export function readKeySchema(
  input: Input,
  constraints: Constraints,
): { readonly elements: readonly Element[]; readonly definitions: readonly Definition[] } {
  const definitions = readDefinitions(input, constraints)
  const elements = readElements(list(input, 'KeySchema'), 'keySchema', keysMax, constraints)
  return { elements, definitions }
}

function readDefinitions(input: Input, constraints: Constraints): readonly Definition[] {
  const isGiven = (input.AttributeDefinitions ?? undefined) !== undefined
  constraints.check(isGiven, 'attributeDefinitions', undefined, 'Member must not be null')
  return readGivenDefinitions(input, constraints)
}

/** AttributeDefinitions, where there need be none. */
export function readGivenDefinitions(input: Input, constraints: Constraints): readonly Definition[] {
  const definitions = (list(input, 'AttributeDefinitions') ?? []) as readonly (Partial<Definition> | null)[]
  definitions.forEach((definition, i) => {
    const member = `attributeDefinitions.${i + 1}.member`
    checkName(constraints, member, definition?.AttributeName)
    checkOneOf(constraints, `${member}.attributeType`, definition?.AttributeType, ['B', 'N', 'S'])
  })
  return definitions as readonly Definition[]
}

/** A KeySchema, which must be there; `max` is the most elements that the model allows. */
export function readElements(
  given: readonly unknown[] | undefined,
  place: string,
  max: number,
  constraints: Constraints,
): readonly Element[] {
  const elements = given as readonly (Partial<Element> | null)[] | undefined
  constraints.check(elements !== undefined, place, undefined, 'Member must not be null')
  constraints.check(elements?.length !== 0, place, '[]', 'Member must have length greater than or equal to 1')
  constraints.check(
    (elements?.length ?? 0) <= max,
    place,
    `[${(elements ?? []).map(describeElement).join(', ')}]`,
    `Member must have length less than or equal to ${max}`,
  )
  for (const [i, element] of (elements ?? []).slice(0, max).entries()) {
    const member = `${place}.${i + 1}.member`
    checkName(constraints, member, element?.AttributeName)
    checkOneOf(constraints, `${member}.keyType`, element?.KeyType, ['HASH', 'RANGE'])
  }
  return (elements ?? []) as readonly Element[]
}

function checkName(constraints: Constraints, member: string, given: string | null | undefined): void {
  const place = `${member}.attributeName`
  const name = given ?? undefined
  const size = name === undefined ? undefined : Buffer.byteLength(name)
  constraints.check(name !== undefined, place, undefined, 'Member must not be null')
  constraints.check(size !== 0, place, name, 'Member must have length greater than or equal to 1')
  constraints.check(
    (size ?? 0) <= keyNameBytesMax,
    place,
    name,
    `Member must have length less than or equal to ${keyNameBytesMax}`,
  )
}

export function checkOneOf(
  constraints: Constraints,
  member: string,
  given: string | null | undefined,
  allowed: readonly string[],
): void {
  const value = given ?? undefined
  constraints.check(value !== undefined, member, undefined, 'Member must not be null')
  constraints.check(
    value === undefined || allowed.includes(value),
    member,
    value,
    `Member must satisfy enum value set: [${allowed.join(', ')}]`,
  )
}

function describeElement(element: Partial<Element> | null): string {
  return `KeySchemaElement(attributeName=${element?.AttributeName}, keyType=${element?.KeyType})`
}

/**
 * The schema that valid members make together. Throws ValidationException, in AWS's order. `hasIndexes`: attributes may be
 * defined for these.
 */
export function keySchemaOf(
  elements: readonly Element[],
  definitions: readonly Definition[],
  hasIndexes = false,
): KeySchema {
  const types = new Map(definitions.map(({ AttributeName, AttributeType }) => [AttributeName, AttributeType]))
  const names = elements.map((element) => element.AttributeName)
  const seen = new Set<string>()
  for (const { AttributeName: name } of definitions) {
    if (seen.has(name)) throw validation(`Attribute Name is duplicated: ${name}`)
    seen.add(name)
  }
  if (names.length > definitions.length)
    throw validation('Invalid KeySchema: Some index key attribute have no definition')
  refuseUndefined(names, definitions)
  const [first, second] = elements as [Element, Element?]
  if (second && second.AttributeName === first.AttributeName)
    throw validation('Both the Hash Key and the Range Key element in the KeySchema have the same name')
  if (first.KeyType !== 'HASH') throw validation('Invalid KeySchema: The first KeySchemaElement is not a HASH key type')
  if (second && second.KeyType !== 'RANGE')
    throw validation('Invalid KeySchema: The second KeySchemaElement is not a RANGE key type')
  if (!hasIndexes && types.size > names.length) {
    throw validation(
      'One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions',
    )
  }
  const attribute = ({ AttributeName: name }: Element): KeyAttribute => ({ name, type: types.get(name) as KeyType })
  return { hash: attribute(first), ...(second ? { range: attribute(second) } : {}) }
}

/** All keys must have their definition. Throws ValidationException. */
export function refuseUndefined(names: readonly string[], definitions: readonly Definition[]): void {
  const defined = definitions.map(({ AttributeName }) => AttributeName)
  if (names.every((name) => defined.includes(name))) return
  throw validation(
    'One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. ' +
      `Keys: [${names.join(', ')}], AttributeDefinitions: [${defined.join(', ')}]`,
  )
}
