import { Family, type RowEffect } from '../commit/index.js'
import { MillraceError } from '../runtime/index.js'
import type { IndexDefinition } from './definition.js'

const rowVersion = 1

/** `searchIndex`: family, name in UTF-8 -> version u8, JSON of the definition. What an index holds is in memory alone. */
export const indexRow = (definition: IndexDefinition): RowEffect => ({
  key: keyOf(definition.name),
  value: Buffer.concat([Buffer.from([rowVersion]), Buffer.from(JSON.stringify(definition))]),
})

export const indexGone = (name: string): RowEffect => ({ key: keyOf(name), value: undefined })

const keyOf = (name: string): Buffer => Buffer.concat([Buffer.from([Family.searchIndex]), Buffer.from(name)])

/** Throws DATA_DIR_NEWER. */
export function storedIndex(value: Buffer): IndexDefinition {
  if (value[0] !== rowVersion)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A stored search index has the row version ${value[0]}; this version of Millrace knows ${rowVersion}.`,
    )
  return JSON.parse(value.toString('utf8', 1)) as IndexDefinition
}
