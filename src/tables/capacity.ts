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

export function capacity(show: ShowCapacity, table: string, units: number): object | undefined {
  if (show === 'NONE') return undefined
  const total = { TableName: table, CapacityUnits: units }
  return show === 'TOTAL' ? total : { ...total, Table: { CapacityUnits: units } }
}
