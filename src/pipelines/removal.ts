import type { Commit } from '../commit/index.js'
import { killPoint } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'

/** Rows that go in one commit. */
const goneRowsMax = 1000
const pageBytesMax = 1 << 20

export interface RemovalRooms {
  readonly storage: Pick<Storage, 'page'>
  readonly commit: Pick<Commit, 'submit'>
}

/** Removes a range of rows, which nobody writes any more, in bounded commits, while `isWanted`. */
export async function removeRows(
  range: { readonly gte: Buffer; readonly lt: Buffer },
  { storage, commit }: RemovalRooms,
  isWanted: () => boolean = () => true,
): Promise<void> {
  while (isWanted()) {
    const { keys } = await storage.page({ ...range, limit: goneRowsMax, bytesMax: pageBytesMax, values: false })
    if (keys.length === 0) return
    await commit.submit({ rows: keys.map((key) => ({ key, value: undefined })), essential: true })
    killPoint('pipeline:forgetting')
  }
}
