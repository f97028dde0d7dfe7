/**
 * One flipped byte anywhere in the write-ahead log, an SST or the MANIFEST: the store refuses with an error that names
 * the file or the commit, at opening or at the read, or gives the right bytes. Never a silent hole.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { forEachRecord, type Sequence } from '../../src/log/index.js'
import { MillraceError } from '../../src/runtime/index.js'
import { images, record } from '../log/open-log.js'
import { temporaryFolder } from '../temporary-folder.js'
import { copyStore, type Opened, openStore } from './open-store.js'

const flips = Number(process.env.MILLRACE_TEST_FLIPS ?? (process.env.MILLRACE_LONG ? 2000 : 200))
const rowKey = (i: number) => Buffer.from(`\x08row ${String(i % 700).padStart(6, '0')}`, 'latin1')

/** Everything that can be read, as text: rows by range, rows by key, records of every shard. */
async function contents({ storage, log }: Opened): Promise<string> {
  const lines: string[] = []
  const range = { gte: Buffer.from([8]), lt: Buffer.from([9]), bytesMax: 1 << 16 }
  for await (const page of storage.scan(range)) {
    page.keys.forEach((key, i) => lines.push(`${key.toString('latin1')}=${page.values[i]!.toString('latin1')}`))
  }
  const values = await storage.getMany(Array.from({ length: 700 }, (_, i) => rowKey(i)))
  for (const value of values) lines.push(value?.toString('latin1') ?? 'missing')
  for (const stream of log.streams()) {
    for (const shard of log.shards(stream.id)) {
      let from = shard.lowWatermark
      for (;;) {
        const page = await log.read(shard.id, from, { bytesMax: 1 << 16 })
        for (const chunk of page.chunks) {
          forEachRecord(chunk, from, (each) => {
            lines.push(`${each.sequence} ${each.key.toString()} ${each.body.toString('latin1')}`)
          })
        }
        if (page.chunks.length === 0) break
        from = page.next as Sequence
      }
    }
  }
  return lines.join('\n')
}

it(`a flipped byte at each of ${flips} random offsets is never a silent hole`, { timeout: 1_200_000 }, async () => {
  const folder = temporaryFolder()
  const native = join(folder, 'native')
  const original = join(folder, 'original')
  mkdirSync(native)
  mkdirSync(join(original, 'store'), { recursive: true })
  let number = 0
  let opened = await openStore(original, native)
  const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 2, images })
  const write = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const body = `${number} `.repeat(10 + (number % 30))
      await opened.commit.submit({
        rows: [{ key: rowKey(number), value: Buffer.from(body) }],
        records: [{ stream: stream.id, records: [record(`key ${number % 50}`, body)] }],
      })
      number++
    }
  }
  await write(800)
  await opened.storage.compactRange(Buffer.from([0]), Buffer.from([255]))
  await write(300)
  // An opening makes an SST of the log that it finds; what comes after stays in the log.
  await opened.close()
  opened = await openStore(original, native)
  await write(400)
  const right = await contents(opened)
  // As a kill would leave it: the files are copied while the store is open and still.
  const live = join(folder, 'live')
  copyStore(original, live)
  await opened.close()

  const files = readdirSync(join(live, 'store')).filter((name) => /\.log$|\.sst$|^MANIFEST/.test(name))
  expect(files.some((name) => name.endsWith('.sst'))).toBe(true)
  expect(files.some((name) => name.endsWith('.log') && statSync(join(live, 'store', name)).size > 10_000)).toBe(true)
  let state = Number(process.env.MILLRACE_TEST_SEED ?? Date.now()) >>> 0
  const seed = state
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const outcomes = { right: 0, refusedAtOpening: 0, refusedAtRead: 0 }
  for (let flip = 0; flip < flips; flip++) {
    const name = files[flip % files.length]!
    const damaged = join(folder, 'damaged')
    copyStore(live, damaged)
    const path = join(damaged, 'store', name)
    const content = readFileSync(path)
    const at = random(content.length)
    content[at] = content[at]! ^ (1 << random(8))
    writeFileSync(path, content)
    const where = `byte ${at} of ${content.length} of ${name} (seed ${seed})`
    let again: Opened | undefined
    try {
      again = await openStore(damaged, native)
      const found = await contents(again)
      // Not toBe: the difference of two such texts is no message for a person.
      expect(found === right, `a silent hole after ${where}`).toBe(true)
      outcomes.right++
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      expect(['LOG_DAMAGED', 'STORE_CORRUPT', 'IO_FAILED'], `${where}: ${error.code} ${error.message}`).toContain(
        error.code,
      )
      expect(error.message, where).toMatch(/commit|Commit|The store in|\.sst|\.log|MANIFEST|[Ss]hard \d+|sequence/)
      if (again) outcomes.refusedAtRead++
      else outcomes.refusedAtOpening++
    } finally {
      await again?.close()
      rmSync(damaged, { recursive: true })
    }
  }
  console.log(`${flips} flips: ${JSON.stringify(outcomes)}`)
})
