import type { TableRow } from '../catalogue/table-row.js'
import type { KeyAttribute } from '../values/index.js'
import { globalIndexes, type Index, isFilling, localIndexes } from './definition.js'
import { warmOf } from './throughput.js'

/** What an UpdateTable's answer says of one index, beside what stays. */
export interface IndexChange {
  readonly status: 'CREATING' | 'UPDATING' | 'DELETING'
  /** As it is described: one that is updated still as it was. */
  readonly index: Index
}

/** GlobalSecondaryIndexes and LocalSecondaryIndexes of a TableDescription. `isNew`: the table is just being made. */
export function describeIndexes(
  row: TableRow,
  tableArn: string,
  options: { readonly isNew?: boolean; readonly changes?: readonly IndexChange[] } = {},
): object {
  const changes = new Map((options.changes ?? []).map((change) => [change.index.id, change]))
  const gone = [...changes.values()].filter(({ status }) => status === 'DELETING')
  const globals = [...globalIndexes(row), ...gone.map(({ index }) => index)].map((index) => {
    const change = changes.get(index.id)
    return describeGlobal(row, change?.index ?? index, tableArn, options.isNew ? 'CREATING' : change?.status)
  })
  const locals = localIndexes(row).map((index) => ({ ...describeKey(index), ...describeSize(index, tableArn) }))
  return {
    ...(globals.length > 0 ? { GlobalSecondaryIndexes: globals } : {}),
    ...(locals.length > 0 ? { LocalSecondaryIndexes: locals } : {}),
  }
}

function describeGlobal(row: TableRow, index: Index, tableArn: string, changing: string | undefined): object {
  const isAdded = isFilling(row, index)
  const throughput = index.throughput ?? { read: 0, write: 0 }
  const warm = warmOf(index, row.billing)
  return {
    ...describeKey(index),
    IndexStatus: changing ?? (isAdded ? 'CREATING' : 'ACTIVE'),
    // As on AWS: there for an index that is being added alone, and false until it is being filled.
    ...(isAdded ? { Backfilling: changing === undefined } : {}),
    ProvisionedThroughput: {
      NumberOfDecreasesToday: 0,
      ReadCapacityUnits: throughput.read,
      WriteCapacityUnits: throughput.write,
    },
    ...describeSize(index, tableArn),
    ...(index.onDemand ? { OnDemandThroughput: describeOnDemand(index.onDemand) } : {}),
    ...(changing === 'CREATING' && !isAdded
      ? {}
      : { WarmThroughput: { ReadUnitsPerSecond: warm.read, WriteUnitsPerSecond: warm.write, Status: 'ACTIVE' } }),
  }
}

function describeOnDemand({ read, write }: NonNullable<Index['onDemand']>): object {
  return {
    ...(read === undefined ? {} : { MaxReadRequestUnits: read }),
    ...(write === undefined ? {} : { MaxWriteRequestUnits: write }),
  }
}

function describeKey({ name, hash, range, projection }: Index): object {
  const elements = (attributes: readonly KeyAttribute[], type: string) =>
    attributes.map((attribute) => ({ AttributeName: attribute.name, KeyType: type }))
  return {
    IndexName: name,
    KeySchema: [...elements(hash, 'HASH'), ...elements(range, 'RANGE')],
    Projection: {
      ProjectionType: projection.type,
      ...(projection.type === 'INCLUDE' ? { NonKeyAttributes: projection.attributes } : {}),
    },
  }
}

const describeSize = ({ name }: Index, tableArn: string): object => ({
  IndexSizeBytes: 0,
  ItemCount: 0,
  IndexArn: `${tableArn}/index/${name}`,
})

/** The attributes that are in any key of a table, as AttributeDefinitions has them: by name. */
export function keyAttributesOfTable(row: Pick<TableRow, 'schema' | 'indexes'>): readonly KeyAttribute[] {
  const found = new Map<string, KeyAttribute>()
  const { hash, range } = row.schema
  const all = [hash, ...(range ? [range] : []), ...(row.indexes ?? []).flatMap((each) => [...each.hash, ...each.range])]
  for (const attribute of all) found.set(attribute.name, attribute)
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}
