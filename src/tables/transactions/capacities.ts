import { indexWriteUnits } from '../indexes/index.js'
import { addIndexUnits, type IndexUnits, type ShowCapacity, writeUnits } from '../requests/capacity.js'
import { doubleJson } from '../requests/double-json.js'
import type { TransactAction } from './actions.js'
import { type TransactedItem, transactionFactor } from './transactions.js'

/** What an action cost: its table's own units, and those of each index. */
export type ActionUnits = readonly [table: string, units: number, indexes?: IndexUnits | undefined]

/** What the actions of a transaction cost. An index costs in a transaction what it costs outside of one. */
export function writtenUnits(actions: readonly TransactAction[], written: readonly TransactedItem[]): ActionUnits[] {
  return actions.map(({ table, kind }, i) => {
    const { row, key, ...item } = written[i] as TransactedItem
    const indexes = kind === 'check' ? undefined : indexWriteUnits(row, key, item)
    return [table, transactionFactor * writeUnits(item.size), indexes]
  })
}

/** ConsumedCapacity: what each table's items cost together, in the order in which the tables are first named. */
export function capacities(
  show: ShowCapacity,
  units: readonly ActionUnits[],
  kind: 'ReadCapacityUnits' | 'WriteCapacityUnits',
): Buffer | undefined {
  if (show === 'NONE') return undefined
  const tables = new Map<string, { readonly own: number; readonly indexes: IndexUnits | undefined }>()
  for (const [table, used, indexes] of units) {
    const before = tables.get(table)
    tables.set(table, { own: (before?.own ?? 0) + used, indexes: addIndexUnits(before?.indexes, indexes) })
  }
  const both = (used: number) => ({ CapacityUnits: used, [kind]: used })
  const byName = (of: ReadonlyMap<string, number> | undefined) =>
    of && of.size > 0 ? Object.fromEntries([...of].map(([name, used]) => [name, both(used)])) : undefined
  const shown = [...tables].map(([TableName, { own, indexes }]) => {
    const total = both(own + sum(indexes?.global) + sum(indexes?.local))
    if (show === 'TOTAL') return { TableName, ...total }
    return {
      TableName,
      ...total,
      Table: both(own),
      GlobalSecondaryIndexes: byName(indexes?.global),
      LocalSecondaryIndexes: byName(indexes?.local),
    }
  })
  return doubleJson(shown)
}

function sum(units: ReadonlyMap<string, number> | undefined): number {
  let total = 0
  for (const each of units?.values() ?? []) total += each
  return total
}
