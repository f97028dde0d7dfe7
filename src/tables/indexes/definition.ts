import type { KeyAttribute } from '../values/index.js'

/** Capacity units by the second. */
export interface Units {
  readonly read: number
  readonly write: number
}

/** What an entry holds beside the attributes of both keys, which it always has. */
export type IndexProjection =
  | { readonly type: 'ALL' | 'KEYS_ONLY' }
  | { readonly type: 'INCLUDE'; readonly attributes: readonly string[] }

/** A secondary index, as the table's row says it. */
export interface Index {
  /** Given once in a table's life, so that an index made again does not meet the entries of the one before. */
  readonly id: number
  readonly name: string
  /** A local one shares the table's hash key, and so its item collections. */
  readonly kind: 'global' | 'local'
  /** One, or up to four for a global index. */
  readonly hash: readonly KeyAttribute[]
  /** None or one, or up to four for a global index. */
  readonly range: readonly KeyAttribute[]
  readonly projection: IndexProjection
  /** Of a global index; 0 where the table is paid by request. */
  readonly throughput?: Units
  /** What a global index was asked to be ready for. */
  readonly warm?: Partial<Units>
  /** The most that a global index may take, where the table is paid by request. */
  readonly onDemand?: Partial<Units>
}

export const globalIndexesMax = 20
export const localIndexesMax = 5
/** Attributes of each kind in the key of a global index. */
export const keyAttributesMax = 4
/** Names in one NonKeyAttributes. */
export const includedMax = 20
/** Names in the NonKeyAttributes of all indexes of a table. */
export const includedOfTableMax = 100

/** What of a table says its indexes. */
export interface Indexed {
  readonly indexes?: readonly Index[]
  readonly backfills?: Readonly<Record<string, string>>
}

export function globalIndexes(row: Indexed): readonly Index[] {
  return (row.indexes ?? []).filter(({ kind }) => kind === 'global')
}

export function localIndexes(row: Indexed): readonly Index[] {
  return (row.indexes ?? []).filter(({ kind }) => kind === 'local')
}

/** The name of the backfill that fills an index. */
export const backfillOf = (index: Pick<Index, 'id'>): string => `index:${index.id}`

/** Whether items that were there before the index are still missing in it. */
export function isFilling(row: Indexed, index: Pick<Index, 'id'>): boolean {
  return row.backfills?.[backfillOf(index)] !== undefined
}
