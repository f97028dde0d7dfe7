import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

// Pipelines that key anew, with their tasks in several threads, over splits and kills.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '3',
  // Here a pipeline stops at what it cannot take; parked.test.ts has the other way.
  MILLRACE_PIPELINES_ON_ERROR: 'stop',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_PIPELINES_STEP_TIMEOUT_MS: '2000',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
  // Small, so that there are many barriers, and many handovers between two of them.
  MILLRACE_PIPELINES_HANDOVER_BYTES: '4096',
  MILLRACE_PIPELINES_EPOCH_BYTES_MAX: '262144',
  MILLRACE_LOG_LEVEL: 'error',
}
let daemon: DaemonProcess

const start = async () => {
  daemon = await DaemonProcess.start({ data, env })
}

beforeAll(async () => {
  ensureBuilt()
  await start()
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly state: string
  readonly attempts: number
  readonly tasks: number
  readonly sources: readonly string[]
  readonly watermark?: number
  readonly error?: { readonly code: string; readonly message: string; readonly step?: number }
}

let number = 0
async function deploy(source: string): Promise<View> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, `import { file, pipeline, stream, table } from 'millrace'\n${source}`)
  return daemon.v1<View>('POST', 'pipelines', { bundle: await bundleModule(path) })
}
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const remove = (name: string) => daemon.v1('DELETE', `pipelines/${name}`)
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })
const rows = async (TableName: string) =>
  (await daemon.aws<{ Items: Record<string, Record<string, string>>[] }>('Scan', { TableName })).Items
const table = (TableName: string, hash = 'id', type = 'S') =>
  daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: hash, AttributeType: type }],
    KeySchema: [{ AttributeName: hash, KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })

async function caughtUp(group: string): Promise<void> {
  await expect.poll(async () => (await daemon.v1<{ lag: number }>('GET', `groups/${group}`)).lag).toBe(0)
}

async function split(name: string): Promise<void> {
  const { shards } = await daemon.v1<{ shards: { id: number; state: string }[] }>('GET', `streams/${name}/shards`)
  await daemon.v1('POST', `streams/${name}/shards/${shards.find((shard) => shard.state === 'open')!.id}/split`, {})
}

async function recordsOf(name: string): Promise<unknown[]> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
  const pages = shards.map(({ id }) =>
    daemon.v1<{ records: { value: unknown }[] }>('GET', `streams/${name}/records?shard=${id}&limit=100000`),
  )
  return (await Promise.all(pages)).flatMap(({ records }) => records.map(({ value }) => value))
}

