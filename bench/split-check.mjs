// Reads a whole stream back through a group, parents before children, and counts what is lost, duplicated, reordered.
import { ChunkCursor } from '../dist/log/index.js'

/**
 * @param acknowledged one byte a batch: 1 when it was acknowledged; what was in doubt at a kill is there whole or not at all
 */
export async function check({ log, groups, store }, stream, { acknowledged, batchSize, keys }) {
  const group = await groups.create(`check-${Date.now()}`, stream.id, 'oldest')
  const seen = new Uint32Array(acknowledged.length)
  const lastOfKey = new Float64Array(keys).fill(-1)
  const result = { records: 0, shards: 0, lost: 0, duplicated: 0, reordered: 0, inDoubt: 0 }
  const take = (chunk, from) => {
    const cursor = new ChunkCursor(chunk)
    while (cursor.next()) {
      if (cursor.sequence < from) continue
      const { body } = cursor
      const [batch, place, key] = [body.readUInt32LE(0), body.readUInt32LE(4), body.readUInt32LE(8)]
      const at = batch * batchSize + place
      result.records++
      seen[batch]++
      if (at === lastOfKey[key]) result.duplicated++
      else if (at < lastOfKey[key]) result.reordered++
      else lastOfKey[key] = at
    }
  }
  for (let progress = true; progress; ) {
    progress = false
    for (const position of group.readable()) {
      const page = await log.read(position.shard, position.next, { bytesMax: 4 << 20 })
      if (page.chunks.length === 0 && !page.ended) continue
      progress = true
      for (const chunk of page.chunks) take(chunk, position.next)
      if (page.ended) result.shards++
      const moved = [{ shard: position.shard, next: page.next, ended: page.ended }]
      await store.commit.submit({ rows: group.rowsFor(moved), essential: true })
      group.moved(moved)
    }
  }
  for (let batch = 0; batch < seen.length; batch++) {
    const missing = batchSize - seen[batch]
    if (!acknowledged[batch]) {
      result.inDoubt++
      // A part of an effect set is neither.
      if (missing !== 0 && missing !== batchSize) result.lost += Math.max(0, missing)
    } else if (missing > 0) result.lost += missing
    if (missing < 0) result.duplicated -= missing
  }
  await groups.delete(group.name)
  return result
}
