import { applyUpdate, OperandTypeError, type PathList, type Update, updateTopLevelNames } from '../expressions/index.js'
import { validation } from '../requests/aws-error.js'
import { type Item, itemBytesMax, itemSize, type KeySchema } from '../values/index.js'
import type { Present } from './present.js'
import type { Decision } from './writer.js'

/** Refuses an update that writes an attribute of the key. */
export function refuseKeyUpdates(update: Update | undefined, schema: KeySchema): void {
  for (const name of update ? updateTopLevelNames(update) : []) {
    if (name !== schema.hash.name && name !== schema.range?.name) continue
    throw validation(
      `One or more parameter values were invalid: Cannot update attribute ${name}. This attribute is part of the key`,
    )
  }
}

/** Updates that only take away make no item where there is none, as on AWS. */
const keep: Decision = { kind: 'keep' }

const takesAway = ({ actions }: Update): boolean => actions.every(({ kind }) => kind === 'REMOVE' || kind === 'DELETE')

/**
 * What an update makes of an item, or of its key when there is none, and the paths that it wrote; those are undefined when
 * there is no update. Throws ValidationException.
 */
export function updateDecision(
  update: Update | undefined,
  key: Item,
  before: Present,
): { readonly decision: Decision; readonly touched: PathList | undefined } {
  const old = before.item()
  if (!update) {
    const size = before.stored?.size ?? itemSize(key)
    return { decision: { kind: 'put', item: old ?? key, size, updated: [] }, touched: undefined }
  }
  if (old === undefined && takesAway(update)) return { decision: keep, touched: undefined }
  const { item, touched } = applied(update, old ?? key, old !== undefined)
  const size = itemSize(item)
  if (size > itemBytesMax) throw validation('Item size to update has exceeded the maximum allowed size')
  return { decision: { kind: 'put', item, size, updated: updateTopLevelNames(update) }, touched }
}

function applied(update: Update, item: Item, exists: boolean): ReturnType<typeof applyUpdate> {
  try {
    return applyUpdate(update, item, exists)
  } catch (error) {
    if (update.isLegacy && error instanceof OperandTypeError) throw validation('Type mismatch for attribute to update')
    throw error
  }
}
