import { type AttributeValue, type Item, itemSize, type KeySchema, setAttribute } from '../values/index.js'
import type { Index } from './definition.js'

interface Keyed {
  readonly schema: KeySchema
}

/** Names of the attributes that an entry holds; undefined for all. */
export function projectedNames(row: Keyed, index: Index): ReadonlySet<string> | undefined {
  const { projection } = index
  if (projection.type === 'ALL') return undefined
  const names = new Set([...index.hash, ...index.range].map(({ name }) => name))
  names.add(row.schema.hash.name)
  if (row.schema.range) names.add(row.schema.range.name)
  if (projection.type === 'INCLUDE') for (const name of projection.attributes) names.add(name)
  return names
}

/** What of an item an entry holds, in the item's order. */
export function projectItem(names: ReadonlySet<string>, item: Item): Item {
  const projected: Item = {}
  for (const name in item)
    if (names.has(name) && Object.hasOwn(item, name)) setAttribute(projected, name, item[name] as AttributeValue)
  return projected
}

/** Bytes of an entry by AWS's rules. */
export function entrySize(row: Keyed, index: Index, item: Item, size: number): number {
  const names = projectedNames(row, index)
  return names === undefined ? size : itemSize(projectItem(names, item))
}
