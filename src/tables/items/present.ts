import { type Item, itemsEqual } from '../values/index.js'
import { decodeItem, parseItem, type StoredItem } from './item-row.js'

/** What a decider sees of the row that it decides on. */
export interface Present {
  readonly stored: StoredItem | undefined
  /** The row as it lies. */
  readonly value?: Buffer
  /** What a deleted item of a table with replicas has left. */
  readonly tombstone?: Buffer | undefined
  /** Parsed once, when it is asked for; undefined when there is no item. */
  item(): Item | undefined
}

export const absent: Present = { stored: undefined, item: () => undefined }

export function presentOf(value: Buffer): Present {
  const stored = decodeItem(value)
  let item: Item | undefined
  return {
    stored,
    value,
    item() {
      item ??= parseItem(stored)
      return item
    },
  }
}

/**
 * The same by value: attributes have no order. Stored JSON is canonical, so what is the same by value has the same bytes in
 * some order; where their sums differ the old item need not be parsed.
 */
export function isSame(old: StoredItem, json: Buffer, before: Present, item: Item): boolean {
  if (old.json.length !== json.length) return false
  if (old.json.equals(json)) return true
  return sumOf(old.json) === sumOf(json) && itemsEqual(before.item() as Item, item)
}

function sumOf(bytes: Buffer): number {
  let sum = 0
  for (let i = 0; i < bytes.length; i++) sum += bytes[i] as number
  return sum
}
