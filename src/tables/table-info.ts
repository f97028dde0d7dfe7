import type { Catalogue } from './catalogue/catalogue.js'
import type { TableRow } from './catalogue/table-row.js'
import { statusOf, type TableStatus } from './control/table-status.js'
import { type Index, isFilling } from './indexes/index.js'
import type { KeyAttribute } from './values/index.js'

/** A table as the native API shows it. */
export interface TableInfo {
  readonly name: string
  readonly status: TableStatus
  /** Names and types of the key attributes: `ListId N, TaskId S`. */
  readonly keys: string
  readonly billing: string
  /** View type of the AWS stream that is on. */
  readonly stream: string | undefined
  readonly indexes: readonly IndexInfo[]
  /** The attribute that holds an item's time to live, while that is on. */
  readonly ttl: string | undefined
  /** The last count, which runs every `tables.countMs`; milliseconds since 1970. Undefined before the first. */
  readonly counted: { readonly items: number; readonly bytes: number; readonly at: number } | undefined
  readonly arn: string
}

export interface IndexInfo {
  readonly name: string
  readonly kind: 'global' | 'local'
  readonly keys: string
  readonly projection: string
  /** `filling`: items that were there before it are still missing in it. */
  readonly state: 'active' | 'filling'
}

/** `now`: milliseconds since 1970. */
export function tableInfo(catalogue: Catalogue, row: TableRow, now: number): TableInfo {
  const { name, schema, label } = row
  return {
    name,
    status: statusOf(row, now),
    keys: keysText([schema.hash, ...(schema.range ? [schema.range] : [])]),
    billing: row.billing,
    stream:
      label === undefined ? undefined : catalogue.awsStream(catalogue.streamArn({ tableName: name, label }))?.view,
    indexes: (row.indexes ?? []).map((index) => indexInfo(row, index)),
    ttl: row.expiry?.attribute,
    counted: row.details?.counted,
    arn: catalogue.tableArn(name),
  }
}

function indexInfo(row: TableRow, index: Index): IndexInfo {
  const { name, kind, hash, range, projection } = index
  return {
    name,
    kind,
    keys: keysText([...hash, ...range]),
    projection: projection.type === 'INCLUDE' ? `INCLUDE ${projection.attributes.join(', ')}` : projection.type,
    state: isFilling(row, index) ? 'filling' : 'active',
  }
}

const keysText = (keys: readonly KeyAttribute[]): string => keys.map(({ name, type }) => `${name} ${type}`).join(', ')
