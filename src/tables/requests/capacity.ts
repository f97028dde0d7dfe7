import { type Constraints, type Input, oneOf } from './request.js'

/** What a request consumed, as ReturnConsumedCapacity shows it. */
export type ShowCapacity = 'INDEXES' | 'TOTAL' | 'NONE'

export function showCapacity(input: Input, constraints: Constraints): ShowCapacity {
  return (
    oneOf(input, 'ReturnConsumedCapacity', 'returnConsumedCapacity', ['INDEXES', 'TOTAL', 'NONE'], constraints) ??
    'NONE'
  )
}

/** One unit for each started KB. */
export const writeUnits = (size: number): number => Math.max(1, Math.ceil(size / 1024))

/** One unit for each started 4 KB, half of it when eventually consistent. */
export const readUnits = (size: number, consistent: boolean): number =>
  Math.max(1, Math.ceil(size / 4096)) * (consistent ? 1 : 0.5)

/** Units by the name of an index; one that took none is not named. */
export interface IndexUnits {
  readonly global: ReadonlyMap<string, number>
  readonly local: ReadonlyMap<string, number>
}

/** `units` are the table's own. */
export function capacity(show: ShowCapacity, table: string, units: number, indexes?: IndexUnits): object | undefined {
  if (show === 'NONE') return undefined
  const total = { TableName: table, CapacityUnits: units + sum(indexes?.global) + sum(indexes?.local) }
  if (show === 'TOTAL') return total
  return {
    ...total,
    Table: { CapacityUnits: units },
    ...(indexes && indexes.global.size > 0 ? { GlobalSecondaryIndexes: unitsByName(indexes.global) } : {}),
    ...(indexes && indexes.local.size > 0 ? { LocalSecondaryIndexes: unitsByName(indexes.local) } : {}),
  }
}

function sum(units: ReadonlyMap<string, number> | undefined): number {
  let total = 0
  for (const each of units?.values() ?? []) total += each
  return total
}

const unitsByName = (units: ReadonlyMap<string, number>): object =>
  Object.fromEntries([...units].map(([name, each]) => [name, { CapacityUnits: each }]))

/** What several writes of one table took together. */
export function addIndexUnits(a: IndexUnits | undefined, b: IndexUnits | undefined): IndexUnits | undefined {
  if (!a || !b) return a ?? b
  return { global: added(a.global, b.global), local: added(a.local, b.local) }
}

function added(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const total = new Map(a)
  for (const [name, units] of b) total.set(name, (total.get(name) ?? 0) + units)
  return total
}
