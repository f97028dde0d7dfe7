import type { TableRow } from '../catalogue/table-row.js'
import { type Update, writtenTypes } from '../expressions/index.js'
import { ValidationError } from '../values/index.js'
import { mismatch } from './key-check.js'

/** What the text of an update alone says about index keys, before the item is looked at. Throws ValidationError. */
export function checkIndexKeysOfUpdate(row: TableRow, update: Update): void {
  if (!row.indexes) return
  const types = writtenTypes(update)
  let partly: string | undefined
  for (const index of row.indexes) {
    for (const attribute of [...index.hash, ...index.range]) {
      const written = types.get(attribute.name)
      if (written === 'part') partly ??= attribute.name
      else if (written !== undefined && written !== 'unknown' && written !== attribute.type)
        throw new ValidationError(mismatch(index, attribute, written), 'item')
    }
  }
  if (partly !== undefined) throw notScalar(partly)
}

export function notScalar(name: string): ValidationError {
  return new ValidationError(
    `Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: ${name}`,
    'item',
  )
}
