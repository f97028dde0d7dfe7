import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { MillraceError } from '../../src/runtime/index.js'
import { openStorage, type Page, type RangeOptions, type Storage } from '../../src/storage/index.js'
import { ensureBuilt } from '../built.js'
import { MemoryStorage } from '../memory-storage.js'
import { temporaryFolder } from '../temporary-folder.js'

const bytes = (text: string) => Buffer.from(text, 'latin1')
const all = { limit: 1000, bytesMax: 1 << 20 }

async function open(folder = temporaryFolder()): Promise<Storage> {
  const storage = await openStorage({
    path: join(folder, 'store'),
    createIfMissing: true,
    writeBufferBytes: 1 << 20,
    blockCacheBytes: 1 << 20,
    nativeCachePath: join(folder, 'native'),
  })
  onTestFinished(() => storage.close())
  return storage
}

async function fill(storage: Storage, rows: readonly (readonly [string, string])[]): Promise<void> {
  await storage.write((batch) => {
    for (const [key, value] of rows) batch.put(bytes(key), bytes(value))
  }, false)
}

const shown = ({ keys, values, more }: Page) => ({
  rows: keys.map((key, i) => [key.toString('latin1'), values[i]!.toString('latin1')]),
  more,
})

describe('reads', () => {
  it('gives values, empty ones too, and undefined for what is missing, in the order that was asked', async () => {
    const storage = await open()
    await fill(storage, [
      ['a', '1'],
      ['b', ''],
      ['d', '4'],
    ])
    expect((await storage.get(bytes('a')))?.toString()).toBe('1')
    expect((await storage.get(bytes('b')))?.length).toBe(0)
    expect(await storage.get(bytes('c'))).toBeUndefined()
    const many = await storage.getMany(['c', 'd', 'a', 'x', 'b', 'd'].map(bytes))
    expect(many.map((value) => value?.toString())).toEqual([undefined, '4', '1', undefined, '', '4'])
    expect(await storage.getMany([])).toEqual([])
  })

  it('takes no empty key', async () => {
    const storage = await open()
    const code = { code: 'INTERNAL', outcome: 'notApplied' }
    await expect(storage.get(bytes(''))).rejects.toMatchObject(code)
    await expect(storage.getMany([bytes('a'), bytes('')])).rejects.toMatchObject(code)
    await expect(storage.write((batch) => batch.put(bytes(''), bytes('v')), true)).rejects.toMatchObject(code)
    // Nothing was written, so that is no failure of the store.
    await fill(storage, [['a', '1']])
    expect((await storage.get(bytes('a')))?.toString()).toBe('1')
  })
})

