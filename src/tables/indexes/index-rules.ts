import { type Definition, type Element, refuseUndefined } from '../control/key-schema.js'
import { validation } from '../requests/aws-error.js'
import type { KeyAttribute, KeySchema, KeyType } from '../values/index.js'
import {
  globalIndexesMax,
  type Index,
  type IndexProjection,
  includedOfTableMax,
  keyAttributesMax,
  localIndexesMax,
} from './definition.js'
import type { WantedIndex, WantedIndexes } from './index-request.js'
import { type Billing, checkThroughputs } from './throughput.js'

const invalid = (text: string): Error => validation(`One or more parameter values were invalid: ${text}`)

/** The rules that members of a CreateTable must follow together, and the indexes that they make. Throws in AWS's order. */
export function indexesOfTable(
  wanted: WantedIndexes,
  schema: KeySchema,
  definitions: readonly Definition[],
  billing: Billing,
): readonly Index[] {
  const { local, global } = wanted
  if (!local && !global) return []
  if (local?.length === 0) throw invalid('List of LocalSecondaryIndexes is empty')
  if (local && !schema.range) {
    throw invalid('Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex')
  }
  if (global?.length === 0) throw invalid('List of GlobalSecondaryIndexes is empty')
  const all = [...(local ?? []), ...(global ?? [])]
  for (const { elements } of all) refuseUndefined(namesOf(elements), definitions)
  refuseUnused(all, schema, definitions)
  const types = new Map(definitions.map(({ AttributeName, AttributeType }) => [AttributeName, AttributeType]))
  const names = new Set<string>()
  const locals = (local ?? []).map((index) => {
    checkLocalKey(index, schema)
    const projection = projectionOf(index)
    refuseDuplicate(index.name, names)
    return { name: index.name, kind: 'local' as const, ...keyOf(index.elements, types), projection }
  })
  if (locals.length > localIndexesMax)
    throw invalid(`Number of LocalSecondaryIndexes exceeds per-table limit of ${localIndexesMax}`)
  const globals = (global ?? []).map((index) => {
    const made = globalIndexOf(index, types, billing)
    refuseDuplicate(index.name, names)
    return made
  })
  if (globals.length > globalIndexesMax)
    throw invalid(`GlobalSecondaryIndex count exceeds the per-table limit of ${globalIndexesMax}`)
  const made = [...globals, ...locals].map((index, i) => ({ ...index, id: i + 1 }))
  refuseTooManyIncluded(made)
  return made
}

/** A global index that follows the rules, but for its name. `isAdded`: to a table that is there. Throws ValidationException. */
export function globalIndexOf(
  index: WantedIndex,
  types: ReadonlyMap<string, KeyType>,
  billing: Billing,
  isAdded = false,
): Omit<Index, 'id'> {
  checkGlobalKey(index.elements)
  const projection = projectionOf(index)
  return {
    name: index.name,
    kind: 'global',
    ...keyOf(index.elements, types),
    projection,
    ...checkThroughputs(index, billing, isAdded),
  }
}

/** What all indexes of a table include together has a limit too. Throws ValidationException. */
export function refuseTooManyIncluded(indexes: readonly Index[]): void {
  const count = indexes.reduce(
    (sum, { projection }) => sum + (projection.type === 'INCLUDE' ? projection.attributes.length : 0),
    0,
  )
  if (count > includedOfTableMax)
    throw invalid(`Number of projected attributes exceeds per-table limit of ${includedOfTableMax}`)
}

const namesOf = (elements: readonly Element[]): string[] => elements.map(({ AttributeName }) => AttributeName)

function refuseUnused(all: readonly WantedIndex[], schema: KeySchema, definitions: readonly Definition[]): void {
  const used = new Set([schema.hash.name])
  if (schema.range) used.add(schema.range.name)
  for (const { elements } of all) for (const name of namesOf(elements)) used.add(name)
  if (definitions.every(({ AttributeName }) => used.has(AttributeName))) return
  const defined = definitions.map(({ AttributeName }) => AttributeName)
  throw invalid(
    `Some AttributeDefinitions are not used. AttributeDefinitions: [${defined.join(', ')}], keys used: [${[...used].join(', ')}]`,
  )
}

function refuseDuplicate(name: string, names: Set<string>): void {
  if (names.has(name)) throw invalid(`Duplicate index name: ${name}`)
  names.add(name)
}

function checkLocalKey({ name, elements }: WantedIndex, schema: KeySchema): void {
  const [first, second] = elements as [Element, Element?]
  if (second && second.AttributeName === first.AttributeName)
    throw validation('Both the Hash Key and the Range Key element in the KeySchema have the same name')
  if (first.KeyType !== 'HASH') throw validation('Invalid KeySchema: The first KeySchemaElement is not a HASH key type')
  if (!second) throw invalid(`Index KeySchema does not have a range key for index: ${name}`)
  if (second.KeyType !== 'RANGE')
    throw validation('Invalid KeySchema: The second KeySchemaElement is not a RANGE key type')
  if (first.AttributeName !== schema.hash.name) {
    throw invalid(
      `Index KeySchema does not have the same leading hash key as table KeySchema for index: ${name}. ` +
        `index hash key: ${first.AttributeName}, table hash key: ${schema.hash.name}`,
    )
  }
}

function checkGlobalKey(elements: readonly Element[]): void {
  const names = namesOf(elements)
  const count = (type: Element['KeyType']) => elements.filter(({ KeyType }) => KeyType === type).length
  if (new Set(names).size < names.length) {
    throw validation(
      names.length === 2
        ? 'Both the Hash Key and the Range Key element in the KeySchema have the same name'
        : 'The KeySchema contains multiple key attributes with the same name',
    )
  }
  if (elements[0]?.KeyType !== 'HASH')
    throw validation('Invalid KeySchema: The first KeySchemaElement is not a HASH key type')
  const firstRange = elements.findIndex(({ KeyType }) => KeyType === 'RANGE')
  if (firstRange !== -1 && elements.slice(firstRange).some(({ KeyType }) => KeyType === 'HASH'))
    throw invalid('All HASH key attributes must precede RANGE key attributes in the KeySchema')
  for (const type of ['HASH', 'RANGE'] as const) {
    if (count(type) > keyAttributesMax)
      throw invalid(`The KeySchema exceeds the maximum allowed number of ${type} key attributes`)
  }
}

function keyOf(elements: readonly Element[], types: ReadonlyMap<string, KeyType>): Pick<Index, 'hash' | 'range'> {
  const of = (type: Element['KeyType']): KeyAttribute[] =>
    elements
      .filter(({ KeyType }) => KeyType === type)
      .map(({ AttributeName: name }) => ({ name, type: types.get(name) as KeyType }))
  return { hash: of('HASH'), range: of('RANGE') }
}

function projectionOf({ projection: { type, attributes } }: WantedIndex): IndexProjection {
  if (type === undefined) throw invalid('Unknown ProjectionType: null')
  if (type !== 'INCLUDE') {
    if (attributes) throw invalid(`ProjectionType is ${type}, but NonKeyAttributes is specified`)
    return { type: type as 'ALL' | 'KEYS_ONLY' }
  }
  if (!attributes) throw invalid('ProjectionType is INCLUDE, but NonKeyAttributes is not specified')
  const names = new Set<string>()
  for (const name of attributes) {
    if (names.has(name)) throw invalid(`Duplicate element in NonKeyAttributes: ${name}`)
    names.add(name)
  }
  return { type, attributes: [...names].sort() }
}
