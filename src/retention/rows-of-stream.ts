import { type Commit, Family } from '../commit/index.js'
import type { StreamId } from '../log/index.js'
import type { Storage } from '../storage/index.js'

/** Families whose keys go on with the stream they belong to. */
const families = [Family.producer, Family.decision, Family.shape]

/** Removes what belongs to a stream beside its log, in bounded commits. */
export async function removeRows(
  { storage, commit, rowsPerCommitMax }: { storage: Storage; commit: Commit; rowsPerCommitMax: number },
  stream: StreamId,
): Promise<void> {
  for (const family of families) {
    const range = { gte: prefix(family, stream), lt: prefix(family, stream + 1) }
    for (let more = true; more; ) {
      const page = await storage.page({ ...range, limit: rowsPerCommitMax, bytesMax: 1 << 20, values: false })
      more = page.more
      if (page.keys.length > 0)
        await commit.submit({ essential: true, rows: page.keys.map((key) => ({ key, value: undefined })) })
    }
  }
}

function prefix(family: number, stream: number): Buffer {
  const key = Buffer.allocUnsafe(5)
  key[0] = family
  key.writeUInt32BE(stream, 1)
  return key
}