describe('ranges', () => {
  /** As a range may be asked for: any bounds, also empty, crossed and doubled ones. */
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '\x00', '\xff'), maxLength: 3 })
  const bound = fc.option(key.map(bytes), { nil: undefined })
  const range = fc.record({
    gte: bound,
    gt: bound,
    lt: bound,
    lte: bound,
    reverse: fc.boolean(),
    values: fc.boolean(),
    limit: fc.integer({ min: 1, max: 6 }),
    bytesMax: fc.integer({ min: 0, max: 40 }),
  })
  const rows = fc.uniqueArray(
    fc.tuple(
      key.filter((each) => each !== ''),
      fc.string({ unit: 'binary-ascii', maxLength: 9 }),
    ),
    {
      selector: ([name]) => name,
      maxLength: 12,
    },
  )

  it('are what a sorted map gives, page after page', async () => {
    const storage = await open()
    await fc.assert(
      fc.asyncProperty(rows, range, async (content, asked) => {
        const model = new MemoryStorage()
        for (const [name, value] of content) model.rows.set(name, bytes(value))
        const { keys } = await storage.page(all)
        await storage.write((batch) => {
          for (const each of keys) batch.delete(each)
          for (const [name, value] of content) batch.put(bytes(name), bytes(value))
        }, false)
        const once = pruned(asked)
        expect(shown(await storage.page(once))).toEqual(shown(await model.page(once)))
        const { limit, ...scanned } = once
        const whole: unknown[] = []
        for await (const page of storage.scan(scanned)) whole.push(...shown(page).rows)
        expect(whole).toEqual(shown(await model.page({ ...once, ...all })).rows)
        const { values: _, ...bounds } = once
        for (const most of [limit, -1]) {
          const texts: string[] = []
          for await (const values of storage.texts({ ...bounds, limit: most })) texts.push(...values)
          const some = most === -1 ? all : { limit: most, bytesMax: all.bytesMax }
          const { values } = await model.page({ ...bounds, ...some })
          expect(texts).toEqual(values.map((value) => value.toString()))
        }
      }),
      { numRuns: 300 },
    )
  })

  /** Of two lower or two upper bounds the binding takes one: nobody may give both. */
  function pruned({ gte, gt, lt, lte, ...rest }: RangeOptions): RangeOptions {
    return {
      ...rest,
      ...(gte ? { gte } : gt ? { gt } : {}),
      ...(lt ? { lt } : lte ? { lte } : {}),
    }
  }

  it('a page ends after the entry that takes it past its bytes, and says whether there is more', async () => {
    const storage = await open()
    await fill(
      storage,
      ['a', 'b', 'c'].map((name) => [name, 'v'.repeat(99)]),
    )
    const names = async (range: Partial<RangeOptions>) => {
      const { keys, more } = await storage.page({ ...all, ...range })
      return [keys.join(''), more]
    }
    expect(await names({ bytesMax: 0 })).toEqual(['a', true])
    expect(await names({ bytesMax: 100 })).toEqual(['ab', true])
    expect(await names({ bytesMax: 200, reverse: true })).toEqual(['cba', false])
    expect(await names({ limit: 3 })).toEqual(['abc', false])
    expect(await names({ limit: 2, lt: bytes('c') })).toEqual(['ab', false])
    expect(await names({ gt: bytes('c') })).toEqual(['', false])
  })

  it('a scan shows one moment, whatever is written meanwhile', async () => {
    const storage = await open()
    const before = Array.from({ length: 200 }, (_, i) => [`k${1000 + i}`, 'old'.repeat(20)] as const)
    await fill(storage, before)
    const seen: unknown[] = []
    for await (const page of storage.scan({ bytesMax: 500 })) {
      seen.push(...shown(page).rows)
      if (seen.length > 100) continue
      await fill(
        storage,
        before.map(([name]) => [name, 'new']),
      )
      await fill(storage, [[`k9${seen.length}`, 'new']])
    }
    expect(seen).toEqual(before.map(([name, value]) => [name, value]))
  })
})

describe('writes', () => {
  it('apply whole or not at all, in their order, one at a time', async () => {
    const storage = await open()
    await storage.write((batch) => {
      batch.put(bytes('a'), bytes('1'))
      batch.delete(bytes('a'))
      batch.put(bytes('b'), bytes('1'))
      batch.put(bytes('b'), bytes('2'))
    }, true)
    expect(shown(await storage.page(all)).rows).toEqual([['b', '2']])
    const thrown = new Error('no more')
    const cut = storage.write((batch) => {
      batch.put(bytes('c'), bytes('1'))
      throw thrown
    }, true)
    await expect(cut).rejects.toBe(thrown)
    // What was filled in before the throw is not in the next write either.
    await storage.write(() => {}, true)
    expect(shown(await storage.page(all)).rows).toEqual([['b', '2']])
    const first = storage.write((batch) => batch.put(bytes('d'), bytes('1')), true)
    await expect(storage.write(() => {}, true)).rejects.toMatchObject({ code: 'INTERNAL' })
    await first
  })

  it('are there after the store was opened again', async () => {
    const folder = temporaryFolder()
    const storage = await open(folder)
    await storage.write((batch) => batch.put(bytes('a'), bytes('1')), true)
    await storage.close()
    expect((await (await open(folder)).get(bytes('a')))?.toString()).toBe('1')
  })
})

