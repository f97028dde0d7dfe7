import type { TableRow } from '../catalogue/table-row.js'
import type { KeySchema } from '../values/index.js'

/** What a replica has of the table that it is made after. */
export interface TableShape
  extends Pick<TableRow, 'name' | 'schema' | 'billing' | 'throughput' | 'tableClass' | 'indexes' | 'nextIndex'> {
  /** The attribute of the time to live, while that is on. */
  readonly expiry?: string
}

export function tableShapeOf(row: TableRow): TableShape {
  const { name, schema, billing, throughput, tableClass, indexes, nextIndex, expiry } = row
  return {
    name,
    schema,
    billing,
    throughput,
    ...(tableClass === undefined ? {} : { tableClass }),
    ...(indexes ? { indexes } : {}),
    ...(nextIndex === undefined ? {} : { nextIndex }),
    ...(expiry?.attribute === undefined ? {} : { expiry: expiry.attribute }),
  }
}

/** Why a table that is there cannot be a replica; undefined when it can. */
export function differenceOf(
  row: TableRow,
  shape: TableShape,
  viewOf: (row: TableRow) => string | undefined,
): string | undefined {
  const [here, there] = [keysText(row.schema), keysText(shape.schema)]
  if (here !== there) return `its key is ${here}, not ${there}`
  const view = viewOf(row)
  if (view !== undefined && view !== 'NEW_AND_OLD_IMAGES') return `its stream shows ${view}, not NEW_AND_OLD_IMAGES`
  return undefined
}

const keysText = ({ hash, range }: KeySchema): string =>
  [hash, ...(range ? [range] : [])].map(({ name, type }) => `${name} (${type})`).join(', ')
