/**
 * The write-ahead log cut off anywhere near its end, and bits of it flipped: what opens is the commits up to some number,
 * all of them, and none that the mark has seen is missing. Anything else is refused.
 */
import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { forEachRecord, type Sequence } from '../../src/log/index.js'
import { MillraceError } from '../../src/runtime/index.js'
import { images, record } from '../log/open-log.js'
import { Random } from '../simulation/random.js'
import { temporaryFolder } from '../temporary-folder.js'
import { copyStore, type Opened, openStore } from './open-store.js'

const isLong = process.env.MILLRACE_LONG !== undefined
const cutBytes = 4096
const cuts = isLong ? cutBytes : 48
const flips = isLong ? 200 : 32
const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now())

const rowKey = (number: number) => Buffer.from(`\x08row ${String(number).padStart(6, '0')}`, 'latin1')

/** A store whose mark has seen `marked` of the `written` commits: as a power failure leaves it, the mark being unsynced. */
async function writeStore(folder: string, native: string) {
  const [marked, written] = [400, 404]
  const path = join(folder, 'original')
  const live = join(folder, 'live')
  const opened = await openStore(path, native)
  const stream = await opened.log.createStream({ name: 'clicks', kind: 'plain', shards: 1, images })
  for (let number = 1; number <= written; number++) {
    await opened.commit.submit({
      rows: [{ key: rowKey(number), value: Buffer.from(`row ${number} `.repeat(1 + (number % 20))) }],
      records: [{ stream: stream.id, records: [record(`key ${number % 7}`, `record ${number}`)] }],
    })
    if (number === marked) copyFileSync(join(path, 'mark'), join(folder, 'mark'))
  }
  copyStore(path, live)
  copyFileSync(join(folder, 'mark'), join(live, 'mark'))
  await opened.close()
  const [log] = readdirSync(join(live, 'store')).filter((name) => name.endsWith('.log'))
  return { live, log: join('store', log as string), marked, written }
}

/** How many of the commits are there. Throws what is a hole. */
async function countOf({ storage, log }: Opened, written: number): Promise<number> {
  const numbers: number[] = []
  const [stream] = log.streams()
  for (const shard of stream ? log.shards(stream.id) : []) {
    for (let from = shard.lowWatermark; ; ) {
      const page = await log.read(shard.id, from, { bytesMax: 1 << 16 })
      for (const chunk of page.chunks)
        forEachRecord(chunk, from, ({ body }) => void numbers.push(Number(body.toString().slice('record '.length))))
      if (page.chunks.length === 0) break
      from = page.next as Sequence
    }
  }
  const rows = await storage.getMany(Array.from({ length: written }, (_, i) => rowKey(i + 1)))
  const count = rows.filter(Boolean).length
  const whole = Array.from({ length: count }, (_, i) => i + 1)
  // Rows and records of one commit are there together, and what is there has no gap.
  expect(rows.indexOf(undefined), 'a row is missing before one that is there').toBe(count === written ? -1 : count)
  expect(numbers).toEqual(whole)
  return count
}

const refusals = ['LOG_DAMAGED', 'STORE_CORRUPT']

/** Opens a damaged copy. Returns how many commits it has, or undefined when it was refused. */
async function look(folder: string, native: string, written: number): Promise<number | undefined> {
  let opened: Opened | undefined
  try {
    opened = await openStore(folder, native)
    return await countOf(opened, written)
  } catch (error) {
    if (!(error instanceof MillraceError) || !refusals.includes(error.code)) throw error
    return undefined
  } finally {
    await opened?.close()
    rmSync(folder, { recursive: true })
  }
}

it(`the write-ahead log cut at ${cuts} of the offsets of its last ${cutBytes} bytes: what the mark has seen is there, or it is refused`, {
  timeout: 3_600_000,
}, async () => {
  const folder = temporaryFolder()
  const native = join(folder, 'native')
  const { live, log, marked, written } = await writeStore(folder, native)
  const { size } = statSync(join(live, log))
  const outcomes = { opened: 0, refused: 0 }
  let before = written
  for (let cut = 0; cut < cuts; cut++) {
    const at = size - 1 - Math.floor((cut * cutBytes) / cuts)
    const damaged = join(folder, 'damaged')
    copyStore(live, damaged)
    truncateSync(join(damaged, log), at)
    const count = await look(damaged, native, written)
    if (count === undefined) outcomes.refused++
    else {
      outcomes.opened++
      expect(count, `cut at ${at} of ${size}`).toBeGreaterThanOrEqual(marked)
      expect(count, `cut at ${at} of ${size}`).toBeLessThanOrEqual(before)
      // A shorter log cannot hold more, and what was refused once is refused when more is gone.
      expect(outcomes.refused, `cut at ${at} of ${size}`).toBe(0)
      before = count
    }
  }
  console.log(`${cuts} cuts: ${JSON.stringify(outcomes)}`)
  expect(outcomes.opened).toBeGreaterThan(0)
  expect(outcomes.refused).toBeGreaterThan(0)
})

it(`${flips} flipped bits of the write-ahead log (seed ${seed}): a prefix with all that the mark has seen, or it is refused`, {
  timeout: 3_600_000,
}, async () => {
  const folder = temporaryFolder()
  const native = join(folder, 'native')
  const { live, log, marked, written } = await writeStore(folder, native)
  const content = readFileSync(join(live, log))
  const random = new Random(seed)
  const outcomes = { opened: 0, refused: 0 }
  for (let flip = 0; flip < flips; flip++) {
    const [at, bit] = [random.below(content.length), random.below(8)]
    const damaged = join(folder, 'damaged')
    copyStore(live, damaged)
    const bytes = Buffer.from(content)
    bytes[at] = bytes[at]! ^ (1 << bit)
    writeFileSync(join(damaged, log), bytes)
    const count = await look(damaged, native, written)
    if (count === undefined) outcomes.refused++
    else {
      outcomes.opened++
      expect(count, `bit ${bit} of byte ${at}`).toBeGreaterThanOrEqual(marked)
    }
  }
  console.log(`${flips} flips: ${JSON.stringify(outcomes)}`)
  expect(outcomes.refused).toBeGreaterThan(0)
})
