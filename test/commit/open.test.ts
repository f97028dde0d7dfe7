import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { epochOf, Family, sequenceJump } from '../../src/commit/index.js'
import { eventIds } from '../../src/log/index.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'
import { limits, type Opened, open } from './open-memory.js'

const key = Buffer.from('\x08row', 'latin1')
const rows = [{ key, value: Buffer.from('value') }]

async function takeSequence(opened: Pick<Opened, 'commit'>): Promise<number> {
  let taken = 0
  await opened.commit.submit({
    atPack: (context) => {
      taken = context.takeSequence()
      return []
    },
  })
  return taken
}

describe('opening the commit path', () => {
  it('goes on with the number behind the last one, in the same epoch', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const first = await open(storage, folder)
    const taken = await takeSequence(first)
    await first.commit.close()
    const second = await open(storage, folder)
    expect(await takeSequence(second)).toBe(taken + 1)
    expect(second.commit.epoch).toBe(1)
    expect(second.commit.storeId).toBe(first.commit.storeId)
  })

  it('after an unclean relaxed run sequence numbers jump and the epoch rises, whatever mode comes next', async () => {
    for (const synced of [true, false]) {
      const storage = new MemoryStorage()
      const folder = temporaryFolder()
      const first = await open(storage, folder, { synced: false })
      const taken = await takeSequence(first)
      const second = await open(storage.afterPowerLoss(), folder, { synced })
      expect(second.commit.epoch).toBe(2)
      expect(second.warnings).toHaveLength(1)
      expect(await takeSequence(second)).toBeGreaterThanOrEqual(sequenceJump)
      expect(await takeSequence(second)).toBeGreaterThan(taken)
    }
  })

  it('gives no number twice when the opening that jumped was itself cut off', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    await takeSequence(await open(storage, folder, { synced: false }))
    await open(storage, folder)
    expect(await takeSequence(await open(storage, folder))).toBeGreaterThanOrEqual(sequenceJump)
  })

  it('a relaxed run that stopped cleanly needs no jump', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const first = await open(storage, folder, { synced: false })
    await takeSequence(first)
    await first.commit.close()
    expect((await open(storage.afterPowerLoss(), folder)).commit.epoch).toBe(1)
  })

  it('a sequence number keeps its epoch, however often that rises later', async () => {
    let storage = new MemoryStorage()
    const folder = temporaryFolder()
    const taken: number[] = []
    for (let epoch = 1; epoch <= 4; epoch++) {
      const { commit } = await open(storage, folder, { synced: false })
      taken.push(await takeSequence({ commit }), await takeSequence({ commit }))
      expect(taken.map((sequence) => epochOf(commit.epochs, sequence))).toEqual(
        taken.map((_, i) => 1 + Math.floor(i / 2)),
      )
      storage = storage.afterPowerLoss()
    }
    const { commit } = await open(storage, folder)
    const [now, then] = [commit.epochs, commit.epochs.slice(0, 1)].map((epochs) => eventIds('r', 's', epochs))
    expect(now!(taken[0]!)).toBe(then!(taken[0]!))
    expect(now!(taken[2]!)).not.toBe(then!(taken[2]!))
  })

  it('tells a relaxed run that lost its mark of a clean stop before it, whichever slot each has', async () => {
    for (const commits of [1, 2]) {
      const storage = new MemoryStorage()
      const folder = temporaryFolder()
      const first = await open(storage, folder, { synced: false })
      for (let i = 0; i < commits; i++) await takeSequence(first)
      await first.commit.close()
      // Nobody lost anything: no jump.
      const second = await open(storage, folder, { synced: false })
      expect(second.commit.epoch).toBe(1)
      // What the opening wrote was synced; of what comes after it a power failure leaves nothing, marks included.
      const marks = readFileSync(join(folder, 'mark'))
      const taken = await takeSequence(second)
      writeFileSync(join(folder, 'mark'), marks)
      const third = await open(storage.afterPowerLoss(), folder, { synced: false })
      expect(await takeSequence(third)).toBeGreaterThan(taken)
      expect(third.commit.epoch).toBe(2)
    }
  })

  it('a torn mark is a warning, the mark of another store an error', async () => {
    const storage = new MemoryStorage()
    const folder = temporaryFolder()
    const { commit } = await open(storage, folder)
    await commit.submit({ rows })
    writeFileSync(join(folder, 'mark'), 'torn')
    const again = await open(storage, folder)
    expect(again.warnings).toHaveLength(1)
    // Nobody knows what was given behind the end of the ledger.
    expect(await takeSequence(again)).toBeGreaterThanOrEqual(sequenceJump)
    const other = new MemoryStorage()
    const otherFolder = temporaryFolder()
    await (await open(other, otherFolder)).commit.submit({ rows })
    await expect(open(storage, otherFolder)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
    await expect(open(new MemoryStorage(), folder)).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
  })
})

