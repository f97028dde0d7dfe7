/**
 * The guards of the commit path, one test for each. `npm run mutants` takes the guards out of the source one at a time
 * and expects the test of that name to fail.
 */
import { describe, expect, it } from 'vitest'
import type { Commit } from '../../src/commit/index.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { open } from './open-memory.js'

const row = Buffer.from('\x08row', 'latin1')
const bytes = (text: string) => Buffer.from(text)
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A put that only one may win: attribute_not_exists. */
async function putIfAbsent(commit: Commit, value: string): Promise<boolean> {
  const release = await commit.latch([row])
  let written: Promise<unknown> | undefined
  let seen: number | undefined
  try {
    const decided = await commit.read(row)
    if (decided.value) seen = decided.seen
    else written = commit.submit({ rows: [{ key: row, value: bytes(value) }] })
  } finally {
    release()
  }
  if (written) await written
  else if (seen !== undefined) await commit.returned(seen)
  return written !== undefined
}

describe('guards', () => {
  it('latch: of deciders whose reads overlap, one wins', async () => {
    const storage = new MemoryStorage()
    const { commit } = await open(storage, temporaryFolder())
    storage.beforeGet = turn
    const won = await Promise.all(['a', 'b', 'c', 'd'].map((value) => putIfAbsent(commit, value)))
    expect(won.filter(Boolean)).toHaveLength(1)
  })

  it('waiting answer: an answer that rests on a queued effect is not given before that is durable', async () => {
    const storage = new MemoryStorage()
    const { commit } = await open(storage, temporaryFolder())
    let letWrite = () => {}
    storage.beforeWrite = () => new Promise((resolve) => (letWrite = resolve))
    const first = putIfAbsent(commit, 'a')
    await turn()
    let answered = false
    const second = putIfAbsent(commit, 'b').then((won) => {
      answered = true
      return won
    })
    for (let i = 0; i < 20; i++) await turn()
    expect(answered).toBe(false)
    expect(storage.rows.has(row.toString('latin1'))).toBe(false)
    letWrite()
    expect(await first).toBe(true)
    expect(await second).toBe(false)
  })

  it('ledger: a commit that the store lost in the middle is named at the next opening', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const { commit } = await open(storage, folder)
    for (let i = 0; i < 10; i++) await commit.submit({ rows: [{ key: row, value: bytes(String(i)) }] })
    // The first write is the store's identity, so write 5 is commit 5.
    const damaged = storage.without((index) => index === 5)
    await expect(open(damaged, folder)).rejects.toMatchObject({
      code: 'LOG_DAMAGED',
      details: { firstMissing: 5, lastMissing: 5 },
    })
  })

  it('mark: commits that the store lost at the end are named at the next opening', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const { commit } = await open(storage, folder)
    for (let i = 0; i < 10; i++) await commit.submit({ rows: [{ key: row, value: bytes(String(i)) }] })
    const damaged = storage.without((index) => index > 7)
    await expect(open(damaged, folder)).rejects.toMatchObject({
      code: 'LOG_DAMAGED',
      details: { firstMissing: 8, lastMissing: 10 },
    })
  })

  it('poisoning: after the first failed write nothing more is acknowledged', async () => {
    const storage = new MemoryStorage()
    const { commit, poisoned } = await open(storage, temporaryFolder())
    const put = (value: string) => commit.submit({ rows: [{ key: row, value: bytes(value) }] })
    await put('before')
    storage.beforeWrite = () => {
      storage.beforeWrite = () => {}
      throw new Error('input/output error')
    }
    const failing = put('failing')
    await turn()
    await expect(failing).rejects.toMatchObject({ code: 'STORE_FAILED', outcome: 'unknown' })
    expect(poisoned).toHaveLength(1)
    await expect(async () => put('after')).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await turn()
    expect(storage.rows.get(row.toString('latin1'))?.toString()).toBe('before')
  })

  it('clock: commit time neither goes back nor follows a jump', async () => {
    const storage = new MemoryStorage()
    const clock = new ManualClock()
    const { commit } = await open(storage, temporaryFolder(), { clock })
    const at = async () => (await commit.submit({ rows: [{ key: row, value: bytes('x') }] })).time
    const start = await at()
    clock.advance(1000)
    expect(await at()).toBe(start + 1000)
    clock.wall -= 5000
    expect(await at()).toBe(start + 1000)
    clock.wall += 5000
    expect(await at()).toBe(start + 1000)
    clock.wall += 24 * 60 * 60 * 1000
    clock.advance(1000)
    expect(await at()).toBe(start + 2000)
    expect(commit.time.alarm).toBe('jumped')
    expect(commit.time.mayExpire()).toBe(false)
    commit.time.confirm()
    expect(await at()).toBe(clock.wall)
    expect(commit.time.mayExpire()).toBe(true)
  })

  it('sync: what was acknowledged is there after a power failure', async () => {
    const storage = new MemoryStorage()
    const { commit } = await open(storage, temporaryFolder())
    for (let i = 0; i < 5; i++) {
      const key = Buffer.from(`\x08row ${i}`, 'latin1')
      await commit.submit({ rows: [{ key, value: bytes(String(i)) }] })
      expect(storage.afterPowerLoss().rows.has(key.toString('latin1'))).toBe(true)
    }
  })
})
