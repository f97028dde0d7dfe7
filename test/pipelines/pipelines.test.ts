import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  // Here a pipeline stops at what it cannot take; parked.test.ts has the other way.
  MILLRACE_PIPELINES_ON_ERROR: 'stop',
  MILLRACE_PIPELINES_STEP_TIMEOUT_MS: '2000',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
  // Far above the other, also where a machine is slow: a loop must be seen as one (barrier-timeout.test.ts has this bound).
  MILLRACE_PIPELINES_BARRIER_TIMEOUT_MS: '60000',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_LOG_LEVEL: 'error',
}
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data, env })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly name: string
  readonly state: string
  readonly attempts: number
  readonly error?: {
    readonly code: string
    readonly message: string
    readonly stack?: string
    readonly step?: number
    readonly sequence?: number
  }
}

let number = 0
async function bundle(source: string, file = join(folder, `module-${number++}.ts`)): Promise<string> {
  writeFileSync(file, source)
  return bundleModule(file)
}

async function deploy(source: string, file?: string): Promise<View> {
  return daemon.v1<View>('POST', 'pipelines', { bundle: await bundle(source, file) })
}

/** Waits for what must come; the test's own time-out ends a wait for what never does. */
async function until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const caughtUp = (name: string) =>
  until(async () => (await daemon.v1<{ lag: number }>('GET', `groups/pipeline:${name}`)).lag === 0)
const stream = (name: string, shards = 1) => daemon.v1('POST', 'streams', { name, shards })
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })

async function table(TableName: string, hash = 'id', type = 'S'): Promise<void> {
  await daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: hash, AttributeType: type }],
    KeySchema: [{ AttributeName: hash, KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
}

async function rows(TableName: string): Promise<Record<string, Record<string, string>>[]> {
  return (await daemon.aws<{ Items: Record<string, Record<string, string>>[] }>('Scan', { TableName })).Items
}

async function recordsOf(name: string): Promise<{ key: string; value: unknown }[]> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
  const all: { key: string; value: unknown }[] = []
  for (const { id } of shards)
    all.push(
      ...(
        await daemon.v1<{ records: { key: string; value: unknown }[] }>(
          'GET',
          `streams/${name}/records?shard=${id}&limit=10000`,
        )
      ).records,
    )
  return all
}

