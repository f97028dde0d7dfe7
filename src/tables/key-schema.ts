import { validation } from './aws-error.js'
import { type Constraints, type Input, list } from './request.js'
import type { KeyAttribute, KeySchema, KeyType } from './values/index.js'

const keyNameBytesMax = 255
const keysMax = 2

interface Definition {
  readonly AttributeName: string
  readonly AttributeType: KeyType
}

interface Element {
  readonly AttributeName: string
  readonly KeyType: 'HASH' | 'RANGE'
}

/** KeySchema and AttributeDefinitions as CreateTable has them, each member for itself. Adds to the constraints. */
export function readKeySchema(
  input: Input,
  constraints: Constraints,
): { readonly elements: readonly Element[]; readonly definitions: readonly Definition[] } {
  const definitions = (list(input, 'AttributeDefinitions') ?? []) as readonly (Partial<Definition> | null)[]
  const elements = list(input, 'KeySchema') as readonly (Partial<Element> | null)[] | undefined
  constraints.check(
    (input.AttributeDefinitions ?? undefined) !== undefined,
    'attributeDefinitions',
    undefined,
    'Member must not be null',
  )
  definitions.forEach((definition, i) => {
    const member = `attributeDefinitions.${i + 1}.member`
    checkName(constraints, member, definition?.AttributeName)
    checkOneOf(constraints, `${member}.attributeType`, definition?.AttributeType, ['B', 'N', 'S'])
  })
  constraints.check(elements !== undefined, 'keySchema', undefined, 'Member must not be null')
  constraints.check(elements?.length !== 0, 'keySchema', '[]', 'Member must have length greater than or equal to 1')
  constraints.check(
    (elements?.length ?? 0) <= keysMax,
    'keySchema',
    `[${(elements ?? []).map(describeElement).join(', ')}]`,
    `Member must have length less than or equal to ${keysMax}`,
  )
  for (const [i, element] of (elements ?? []).slice(0, keysMax).entries()) {
    const member = `keySchema.${i + 1}.member`
    checkName(constraints, member, element?.AttributeName)
    checkOneOf(constraints, `${member}.keyType`, element?.KeyType, ['HASH', 'RANGE'])
  }
  return { elements: (elements ?? []) as readonly Element[], definitions: definitions as readonly Definition[] }
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

function checkOneOf(
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

/** The schema that valid members make together. Throws ValidationException, in AWS's order. */
export function keySchemaOf(elements: readonly Element[], definitions: readonly Definition[]): KeySchema {
  const types = new Map(definitions.map(({ AttributeName, AttributeType }) => [AttributeName, AttributeType]))
  const names = elements.map((element) => element.AttributeName)
  if (types.size < definitions.length) throw validation('Cannot have two attributes with the same name')
  if (names.length > definitions.length)
    throw validation('Invalid KeySchema: Some index key attribute have no definition')
  if (names.some((name) => !types.has(name))) {
    throw validation(
      `One or more parameter values were invalid: Some index key attributes are not defined in AttributeDefinitions. Keys: [${names.join(', ')}], AttributeDefinitions: [${[...types.keys()].join(', ')}]`,
    )
  }
  const [first, second] = elements as [Element, Element?]
  if (second && second.AttributeName === first.AttributeName)
    throw validation('Both the Hash Key and the Range Key element in the KeySchema have the same name')
  if (first.KeyType !== 'HASH') throw validation('Invalid KeySchema: The first KeySchemaElement is not a HASH key type')
  if (second && second.KeyType !== 'RANGE')
    throw validation('Invalid KeySchema: The second KeySchemaElement is not a RANGE key type')
  if (types.size > names.length) {
    throw validation(
      'One or more parameter values were invalid: Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions',
    )
  }
  const attribute = ({ AttributeName: name }: Element): KeyAttribute => ({ name, type: types.get(name) as KeyType })
  return { hash: attribute(first), ...(second ? { range: attribute(second) } : {}) }
}