describe('the end of a store', () => {
  it('waits for what reads, and refuses what comes after it', async () => {
    const storage = await open()
    await fill(
      storage,
      Array.from({ length: 2000 }, (_, i) => [`k${i}`, 'v'.repeat(100)]),
    )
    const reading = [
      storage.page({ limit: 2000, bytesMax: 1 << 30 }),
      storage.getMany([bytes('k1'), bytes('k2')]),
      storage.get(bytes('k3')),
      storage.compactRange(bytes('a'), bytes('z')),
    ]
    const written = storage.write((batch) => batch.put(bytes('z'), bytes('1')), true)
    const closed = Promise.all([storage.close(), storage.close()])
    expect((await Promise.all(reading)).length).toBe(4)
    await written
    await closed
    const refused = [
      () => storage.get(bytes('a')),
      () => storage.getMany([bytes('a')]),
      () => storage.page(all),
      () => storage.write(() => {}, true),
      () => storage.scan({ bytesMax: 1 }).next(),
      async () => storage.property('rocksdb.stats'),
    ]
    for (const refuse of refused) await expect(refuse()).rejects.toMatchObject({ code: 'NOT_READY' })
  })

  it('a scan between two pages ends with NOT_READY', async () => {
    const storage = await open()
    await fill(
      storage,
      Array.from({ length: 50 }, (_, i) => [`k${i}`, 'v'.repeat(100)]),
    )
    const scan = storage.scan({ bytesMax: 200 })
    expect((await scan.next()).done).toBe(false)
    const left = storage.scan({ bytesMax: 200 })
    await left.next()
    await storage.close()
    await expect(scan.next()).rejects.toMatchObject({ code: 'NOT_READY' })
    expect(await left.return()).toMatchObject({ done: true })
  })

  it('a second opening is refused while the first is open', async () => {
    const folder = temporaryFolder()
    await open(folder)
    await expect(open(folder)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' })
  })

  it('what cannot be opened says why and names the file', async () => {
    const folder = temporaryFolder()
    await (await open(folder)).close()
    const store = join(folder, 'store')
    const manifest = readdirSync(store).find((name) => name.startsWith('MANIFEST'))!
    writeFileSync(join(store, manifest), readFileSync(join(store, manifest)).fill(0x55))
    const failed = await open(folder).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(MillraceError)
    expect(failed).toMatchObject({ code: 'STORE_CORRUPT', details: { file: expect.stringContaining(manifest) } })
    writeFileSync(join(folder, 'file'), '')
    const path = join(folder, 'file', 'store')
    const options = { path, createIfMissing: true, writeBufferBytes: 1, blockCacheBytes: 0, nativeCachePath: folder }
    await expect(openStorage(options)).rejects.toMatchObject({ code: 'IO_FAILED' })
    await expect(openStorage({ ...options, writeBufferBytes: 2 ** 32 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
  })
})

/** Runs in a process of its own, whose files may not grow beyond 20 MiB: the disk is full for it. */
const fullDisk = `
import { randomBytes } from 'node:crypto'
import { openStorage } from '${new URL('../../dist/storage/index.js', import.meta.url).href}'
const folder = process.argv[1]
const options = { path: folder + '/store', createIfMissing: true, writeBufferBytes: 64 << 20, blockCacheBytes: 0, nativeCachePath: folder }
let storage = await openStorage(options)
const write = (i) => storage.write((batch) => batch.put(Buffer.from([1, i]), randomBytes(1 << 20)), true)
const codeOf = (error) => [error.code, error.outcome]
const said = []
let written = 0
try {
  for (;; written++) await write(written)
} catch (error) {
  said.push(codeOf(error))
}
said.push(await write(200).catch(codeOf))
said.push((await storage.get(Buffer.from([1, 0]))).length)
await storage.close()
storage = await openStorage(options)
const { keys } = await storage.page({ limit: 100, bytesMax: 1 << 30, values: false })
said.push(keys.length >= written && keys.every((key, i) => key[1] === i))
await storage.close()
console.log(JSON.stringify(said))
`

it('after a write that failed it takes none, reads on, and has every acknowledged one when it is opened again', () => {
  ensureBuilt()
  const limited = 'ulimit -f 20480; exec "$0" "$@"'
  const args = ['-c', limited, process.execPath, '--input-type=module', '-e', fullDisk, temporaryFolder()]
  const { stdout, stderr } = spawnSync('bash', args, { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual([['IO_FAILED', 'unknown'], ['STORE_FAILED', expect.any(String)], 1 << 20, true])
})
