import { expect, it } from 'vitest'
import { WorkerPool } from '../../src/workers/index.js'
import { ensureBuilt } from '../built.js'

it('a pool that closes says so to whoever wants a task opened', async () => {
  ensureBuilt()
  const logger = { info: () => {}, warn: () => {}, error: () => {} }
  const limits = { threads: 1, heapBytesMax: 64 * 2 ** 20, stepTimeoutMs: 60_000 }
  const pool = new WorkerPool({ ...limits, logger } as never)
  await expect(pool.describe('/no-such-module.mjs')).rejects.toMatchObject({ code: 'MODULE_INVALID' })
  await pool.close()
  expect(() => pool.open({} as never, {} as never)).toThrow(expect.objectContaining({ code: 'NOT_READY' }))
})
