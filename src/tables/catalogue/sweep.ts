import type { Commit } from '../../commit/index.js'
import { killPoint } from '../../runtime/index.js'
import type { Storage } from '../../storage/index.js'
import { after } from '../items/item-row.js'

/** Rows that one commit removes. */
const sweepRowsMax = 1000
const sweepBytesMax = 256 * 1024

/**
 * Removes some of the rows whose keys begin with a prefix, in one commit; false when there are none left. Nobody may write
 * such rows any more. Begun again after a restart it finds what is left.
 */
export async function sweepSome(storage: Storage, commit: Commit, prefix: Buffer): Promise<boolean> {
  const range = { gte: prefix, lt: after(prefix), limit: sweepRowsMax, bytesMax: sweepBytesMax, values: false }
  const { keys } = await storage.page(range)
  if (keys.length === 0) return false
  killPoint('table:swept')
  await commit.submit({ rows: keys.map((key) => ({ key, value: undefined })), essential: true })
  return true
}