describe('keyed by another key than the source', () => {
  it('counts every record once, in the order of each source key, over splits and kills', async () => {
    await daemon.v1('POST', 'streams', { name: 'orders', shards: 4 })
    await daemon.v1('POST', 'streams', { name: 'totals', shards: 1 })
    await table('perItem')
    await deploy(`
      type Order = { item: number; n: number }
      export default pipeline('orders')
        .from(stream<Order>('orders'))
        .filter((record) => record.value.n % 5 !== 0)
        .keyBy((record) => record.value.item)
        .aggregate('perItem', () => ({ count: 0, sum: 0, last: {} as Record<string, number>, isOrdered: true }), (state, { key, value }) => ({
          count: state.count + 1,
          sum: state.sum + value.n,
          last: { ...state.last, [key]: value.n },
          isOrdered: state.isOrdered && (state.last[key] ?? -1) < value.n,
        }))
        .to(table('perItem', ({ count, sum, isOrdered }, item) => ({ id: String(item), count, sum, isOrdered })))
        .map(({ count }, item) => ({ item, count }))
        .keyBy(({ item }) => item % 3)
        .count('updates')
        .to(stream('totals', (count, rest) => ({ key: String(rest), value: [rest, count] })))
    `)
    const expected = new Map<number, { count: number; sum: number }>()
    const updates = [0, 0, 0]
    let n = 0
    for (let round = 0; round < 12; round++) {
      const records = Array.from({ length: 600 }, () => ({
        key: `user ${(n * 7) % 41}`,
        value: { item: (n * 13) % 97, n: n++ },
      }))
      await append('orders', records)
      for (const { value } of records) {
        if (value.n % 5 === 0) continue
        const total = expected.get(value.item) ?? { count: 0, sum: 0 }
        expected.set(value.item, { count: total.count + 1, sum: total.sum + value.n })
        updates[value.item % 3]!++
      }
      if (round % 4 === 1) await split('orders')
      if (round % 3 === 2) {
        await daemon.kill()
        await start()
      }
    }
    await caughtUp('pipeline:orders')
    expect(await show('orders')).toMatchObject({ state: 'running', attempts: 0 })
    const found = (await rows('perItem')).map((row) => [
      Number(row.id!.S),
      { count: Number(row.count!.N), sum: Number(row.sum!.N) },
    ])
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected))
    // Values of one key and source shard come in order.
    for (const row of await rows('perItem')) expect(row.isOrdered).toEqual({ BOOL: true })
    // Each count was sent once.
    const sent = (await recordsOf('totals')) as [number, number][]
    for (const rest of [0, 1, 2])
      expect(sent.filter(([each]) => each === rest).map(([, count]) => count)).toEqual(
        Array.from({ length: updates[rest]! }, (_, i) => i + 1),
      )
    await remove('orders')
  })

  it('a user function behind a keyBy that throws fails with its step; nothing of the epoch is there', async () => {
    await daemon.v1('POST', 'streams', { name: 'fails', shards: 2 })
    await table('failing')
    await deploy(`
      export default pipeline('fails')
        .from(stream<number>('fails'))
        .keyBy((record) => record.value % 10)
        .map((record) => { if (record.value === 57) throw new Error('fifty-seven'); return record.value })
        .count('n')
        .to(table('failing', (n, key) => ({ id: String(key), n })))
    `)
    await append(
      'fails',
      Array.from({ length: 50 }, (_, value) => ({ key: `k${value}`, value })),
    )
    await caughtUp('pipeline:fails')
    await append(
      'fails',
      Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, value: 50 + i })),
    )
    await expect.poll(async () => (await show('fails')).state).toBe('failed')
    expect((await show('fails')).error).toMatchObject({ step: 1, message: expect.stringContaining('fifty-seven') })
    const total = (await rows('failing')).reduce((sum, row) => sum + Number(row.n!.N), 0)
    expect(total).toBeGreaterThanOrEqual(50)
    expect(total).toBeLessThan(100)
    await remove('fails')
  })
})

describe('a thread that dies', () => {
  it('takes down what has tasks in it, and counts an attempt for the one whose code it was', async () => {
    await daemon.v1('POST', 'streams', { name: 'loops', shards: 2 })
    await table('healthy')
    await table('looping')
    const of = (name: string, body: string) => `
      export default pipeline('${name}')
        .from(stream<number>('loops'))
        .keyBy((record) => record.value % 10)
        .map((record) => { ${body} return record.value })
        .count('n')
        .to(table('${name}', (n, key) => ({ id: String(key), n })))
    `
    await deploy(of('healthy', ''))
    await deploy(of('looping', 'if (record.value === 57) for (;;) {}'))
    await append(
      'loops',
      Array.from({ length: 100 }, (_, value) => ({ key: `k${value}`, value })),
    )
    await expect.poll(async () => (await show('looping')).state).toBe('failed')
    expect((await show('looping')).error).toMatchObject({ code: 'STEP_TIMEOUT', step: 1 })
    await caughtUp('pipeline:healthy')
    await expect.poll(async () => (await show('healthy')).state).toBe('running')
    expect((await show('healthy')).attempts).toBe(0)
    expect((await rows('healthy')).map((row) => row.n!.N)).toEqual(Array.from({ length: 10 }, () => '10'))
    await remove('looping')
    await remove('healthy')
  })
})