describe('pipelines', () => {
  it('filter, map, flatMap, keyed state and every sink give what a plain recomputation gives, over splits, merges and kills', async () => {
    await stream('clicks', 2)
    await stream('halves')
    await table('totals', 'user')
    await deploy(`
      import { file, pipeline, stream, table } from 'millrace'
      type Click = { n: number }
      export default pipeline('clicks')
        .from(stream<Click>('clicks'))
        .filter(async (record) => record.value.n % 3 !== 0)
        .flatMap((record) => (record.value.n % 2 === 0 ? [record.value.n, record.value.n / 2] : [record.value.n]))
        .to(file('clicks.ndjson', (n) => ({ n })))
        .map((n) => ({ n }))
        .keyByPartition()
        .to(stream('halves', (value, key) => ({ key: key.key, value: value.n })))
        .aggregate('sums', () => ({ count: 0, sum: 0, order: '' }), async (state, { n }) => ({ count: state.count + 1, sum: state.sum + n, order: state.order + n + ' ' }))
        .to(table('totals', (state, key) => ({ user: key.key, ...state })))
    `)
    const expected = new Map<string, { count: number; sum: number; order: string }>()
    const values: number[] = []
    let n = 0
    for (let round = 0; round < 12; round++) {
      const records = Array.from({ length: 200 }, () => ({ key: `user ${(n * 7) % 23}`, value: { n: n++ } }))
      await append('clicks', records)
      for (const { key, value } of records) {
        if (value.n % 3 === 0) continue
        for (const each of value.n % 2 === 0 ? [value.n, value.n / 2] : [value.n]) {
          const total = expected.get(key) ?? { count: 0, sum: 0, order: '' }
          expected.set(key, { count: total.count + 1, sum: total.sum + each, order: `${total.order}${each} ` })
          values.push(each)
        }
      }
      if (round % 4 === 1) {
        const { shards } = await daemon.v1<{ shards: { id: number; state: string }[] }>('GET', 'streams/clicks/shards')
        await daemon.v1('POST', `streams/clicks/shards/${shards.find((shard) => shard.state === 'open')!.id}/split`, {})
      }
      if (round % 4 === 3) {
        // A child with two parents that the pipeline may not have read to their ends yet.
        const { shards } = await daemon.v1<{ shards: { id: number; state: string; low: string }[] }>(
          'GET',
          'streams/clicks/shards',
        )
        const open = shards.filter(({ state }) => state === 'open').sort((a, b) => (a.low < b.low ? -1 : 1))
        await daemon.v1('POST', 'streams/clicks/shards/merge', { left: open[0]!.id, right: open[1]!.id })
      }
      if (round % 3 === 2) {
        await daemon.kill()
        daemon = await DaemonProcess.start({ data, env })
      }
    }
    await caughtUp('clicks')
    const found = Object.fromEntries(
      (await rows('totals')).map((row) => [
        row.user!.S,
        { count: Number(row.count!.N), sum: Number(row.sum!.N), order: row.order!.S },
      ]),
    )
    expect(found).toEqual(Object.fromEntries(expected))
    const sorted = (list: number[]) => [...list].sort((a, b) => a - b)
    const lines = readFileSync(join(data, 'files', 'clicks.ndjson'), 'utf8')
      .trim()
      .split('\n')
    expect(sorted(lines.map((line) => (JSON.parse(line) as { n: number }).n))).toEqual(sorted(values))
    expect(sorted((await recordsOf('halves')).map((record) => record.value as number))).toEqual(sorted(values))
  })

  it('follow a table: inserts count up, deletes count down, images are plain values', async () => {
    await daemon.aws('CreateTable', {
      TableName: 'todoListTask',
      AttributeDefinitions: [
        { AttributeName: 'ListId', AttributeType: 'N' },
        { AttributeName: 'TaskId', AttributeType: 'S' },
      ],
      KeySchema: [
        { AttributeName: 'ListId', KeyType: 'HASH' },
        { AttributeName: 'TaskId', KeyType: 'RANGE' },
      ],
      BillingMode: 'PAY_PER_REQUEST',
    })
    await table('todoTaskCount', 'ListId', 'N')
    await table('longest', 'ListId', 'N')
    await deploy(readFileSync('examples/todo/pipeline.ts', 'utf8'))
    await deploy(`
      import { pipeline, table } from 'millrace'
      export default pipeline('longest')
        .from(table<{ TaskId: string, hours: number }>('todoListTask'))
        .filter((change) => change.type !== 'remove')
        .map((change) => change.new!)
        .keyByPartition()
        .reduce('longest', (a, b) => (b.hours > a.hours ? b : a))
        .to(table('longest', (item, key) => ({ ListId: key.ListId, task: item.TaskId, hours: item.hours })))
    `)
    const Key = (list: number, task: string) => ({ ListId: { N: String(list) }, TaskId: { S: task } })
    for (let i = 0; i < 60; i++) {
      await daemon.aws('PutItem', {
        TableName: 'todoListTask',
        Item: { ...Key(i % 3, `task ${i}`), hours: { N: String((i * 37) % 50) } },
      })
      if (i % 5 === 0) await daemon.aws('DeleteItem', { TableName: 'todoListTask', Key: Key(i % 3, `task ${i}`) })
      if (i % 7 === 0)
        await daemon.aws('PutItem', {
          TableName: 'todoListTask',
          Item: { ...Key(i % 3, `task ${i}`), hours: { N: '1' } },
        })
    }
    await caughtUp('todoTaskCount')
    await caughtUp('longest')
    const items = await rows('todoListTask')
    const counts = Object.fromEntries(
      [0, 1, 2].map((list) => [list, items.filter((item) => item.ListId!.N === String(list)).length]),
    )
    expect(
      Object.fromEntries((await rows('todoTaskCount')).map((row) => [row.ListId!.N, Number(row.TaskCount!.N)])),
    ).toEqual(counts)
    for (const row of await rows('longest')) {
      const most = Math.max(
        ...Array.from({ length: 60 }, (_, i) => i)
          .filter((i) => String(i % 3) === row.ListId!.N)
          .map((i) => (i * 37) % 50),
      )
      expect(Number(row.hours!.N)).toBe(most)
    }
    // A deleted table ends what reads it, once all of it was delivered.
    await daemon.aws('DeleteTable', { TableName: 'todoListTask' })
    await until(async () => (await show('longest')).state === 'sourceDeleted')
    await daemon.v1('DELETE', 'pipelines/longest')
    await daemon.v1('DELETE', 'pipelines/todoTaskCount')
  })
})