describe('commits', () => {
  it('writes one at a time and gathers meanwhile', async () => {
    const storage = new MemoryStorage()
    const { commit } = await open(storage, temporaryFolder())
    const before = storage.history.length
    storage.beforeWrite = () => new Promise((resolve) => setTimeout(resolve, 2))
    const receipts = []
    for (let i = 0; i < 200; i++) {
      receipts.push(commit.submit({ rows: [{ key: Buffer.from(`\x08${i}`, 'latin1'), value: Buffer.from('v') }] }))
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const commits = new Set((await Promise.all(receipts)).map((receipt) => receipt.commit))
    expect(storage.mostWritesInFlight).toBe(1)
    expect(storage.history.length - before).toBe(commits.size)
    expect(commits.size).toBeLessThan(200)
  })

  it('refuses what is above its bounds and keeps an effect set whole', async () => {
    const storage = new MemoryStorage()
    const small = {
      effectSetBytesMax: 1000,
      commitBytesMax: 1500,
      queueBytesMax: 3000,
      rowWaitersMax: 1,
      rowCacheBytesMax: 1000,
    }
    const { commit } = await open(storage, temporaryFolder(), { limits: small })
    const put = (size: number) => commit.submit({ rows: [{ key, value: Buffer.alloc(size) }] })
    expect(() => put(1000)).toThrow(expect.objectContaining({ code: 'EFFECT_TOO_LARGE' }))
    const queued = [put(900), put(900), put(900)]
    expect(() => put(900)).toThrow(expect.objectContaining({ code: 'TOO_BUSY' }))
    const commits = (await Promise.all(queued)).map((receipt) => receipt.commit)
    expect(new Set(commits).size).toBe(3)
    commit.storageFull = true
    expect(() => put(10)).toThrow(expect.objectContaining({ code: 'STORAGE_FULL', retryable: true }))
    await commit.submit({ rows, essential: true })
    const release = await commit.latch([key])
    const waiting = commit.latch([key])
    await expect(commit.latch([key])).rejects.toMatchObject({ code: 'TOO_BUSY' })
    release()
    ;(await waiting)()
  })

  it('a read that began before a commit of its row returned does not fill the cache', async () => {
    const storage = new MemoryStorage()
    const { commit } = await open(storage, temporaryFolder())
    let letRead = () => {}
    storage.beforeGet = () => new Promise((resolve) => (letRead = resolve))
    const reading = commit.readDurable(key)
    await commit.submit({ rows })
    storage.beforeGet = () => {}
    letRead()
    await reading
    expect((await commit.readDurable(key))?.toString()).toBe('value')
  })

  it('state of pipelines is read as the store has it, and takes no place in memory', async () => {
    const storage = new MemoryStorage()
    const { commit } = await open(storage, temporaryFolder())
    const state = Buffer.concat([Buffer.from([Family.state]), key])
    const put = (value: string) => commit.submit({ rows: [{ key: state, value: Buffer.from(value) }] })
    await put('first')
    let letRead = () => {}
    storage.beforeGet = () => new Promise((resolve) => (letRead = resolve))
    const early = commit.readDurable(state)
    await new Promise((resolve) => setImmediate(resolve))
    await put('second')
    storage.beforeGet = () => {}
    const late = commit.readDurable(state)
    letRead()
    await early
    expect(String(await late)).toBe('second')
    await put('third')
    expect(String(await commit.readDurable(state))).toBe('third')
    expect((await commit.readDurableMany([state])).map(String)).toEqual(['third'])
    let reads = 0
    storage.beforeGet = () => void reads++
    await commit.readDurable(state)
    expect(reads).toBe(1)
  })

  it('close finishes what is queued and then refuses', async () => {
    const storage = new MemoryStorage()
    const { commit, mark } = await open(storage, temporaryFolder())
    const receipt = commit.submit({ rows })
    await commit.close()
    await receipt
    expect(() => commit.submit({ rows })).toThrow(expect.objectContaining({ code: 'NOT_READY' }))
    expect(mark.read()).toMatchObject({ clean: true, commit: 1 })
  })

  it('tells those who wait when what listens to commits fails', async () => {
    const { commit, poisoned } = await open(new MemoryStorage(), temporaryFolder())
    commit.onReturned(() => {
      throw new Error('a listener failed')
    })
    await expect(commit.submit({ rows })).rejects.toMatchObject({ code: 'STORE_FAILED', outcome: 'unknown' })
    expect(poisoned).toHaveLength(1)
  })

  it('a row that is made at packing and one of the same key in an effect set end as the store has them', async () => {
    const storage = new MemoryStorage()
    const { commit } = await open(storage, temporaryFolder())
    await commit.submit({ rows, atPack: () => [{ key, value: Buffer.from('made at packing') }] })
    expect((await commit.readDurable(key))?.toString()).toBe('value')
    expect(storage.rows.get(key.toString('latin1'))?.toString()).toBe('value')
  })

  it('works without a row cache', async () => {
    const { commit } = await open(new MemoryStorage(), temporaryFolder(), {
      limits: { ...limits, rowCacheBytesMax: 0 },
    })
    await commit.submit({ rows })
    expect((await commit.readDurable(key))?.toString()).toBe('value')
  })
})
