import type { KeyOperator } from '../expressions/index.js'
import { after } from '../items/item-row.js'
import { type AttributeValue, encodeKeyValue } from '../values/index.js'

/**
 * Which encoded sort keys a condition takes: from `gte` on, before `lt`; undefined is without a bound. Encodings end
 * themselves, so the rows of one sort key are those that begin with its bytes, whatever follows them in an index.
 */
export interface SortRange {
  readonly gte?: Buffer
  readonly lt?: Buffer
}

export function sortRange(operator: KeyOperator, values: readonly AttributeValue[]): SortRange {
  const [low, high] = values.map(encodeKeyValue) as [Buffer, Buffer?]
  switch (operator) {
    case '=':
      return { gte: low, lt: after(low) }
    case '<':
      return { lt: low }
    case '<=':
      return { lt: after(low) }
    case '>':
      return { gte: after(low) }
    case '>=':
      return { gte: low }
    case 'BETWEEN':
      return { gte: low, lt: after(high as Buffer) }
    case 'begins_with': {
      // Without its terminator an encoded text or binary is a prefix of all that begin with it.
      const prefix = low.subarray(0, low.length - 2)
      return { gte: prefix, lt: after(prefix) }
    }
  }
}

/** What lies in both. */
export function intersection(a: SortRange, b: SortRange): SortRange {
  const gte = a.gte && b.gte ? (Buffer.compare(a.gte, b.gte) > 0 ? a.gte : b.gte) : (a.gte ?? b.gte)
  const lt = a.lt && b.lt ? (Buffer.compare(a.lt, b.lt) < 0 ? a.lt : b.lt) : (a.lt ?? b.lt)
  return { ...(gte ? { gte } : {}), ...(lt ? { lt } : {}) }
}

export const isEmptyRange = ({ gte, lt }: SortRange): boolean =>
  gte !== undefined && lt !== undefined && Buffer.compare(gte, lt) >= 0

/** By where they begin. */
export function compareRanges(a: SortRange, b: SortRange): number {
  if (!a.gte || !b.gte) return a.gte ? 1 : b.gte ? -1 : 0
  return Buffer.compare(a.gte, b.gte)
}