describe('a pipeline that fails', () => {
  const bystander = `
    import { pipeline, stream, table } from 'millrace'
    export default pipeline('bystander').from(stream('numbers')).keyByPartition().count('n').to(table('counts', (n, key) => ({ id: key.key, n })))
  `
  const victim = (name: string, body: string) => `
    import { file, pipeline, stream } from 'millrace'
    export default pipeline('${name}').from(stream<number>('numbers')).map((record) => { if (record.value === 13) { ${body} } return record.value }).to(file('${name}.ndjson'))
  `

  it.each([
    ['throws', 'throw new Error("thirteen")', 'PIPELINE_FAILED', 'thirteen'],
    ['loops', 'for (;;) {}', 'STEP_TIMEOUT', 'stepTimeoutMs'],
    ['exits', 'process.exit(3)', 'PIPELINE_FAILED', 'process.exit(3)'],
    ['returns nothing serialisable', 'return () => 1', 'PIPELINE_FAILED', 'JSON'],
  ])('because it %s is retried, then stopped before the record; the others go on', async (how, body, code, says) => {
    const name = `victim-${how.replace(/\W/g, '-')}`
    if (how === 'throws') {
      await stream('numbers')
      await table('counts')
      await deploy(bystander)
    }
    await deploy(victim(name, body))
    await append(
      'numbers',
      Array.from({ length: 20 }, (_, i) => ({ key: `k${i % 4}`, value: i })),
    )
    const failed = await until(async () => {
      const view = await show(name)
      return view.state === 'failed' && view
    })
    expect(failed.error!.code).toBe(code)
    expect(failed.error!.message).toContain(says)
    if (how === 'throws') {
      expect(failed.error!.stack).toContain('module')
      expect(failed.error!.step).toBe(0)
    }
    // Its position is before the record: nothing from it on has been delivered, and nothing before it twice.
    const { positions } = await daemon.v1<{ positions: { next: number }[] }>('GET', `groups/pipeline:${name}`)
    if (failed.error!.sequence !== undefined) expect(positions[0]!.next).toBeLessThanOrEqual(failed.error!.sequence)
    await caughtUp('bystander')
    // Where it shared the thread it began again, without an attempt counted against it.
    const other = await until(async () => {
      const view = await show('bystander')
      return view.state === 'running' && view
    })
    expect(other.attempts).toBe(0)
    const total = (await rows('counts')).reduce((sum, row) => sum + Number(row.n!.N), 0)
    expect(total % 20).toBe(0)
    expect(total).toBeGreaterThan(0)
    await daemon.v1('DELETE', `pipelines/${name}`)
  })

  it('stays failed over a restart, and a file that was changed behind its back stops it', async () => {
    await stream('lines')
    await deploy(
      `import { file, pipeline, stream } from 'millrace'\nexport default pipeline('lines').from(stream('lines')).map((record) => record.value).to(file('lines.ndjson'))`,
    )
    await append('lines', [{ key: 'a', value: 'first' }])
    await caughtUp('lines')
    await daemon.kill()
    writeFileSync(join(data, 'files', 'lines.ndjson'), 'other\n')
    daemon = await DaemonProcess.start({ data, env })
    const failed = await until(async () => {
      const view = await show('lines')
      return view.state === 'failed' && view
    })
    expect(failed.error!.code).toBe('SINK_FILE_CHANGED')
    await daemon.kill()
    daemon = await DaemonProcess.start({ data, env })
    // The kill may have come before the failure was durable: then it fails again.
    await until(async () => (await show('lines')).state === 'failed')
    expect((await show('lines')).error!.code).toBe('SINK_FILE_CHANGED')
  })
})

describe('a module', () => {
  it.each([
    ['that does not compile', 'export default pipeline(', 'MODULE_INVALID'],
    ['that imports what is not there', "import x from './nowhere.js'\nexport default x", 'MODULE_INVALID'],
  ])('%s is refused with its place', async (_how, source, code) => {
    await expect(bundle(source)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/module-\d+\.ts:\d+:\d+/),
    })
  })

  const head = "import { file, pipeline, stream, table } from 'millrace'\n"
  it.each([
    ['exports nothing', 'export const x = 1', 'PIPELINE_INVALID', 'exports no pipeline'],
    ['throws when it is loaded', 'throw new Error("at once")', 'MODULE_INVALID', 'at once'],
    ['never ends loading', 'for (;;) {}', 'MODULE_INVALID', 'stepTimeoutMs'],
    ['exits when it is loaded', 'process.exit(1)', 'MODULE_INVALID', 'process.exit'],
    [
      'has no sink',
      `${head}export default pipeline('p').from(stream('numbers')).map((r) => r)`,
      'PIPELINE_INVALID',
      'no sink',
    ],
    [
      'names two states alike',
      `${head}export default pipeline('p').from(stream('numbers')).keyByPartition().count('a').count('a').to(file('x'))`,
      'PIPELINE_INVALID',
      'the name a',
    ],
    [
      'reads what is not there',
      `${head}export default pipeline('p').from(table('nowhere')).to(file('x'))`,
      'NOT_FOUND',
      'nowhere',
    ],
    [
      'writes outside of its folder',
      `${head}export default pipeline('p').from(stream('numbers')).to(file('../../x'))`,
      'PIPELINE_INVALID',
      'outside',
    ],
    [
      'has a bad name',
      `${head}export default pipeline('a b').from(stream('numbers')).to(file('x'))`,
      'PIPELINE_INVALID',
      'no name',
    ],
    [
      'takes a file that another has',
      `${head}export default pipeline('p').from(stream('numbers')).to(file('clicks.ndjson'))`,
      'SINK_FILE_TAKEN',
      'clicks',
    ],
  ])('that %s is refused, and nothing is left behind', async (_how, source, code, says) => {
    await expect(deploy(source)).rejects.toThrow(new RegExp(`"code":"${code}".*${says}|${says}.*"code":"${code}"`))
    await expect(show('p')).rejects.toThrow('NOT_FOUND')
  })

  it('is deployed once: the same again changes nothing, another under its name takes its place', async () => {
    const source = `${head}export default pipeline('once').from(stream('numbers')).to(file('once.ndjson'))`
    const file = join(folder, 'once.ts')
    await deploy(source, file)
    expect((await deploy(source, file)).name).toBe('once')
    expect(await deploy(source, file)).toMatchObject({ revision: 1 })
    expect(await deploy(source.replace('once.ndjson', 'other.ndjson'), file)).toMatchObject({ revision: 2 })
  })
})
