import type { Catalogue, Table } from '../catalogue/catalogue.js'
import { checkIndexedItem } from '../indexes/index.js'
import { checkItem, type Item, itemBytesMax, keyOf, ValidationError } from '../values/index.js'
import { itemKey } from './item-row.js'
import type { Decision, Target } from './writer.js'

/** A write of an item that came from elsewhere, checked: it only has to be done. */
export interface GivenWrite {
  readonly table: number
  /** The row, as text: two writes of one item have the same. */
  readonly row: string
  readonly keyAttributes: Item
  readonly decision: Decision
  /** Bytes of the item, or of its key, by AWS's count. */
  readonly size: number
}

/** The item that DynamoDB JSON says, put. Throws ValidationError for what the table does not take. */
export function givenPut(table: Table, raw: unknown): GivenWrite {
  const { item, size } = checkItem(raw)
  if (size > itemBytesMax) throw new ValidationError('Item size has exceeded the maximum allowed size', 'item')
  const { id, schema, indexes } = table.row
  const keyAttributes = keyOf(item, schema)
  if (indexes) checkIndexedItem(table.row, { item, size })
  const row = itemKey(id, schema, keyAttributes).name
  return { table: id, row, keyAttributes, decision: { kind: 'put', item, size }, size }
}

/** The item whose key DynamoDB JSON says, deleted. Throws ValidationError. */
export function givenDelete(table: Table, raw: unknown): GivenWrite {
  const { item, size } = checkItem(raw)
  const { id, schema } = table.row
  const keyAttributes = keyOf(item, schema, true)
  const row = itemKey(id, schema, keyAttributes).name
  return { table: id, row, keyAttributes, decision: { kind: 'delete' }, size }
}

/** What is to be written, row by row; undefined when the table is another one by now. No two may be of one row. */
export function givenTargets(
  catalogue: Catalogue,
  name: string,
  writes: readonly GivenWrite[],
): readonly Target[] | undefined {
  const table = catalogue.find(name)
  if (!table || writes.some((write) => write.table !== table.row.id)) return undefined
  return writes.map(({ keyAttributes, decision }) => ({ table, keyAttributes, decide: () => decision }))
}
