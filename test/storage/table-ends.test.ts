import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { MillraceError } from '../../src/runtime/index.js'
import { openStorage, type Storage } from '../../src/storage/index.js'
import { temporaryFolder } from '../temporary-folder.js'

const rows = 300
const rowKey = (i: number) => Buffer.from(`row ${i}`)

function open(folder: string): Promise<Storage> {
  return openStorage({
    path: join(folder, 'store'),
    createIfMissing: true,
    writeBufferBytes: 1 << 20,
    blockCacheBytes: 1 << 20,
    nativeCachePath: join(folder, 'native'),
  })
}

/** A store of one table file. */
async function writeStore() {
  const folder = temporaryFolder()
  const storage = await open(folder)
  await storage.write((batch) => {
    for (let i = 0; i < rows; i++) batch.put(rowKey(i), Buffer.from(`value ${i}`))
  }, true)
  await storage.compactRange(Buffer.from([0]), Buffer.from([255]))
  await storage.close()
  const name = readdirSync(join(folder, 'store')).find((file) => file.endsWith('.sst')) as string
  const path = join(folder, 'store', name)
  return { folder, name, path, whole: readFileSync(path) }
}

async function count(storage: Storage): Promise<number> {
  const values = await storage.getMany(Array.from({ length: rows }, (_, i) => rowKey(i)))
  return values.filter((value, i) => value?.toString() === `value ${i}`).length
}

// RocksDB reads the blocks there without a look at their checksums. Where a flip is not noticed before, it may end this process.
it('a flipped byte in the last kilobyte of a table file is refused by name, or changes nothing', async () => {
  const { folder, name, path, whole } = await writeStore()
  const outcomes = { right: 0, refused: 0 }
  const tail = whole.indexOf('rocksdb.block.based.table.index.type', whole.length - 1100)
  expect(tail).toBeGreaterThan(0)
  for (let at = tail; at < whole.length; at++) {
    const flipped = Buffer.from(whole)
    flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
    writeFileSync(path, flipped)
    let storage: Storage | undefined
    try {
      storage = await open(folder)
      expect(await count(storage), `byte ${at}`).toBe(rows)
      outcomes.right++
    } catch (error) {
      expect(error, `byte ${at}`).toBeInstanceOf(MillraceError)
      expect(error, `byte ${at}`).toMatchObject({
        code: 'STORE_CORRUPT',
        details: { file: join(folder, 'store', name) },
      })
      // Evidence stays as it was found.
      expect(readFileSync(path).equals(flipped), `byte ${at}`).toBe(true)
      outcomes.refused++
    } finally {
      await storage?.close()
    }
  }
  expect(outcomes.refused).toBeGreaterThan(outcomes.right)
  writeFileSync(path, whole)
  const storage = await open(folder)
  expect(await count(storage)).toBe(rows)
  await storage.close()
}, 120_000)

it('a damaged table file that the store does not have any more is no damage', async () => {
  const { folder, path, whole } = await writeStore()
  const torn = Buffer.from(whole)
  torn.fill(0, torn.length - 130, torn.length - 60)
  const orphan = join(folder, 'store', '000003.sst')
  writeFileSync(orphan, torn)
  const storage = await open(folder)
  expect(await count(storage)).toBe(rows)
  await storage.close()
  expect(existsSync(orphan)).toBe(false)
  expect(readFileSync(path).equals(whole)).toBe(true)
})

it('a torn file whose number the opening gives to a new one does not take its place', async () => {
  const folder = temporaryFolder()
  const before = await open(folder)
  await before.write((batch) => {
    for (let i = 0; i < rows; i++) batch.put(rowKey(i), Buffer.from(`value ${i}`))
  }, true)
  await before.close()
  const store = join(folder, 'store')
  const newest = Math.max(...readdirSync(store).map((name) => Number(/\d+/.exec(name)?.[0] ?? 0)))
  // As a kill leaves it in the midst of a flush: the log is not in a table yet, and becomes one at the opening.
  for (let i = 1; i <= 8; i++) writeFileSync(join(store, `${String(newest + i).padStart(6, '0')}.sst`), 'half a block')
  for (let i = 0; i < 2; i++) {
    const storage = await open(folder)
    expect(await count(storage)).toBe(rows)
    await storage.close()
  }
  expect(readdirSync(store).filter((name) => name.endsWith('.damaged'))).toEqual([])
})

it('leaves the files alone of a store that is open elsewhere', async () => {
  const { folder } = await writeStore()
  const storage = await open(folder)
  // As a table looks while RocksDB writes it.
  const growing = join(folder, 'store', '000999.sst')
  writeFileSync(growing, 'half a block')
  await expect(open(folder)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED' })
  expect(readFileSync(growing, 'latin1')).toBe('half a block')
  await storage.close()
})

it('goes on where an opening was killed that had put files aside', async () => {
  const { folder, path, whole } = await writeStore()
  renameSync(path, `${path}.damaged`)
  const orphan = join(folder, 'store', '000003.sst')
  writeFileSync(`${orphan}.damaged`, whole.subarray(0, -20))
  const storage = await open(folder)
  expect(await count(storage)).toBe(rows)
  await storage.close()
  expect(existsSync(`${path}.damaged`) || existsSync(`${orphan}.damaged`) || existsSync(orphan)).toBe(false)
})
