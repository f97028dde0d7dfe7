import { checkOneOf, type Element, readElements } from '../control/key-schema.js'
import { type Constraints, checkTableName, type Input, list, object, text, whole } from '../requests/request.js'
import { includedMax, type Units } from './definition.js'

/** An index as a request asks for it: each member for itself is valid. */
export interface WantedIndex {
  readonly name: string
  readonly elements: readonly Element[]
  readonly projection: { readonly type?: string; readonly attributes?: readonly string[] }
  readonly throughput?: Units
  readonly warm?: Partial<Units>
  readonly onDemand?: Partial<Units>
}

export interface WantedIndexes {
  readonly local?: readonly WantedIndex[]
  readonly global?: readonly WantedIndex[]
}

const elementsOfLocalMax = 2
/** More are refused for what they are: too many of one kind. */
const elementsOfGlobalMax = Number.POSITIVE_INFINITY
const nameLengthMin = 3

/** The indexes of CreateTable. Adds to the constraints that they fail. */
export function readIndexes(input: Input, constraints: Constraints): WantedIndexes {
  const read = (member: string, place: string, elementsMax: number) =>
    list(input, member)?.map((given, i) => {
      const index = (given ?? {}) as Input
      return readIndex(index, `${place}.${i + 1}.member`, elementsMax, constraints)
    })
  const local = read('LocalSecondaryIndexes', 'localSecondaryIndexes', elementsOfLocalMax)
  const global = read('GlobalSecondaryIndexes', 'globalSecondaryIndexes', elementsOfGlobalMax)
  return { ...(local ? { local } : {}), ...(global ? { global } : {}) }
}

/** A global index of UpdateTable. */
export function readCreatedIndex(index: Input, place: string, constraints: Constraints): WantedIndex {
  return readIndex(index, place, elementsOfGlobalMax, constraints)
}

function readIndex(index: Input, place: string, elementsMax: number, constraints: Constraints): WantedIndex {
  const name = readIndexName(index, place, constraints)
  const throughputs = readThroughputs(index, place, constraints)
  const elements = readElements(list(index, 'KeySchema'), `${place}.keySchema`, elementsMax, constraints)
  return { name, elements, projection: readProjection(index, `${place}.projection`, constraints), ...throughputs }
}

export function readIndexName(index: Input, place: string, constraints: Constraints): string {
  const name = text(index, 'IndexName')
  if (name === undefined) constraints.check(false, `${place}.indexName`, undefined, 'Member must not be null')
  else checkTableName(name, `${place}.indexName`, constraints, nameLengthMin)
  return name ?? ''
}

function readProjection(index: Input, place: string, constraints: Constraints): WantedIndex['projection'] {
  const given = object(index, 'Projection')
  constraints.check(given !== undefined, place, undefined, 'Member must not be null')
  if (!given) return {}
  const type = text(given, 'ProjectionType')
  if (type !== undefined) checkOneOf(constraints, `${place}.projectionType`, type, ['ALL', 'INCLUDE', 'KEYS_ONLY'])
  const attributes = list(given, 'NonKeyAttributes') as readonly string[] | undefined
  const shown = attributes && `[${attributes.join(', ')}]`
  const member = `${place}.nonKeyAttributes`
  constraints.check(attributes?.length !== 0, member, shown, 'Member must have length greater than or equal to 1')
  constraints.check(
    (attributes?.length ?? 0) <= includedMax,
    member,
    shown,
    `Member must have length less than or equal to ${includedMax}`,
  )
  const isShort = (attributes ?? []).every((name) => Buffer.byteLength(name) >= 1 && Buffer.byteLength(name) <= 255)
  constraints.check(
    isShort,
    member,
    shown,
    'Member must satisfy constraint: [Member must have length less than or equal to 255, ' +
      'Member must have length greater than or equal to 1]',
  )
  return { ...(type === undefined ? {} : { type }), ...(attributes ? { attributes } : {}) }
}

type Throughputs = Pick<WantedIndex, 'throughput' | 'warm' | 'onDemand'>

/** ProvisionedThroughput, WarmThroughput and OnDemandThroughput of an index. */
export function readThroughputs(index: Input, place: string, constraints: Constraints): Throughputs {
  const provisioned = object(index, 'ProvisionedThroughput')
  const unit = (name: string, member: string): number => {
    const value = whole(provisioned as Input, name)
    const at = `${place}.provisionedThroughput.${member}`
    constraints.check(value !== undefined, at, undefined, 'Member must not be null')
    constraints.check(value === undefined || value >= 1, at, value, 'Member must have value greater than or equal to 1')
    return value ?? 0
  }
  const throughput = provisioned && {
    write: unit('WriteCapacityUnits', 'writeCapacityUnits'),
    read: unit('ReadCapacityUnits', 'readCapacityUnits'),
  }
  const warm = readUnits(object(index, 'WarmThroughput'), 'ReadUnitsPerSecond', 'WriteUnitsPerSecond')
  const onDemand = readUnits(object(index, 'OnDemandThroughput'), 'MaxReadRequestUnits', 'MaxWriteRequestUnits')
  return { ...(throughput ? { throughput } : {}), ...(warm ? { warm } : {}), ...(onDemand ? { onDemand } : {}) }
}

function readUnits(given: Input | undefined, readName: string, writeName: string): Partial<Units> | undefined {
  if (!given) return undefined
  const read = whole(given, readName)
  const write = whole(given, writeName)
  return { ...(read === undefined ? {} : { read }), ...(write === undefined ? {} : { write }) }
}
