import { existsSync } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c } from '../runtime/index.js'
import { storageError } from './storage-error.js'

/*
 * RocksDB verifies neither the block at the end of a table file that says where its other parts are (the metaindex) nor
 * the table's properties, and its prebuilt module has its assertions on: a flipped byte in one of the two ends the
 * process, with nothing to catch. So both are verified here before the files are opened.
 *
 * Format (RocksDB 6.17, table/format.cc and table/block_based): a block is followed by one byte for its compression and
 * the masked CRC-32C of both. The file ends in a footer: the kind of checksum (1), the place of the metaindex as two
 * varints (offset, length), that of the index, zeros up to 41 bytes, the version (4), the magic number (8).
 */
const footerBytes = 53
const magic = 0x88e241b785f4cff7n
const checksumIsCrc32c = 1
/** Later ones have another footer. */
const versionMax = 5
const trailerBytes = 5
const propertiesName = Buffer.from('rocksdb.properties', 'latin1')
/** Enough for the footer and, of nearly every file, both blocks. */
const endBytes = 4096
/** No such block is anywhere near this. */
const blockBytesMax = 1 << 24
/** At the same time, since a store has thousands of files and a disk answers many reads at once. */
const filesAtOnce = 16

/** How to open and close the store; `property` is RocksDB's, once it is open. */
export interface Opening {
  /** Throws DATA_DIR_LOCKED when another process has the store open: what looks torn may be a file that it writes just now. */
  checkLock(): Promise<void>
  open(): Promise<void>
  property(name: string): string
  close(): Promise<void>
}

/**
 * Opens the store in `path`. Throws STORE_CORRUPT when one of its table files is damaged where RocksDB would not notice.
 * A power failure may leave a torn file that is none of the store's, and only the opened store knows which are: damaged ones
 * are put aside until it is asked, so that nothing reads them.
 */
export async function openWithWholeTables(path: string, store: Opening): Promise<void> {
  const { damaged, aside } = await tablesOf(path)
  if (damaged.length + aside.length === 0) return store.open()
  await store.checkLock()
  await putBack(path, aside)
  damaged.push(...(await damagedOf(path, aside)))
  for (const name of damaged) await move(path, name, asideOf(name))
  let needed: string | undefined
  try {
    await store.open()
    const listed = store.property('rocksdb.sstables')
    const isListed = (name: string) => new RegExp(`^ *${Number.parseInt(name, 10)}:`, 'm').test(listed)
    // RocksDB forgets the number of a file that is aside, and may have written another one of it meanwhile.
    needed = damaged.find((name) => isListed(name) && !existsSync(join(path, name)))
    if (needed !== undefined) await store.close()
  } catch (error) {
    await putBack(path, damaged).catch(() => {})
    throw error
  }
  if (needed === undefined) {
    for (const name of damaged) await rm(join(path, asideOf(name)), { force: true })
    return
  }
  await putBack(path, damaged)
  throw storageError('open', path, new Error(`Corruption: block checksum mismatch at the end of ${needed}`))
}

/** Never in the place of a file that has come there since: what was aside was none of the store's then. */
async function putBack(path: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (existsSync(join(path, name))) await rm(join(path, asideOf(name)), { force: true })
    else await move(path, asideOf(name), name)
  }
}

const asideSuffix = '.damaged'
const asideOf = (name: string) => `${name}${asideSuffix}`

async function move(path: string, from: string, to: string): Promise<void> {
  try {
    await rename(join(path, from), join(path, to))
  } catch (error) {
    throw storageError('open', path, error as Error)
  }
}

/** The names of the damaged table files, and of those that an opening had put aside when it was killed. */
async function tablesOf(path: string): Promise<{ damaged: string[]; aside: string[] }> {
  let names: string[]
  try {
    names = await readdir(path)
  } catch {
    // The opening says what is wrong with the folder.
    names = []
  }
  const aside = names.filter((name) => name.endsWith(asideSuffix)).map((name) => name.slice(0, -asideSuffix.length))
  return { damaged: await damagedOf(path, names), aside }
}

async function damagedOf(path: string, names: readonly string[]): Promise<string[]> {
  const tables = names.filter((name) => /^\d+\.sst$/.test(name))
  const damaged: string[] = []
  const check = async () => {
    for (let name = tables.pop(); name !== undefined; name = tables.pop()) {
      if (!(await isEndWhole(join(path, name)))) damaged.push(name)
    }
  }
  await Promise.all(Array.from({ length: filesAtOnce }, check))
  return damaged
}

/** False when the footer or one of the two blocks is not what was written; true also when the file cannot be read. */
async function isEndWhole(path: string): Promise<boolean> {
  let file: FileHandle
  try {
    file = await open(path)
  } catch {
    return true
  }
  try {
    const { size } = await file.stat()
    const from = Math.max(0, size - endBytes)
    const end = await read(file, from, size - from)
    const footer = end.subarray(-footerBytes)
    if (footer.length < footerBytes || footer.readBigUInt64LE(footerBytes - 8) !== magic) return false
    if (footer[0] !== checksumIsCrc32c || footer.readUInt32LE(footerBytes - 12) > versionMax) return false
    const blockAt = async (handle: Handle) => {
      const bytes = handle.length + trailerBytes
      if (handle.length > blockBytesMax || handle.offset + bytes > size - footerBytes) return undefined
      const block =
        handle.offset >= from
          ? end.subarray(handle.offset - from, handle.offset - from + bytes)
          : await read(file, handle.offset, bytes)
      return isSound(block) ? block.subarray(0, handle.length) : undefined
    }
    const handle = handleAt(footer, 1)
    const metaindex = handle && (await blockAt(handle))
    if (!metaindex) return false
    // Its keys are whole in the block (no shared prefixes), and what follows one is its value.
    const name = metaindex.indexOf(propertiesName)
    const properties = name < 0 ? undefined : handleAt(metaindex, name + propertiesName.length)
    return properties === undefined || (await blockAt(properties)) !== undefined
  } catch {
    // Unreadable: RocksDB says why.
    return true
  } finally {
    await file.close()
  }
}

interface Handle {
  readonly offset: number
  readonly length: number
}

function handleAt(bytes: Buffer, at: number): Handle | undefined {
  const numbers: number[] = []
  for (let i = 0; i < 2; i++) {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = bytes[at++]
      if (byte === undefined || scale > 2 ** 49) return undefined
      value += (byte & 0x7f) * scale
      scale *= 128
      if (byte < 0x80) break
    }
    numbers.push(value)
  }
  return { offset: numbers[0] as number, length: numbers[1] as number }
}

/** RocksDB stores a CRC rotated by 15 bits, plus a constant, since a CRC of bytes that hold their own CRC is a poor one. */
function isSound(block: Buffer): boolean {
  const summed = block.length - 4
  const crc = crc32c(block, 0, summed)
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
  return block.readUInt32LE(summed) === masked
}

async function read(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  const { bytesRead } = await file.read(bytes, 0, length, at)
  return bytes.subarray(0, bytesRead)
}
