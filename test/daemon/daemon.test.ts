import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { configSchema } from '../../src/config/index.js'
import { Daemon, type Rooms } from '../../src/daemon/index.js'
import { silentLogger } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'
import { temporaryFolder } from '../temporary-folder.js'

const key = Buffer.from('\x08row', 'latin1')
const put = (rooms: Rooms, text: string) => rooms.store.commit.submit({ rows: [{ key, value: Buffer.from(text) }] })

async function open(dataDir = join(temporaryFolder(), 'data'), clock = new ManualClock()) {
  const config = configSchema.parse({ dataDir, listen: { port: 0 }, workers: { threads: 1 } })
  const daemon = await Daemon.open({ config, logger: silentLogger, clock })
  onTestFinished(() => daemon.close())
  return { daemon, clock, dataDir }
}

/** A commit that cannot be packed ends the store as a failed write does. */
async function fail(daemon: Daemon): Promise<void> {
  const queued = daemon.rooms.store.commit.submit({
    rows: [{ key, value: Buffer.from('lost') }],
    atPack: () => {
      throw new Error('a disk that fails')
    },
  })
  await expect(queued).rejects.toMatchObject({ code: 'STORE_FAILED', outcome: 'unknown' })
}

const state = (daemon: Daemon, wanted: string) =>
  vi.waitUntil(() => daemon.state.state === wanted, { timeout: 120_000 })

describe('a store that failed', () => {
  it('is opened again with what was acknowledged; after three times within ten minutes a person is asked', async () => {
    const { daemon, clock } = await open()
    await put(daemon.rooms, 'kept')
    const reopened = async () => {
      expect(() => daemon.rooms).toThrow(expect.objectContaining({ code: 'NOT_READY', retryable: true }))
      await state(daemon, 'ready')
      expect((await daemon.rooms.store.commit.readDurable(key))?.toString()).toBe('kept')
    }
    for (let i = 0; i < 3; i++) {
      await fail(daemon)
      expect(['poisoned', 'reopening']).toContain(daemon.state.state)
      await reopened()
    }
    // Ten minutes later the count begins anew.
    clock.advance(10 * 60_000)
    for (let i = 0; i < 3; i++) {
      await fail(daemon)
      await reopened()
    }
    await fail(daemon)
    await state(daemon, 'failed')
    expect(daemon.state).toMatchObject({ reason: expect.stringContaining('failed 4 times within 10 minutes') })
    expect(() => daemon.rooms).toThrow(expect.objectContaining({ code: 'NOT_READY' }))
    await daemon.close()
  })

  it('may be stopped while it is being opened again, and leaves the directory free', async () => {
    const { daemon, dataDir } = await open()
    await put(daemon.rooms, 'kept')
    await fail(daemon)
    await daemon.close()
    expect(daemon.state.state).toBe('stopping')
    const again = await open(dataDir)
    expect((await again.daemon.rooms.store.commit.readDurable(key))?.toString()).toBe('kept')
  })

  it('during a stop ends it all the same', async () => {
    const { daemon, dataDir } = await open()
    const { storage } = daemon.rooms.store
    storage.write = () => Promise.reject(new Error('a disk that fails'))
    await expect(daemon.close()).rejects.toThrow('a disk that fails')
    await open(dataDir)
  })
})

describe('a data directory', () => {
  it('that another daemon has open is refused, and nothing of it is touched', async () => {
    const { daemon, dataDir } = await open()
    await put(daemon.rooms, 'first')
    await expect(open(dataDir)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' })
    expect(readdirSync(join(dataDir, 'aside'))).toEqual([])
    await put(daemon.rooms, 'second')
    await daemon.close()
    const again = await open(dataDir)
    expect((await again.daemon.rooms.store.commit.readDurable(key))?.toString()).toBe('second')
  })

  it('whose making was cut off is made again; one with anything else in it is not ours', async () => {
    const cut = join(temporaryFolder(), 'data')
    mkdirSync(cut)
    writeFileSync(join(cut, 'MILLRACE'), '')
    await open(cut)
    const foreign = join(temporaryFolder(), 'data')
    mkdirSync(foreign)
    writeFileSync(join(foreign, 'letter'), '')
    await expect(open(foreign)).rejects.toMatchObject({ code: 'DATA_DIR_FOREIGN' })
    expect(readdirSync(foreign)).toEqual(['letter'])
  })
})
