import { randomBytes } from 'node:crypto'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { record } from '../log/open-log.js'
import { serve } from '../server/serving.js'

const MiB = 1024 * 1024

const sizeOf = (folder: string): number =>
  readdirSync(folder)
    // RocksDB may have dropped it since the folder was listed.
    .map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0)
    .reduce((sum, size) => sum + size, 0)

describe('the space of what was trimmed', () => {
  it('comes back on the disk, also where another stream keeps its records in the same segments', async () => {
    const { daemon } = await serve({
      store: { writeBufferBytes: 4 * MiB, blockCacheBytes: MiB },
      log: { tailCacheBytesMax: 0 },
      retention: { bytes: 16 * MiB, everyMs: 2 ** 30 },
    })
    const { log, store, retention } = daemon.rooms
    const images = { old: false, new: false }
    const make = async (name: string, shards: number) =>
      (await log.createStream({ name, kind: 'plain', shards, images })).id
    const [stream, kept] = [await make('large', 4), await make('kept', 1)]
    for (let i = 0; i < 160; i++) {
      const body = () => ({ ...record(`key ${Math.random()}`, ''), body: randomBytes(MiB / 16) })
      await store.commit.submit({
        records: [
          { stream, records: Array.from({ length: 16 }, body) },
          { stream: kept, records: [body()] },
        ],
      })
    }
    const folder = join(daemon.dataDirectory, 'store')
    const before = sizeOf(folder)
    expect(before).toBeGreaterThan(150 * MiB)
    let trimmed = 0
    retention.observe({
      trimmed: (bytes) => {
        trimmed += bytes
      },
      groupTrimmed() {},
    })
    await retention.run()
    expect(trimmed).toBeGreaterThan(140 * MiB)
    expect(log.bytesOf(stream)).toBeLessThan(18 * MiB)
    expect(log.bytesOf(kept)).toBeGreaterThan(10 * MiB)
    // 26 MiB are kept; a segment less than half of which is gone may stay, and RocksDB drops files a little later.
    for (let after = sizeOf(folder); after > 80 * MiB; after = sizeOf(folder))
      await new Promise((resolve) => setTimeout(resolve, 50))
    for (const shard of [...log.shards(stream), ...log.shards(kept)]) {
      let from = shard.lowWatermark
      for (let page = await log.read(shard.id, from, { bytesMax: MiB }); page.chunks.length > 0; ) {
        from = page.next
        page = await log.read(shard.id, from, { bytesMax: MiB })
      }
      expect(from).toBe(log.lastSequence(shard.id) + 1)
    }
  })
})
