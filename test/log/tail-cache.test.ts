import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { ChunkMemory } from '../../src/log/chunk-memory.js'
import type { Sequence, ShardId } from '../../src/log/index.js'
import { TailCache } from '../../src/log/tail-cache.js'

it('keeps no chunk alive that it has given up', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const cache = new TailCache(10_000, new ChunkMemory())
  const chunks: WeakRef<Buffer>[] = []
  for (let i = 0; i < 500; i++) {
    const chunk = Buffer.allocUnsafeSlow(1000)
    chunks.push(new WeakRef(chunk))
    cache.add((i % 2) as ShardId, chunk, i as Sequence, (i + 1) as Sequence)
  }
  return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
    collect()
    expect(chunks.filter((chunk) => chunk.deref() !== undefined).length).toBe(10)
    // Read last, so that the cache itself lives until here.
    expect(cache.bytes).toBe(10_000)
  })
})