describe('several sources', () => {
  it('meet in one step, and begin and go together', async () => {
    await daemon.v1('POST', 'streams', { name: 'left', shards: 2 })
    await daemon.v1('POST', 'streams', { name: 'right', shards: 3 })
    await table('both')
    await deploy(`
      const start = pipeline('both')
      export default start.from(stream<number>('left'))
        .map((record) => ({ key: record.key, n: record.value }))
        .merge(start.from(stream<number>('right')).map((record) => ({ key: record.key, n: -record.value })))
        .keyBy(({ key }) => key)
        .sum('n', ({ n }) => n)
        .to(table('both', (n, id) => ({ id, n })))
    `)
    expect((await show('both')).sources).toEqual(['left', 'right'])
    const expected = new Map<string, number>()
    const keyed = (sign: number, from: number) =>
      Array.from({ length: 300 }, (_, i) => {
        const key = `k${(from + i * 7) % 31}`
        expected.set(key, (expected.get(key) ?? 0) + sign * (from + i))
        return { key, value: from + i }
      })
    for (let round = 0; round < 4; round++) {
      await append('left', keyed(1, round * 1000))
      await append('right', keyed(-1, round * 500))
      if (round === 1) {
        await split('right')
        await daemon.kill()
        await start()
      }
    }
    await caughtUp('pipeline:both')
    await caughtUp('pipeline:both:right')
    expect(Object.fromEntries((await rows('both')).map((row) => [row.id!.S, Number(row.n!.N)]))).toEqual(
      Object.fromEntries(expected),
    )
    await remove('both')
    const { groups } = await daemon.v1<{ groups: { name: string }[] }>('GET', 'groups')
    expect(groups.filter(({ name }) => name.startsWith('pipeline:both'))).toEqual([])
  })
})

describe('a stream in between', () => {
  it('is written and read by one pipeline, each record once, over a kill', async () => {
    for (const name of ['words', 'letters', 'refused']) await daemon.v1('POST', 'streams', { name, shards: 2 })
    await table('letterCounts')
    await deploy(`
      const [words, refused] = pipeline('words')
        .from(stream<string>('words'))
        .branch((record) => record.value !== '')
      export default [
        words
          .flatMap((record) => [...record.value])
          .through('letters', (letter) => ({ key: letter, value: letter }))
          .keyByPartition()
          .count('letters')
          .to(table('letterCounts', (n, { key }) => ({ id: key, n }))),
        refused.to(stream('refused', (record) => ({ key: record.key, value: record.key }))),
      ]
    `)
    const expected = new Map<string, number>()
    for (let round = 0; round < 4; round++) {
      const records = Array.from({ length: 50 }, (_, i) => {
        const value = i % 10 === 0 ? '' : 'stream'.slice(0, i % 7)
        for (const letter of value) expected.set(letter, (expected.get(letter) ?? 0) + 1)
        return { key: `k${round} ${i}`, value }
      })
      await append('words', records)
      if (round !== 1) continue
      await daemon.kill()
      await start()
    }
    await caughtUp('pipeline:words')
    await caughtUp('pipeline:words:letters')
    expect(Object.fromEntries((await rows('letterCounts')).map((row) => [row.id!.S, Number(row.n!.N)]))).toEqual(
      Object.fromEntries(expected),
    )
    // Words of which the record has none are refused too: an empty slice.
    const empty = Array.from({ length: 4 }, (_, round) =>
      Array.from({ length: 50 }, (_each, i) => i)
        .filter((i) => i % 10 === 0 || i % 7 === 0)
        .map((i) => `k${round} ${i}`),
    ).flat()
    expect(((await recordsOf('refused')) as string[]).sort()).toEqual(empty.sort())
    await remove('words')
  })
})
