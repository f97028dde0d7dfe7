import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

// Pause, resume and redeploy of pipelines in a daemon of its own, over kills.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '2',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_PIPELINES_ON_ERROR: 'stop',
  MILLRACE_PIPELINES_ATTEMPTS_MAX: '2',
  MILLRACE_PIPELINES_HANDOVER_BYTES: '4096',
  MILLRACE_PIPELINES_EPOCH_BYTES_MAX: '262144',
  MILLRACE_LOG_LEVEL: 'error',
}
let daemon: DaemonProcess

const start = async () => {
  daemon = await DaemonProcess.start({ data, env })
}
const killed = async () => {
  await daemon.kill()
  await start()
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
  readonly revision: number
  readonly attempts: number
  readonly watermark?: number
  readonly error?: { readonly message: string }
}

let number = 0
async function deploy(source: string): Promise<View> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, `import { file, pipeline, stream, table } from 'millrace'\n${source}`)
  return daemon.v1<View>('POST', 'pipelines', { bundle: await bundleModule(path) })
}
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const pause = (name: string) => daemon.v1<View>('POST', `pipelines/${name}/pause`)
const resume = (name: string) => daemon.v1<View>('POST', `pipelines/${name}/resume`)
const remove = (name: string) => daemon.v1('DELETE', `pipelines/${name}`)
const stream = (name: string, shards = 2) => daemon.v1('POST', 'streams', { name, shards })
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })
const lagOf = async (group: string) => (await daemon.v1<{ lag: number }>('GET', `groups/${group}`)).lag
const caughtUp = (group: string) => expect.poll(() => lagOf(group)).toBe(0)
const table = (TableName: string) =>
  daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })

/** An attribute of the items of a table, by their ids. */
async function numbersOf(TableName: string, attribute = 'n'): Promise<Record<string, number>> {
  const { Items } = await daemon.aws<{ Items: Record<string, Record<string, string>>[] }>('Scan', { TableName })
  return Object.fromEntries(Items.map((item) => [item.id!.S, Number(item[attribute]!.N)]))
}

async function valuesOf(name: string): Promise<unknown[]> {
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', `streams/${name}/shards`)
  const pages = shards.map(({ id }) =>
    daemon.v1<{ records: { value: unknown }[] }>('GET', `streams/${name}/records?shard=${id}&limit=100000`),
  )
  return (await Promise.all(pages)).flatMap(({ records }) => records.map(({ value }) => value))
}

/** Appends the next records with one key of seven each; says how many each key has had. */
class Load {
  readonly counts: Record<string, number> = {}
  total = 0
  readonly #stream: string

  constructor(name: string) {
    this.#stream = name
  }

  async more(many: number): Promise<void> {
    const records = Array.from({ length: many }, () => {
      const key = `k${this.total % 7}`
      this.counts[key] = (this.counts[key] ?? 0) + 1
      return { key, value: this.total++ }
    })
    await append(this.#stream, records)
  }
}

describe('pause and resume', () => {
  it('a paused pipeline has committed what it read, stands still over kills, and goes on without loss or repetition', async () => {
    await stream('p-in')
    await table('p-counts')
    await deploy(`export default pipeline('p').from(stream<number>('p-in')).to(file('p.ndjson', (record) => record.value))
      .keyBy((record) => record.key).count('perKey').to(table('p-counts', (n, id) => ({ id, n })))`)
    const load = new Load('p-in')
    await load.more(5000)
    expect((await pause('p')).state).toBe('paused')
    const stood = await lagOf('pipeline:p')
    const before = await numbersOf('p-counts')
    // Nothing that was read is left without its commit: another barrier would move the position.
    const linesBefore = readFileSync(join(data, 'files', 'p.ndjson'), 'utf8').split('\n').length - 1
    expect(Object.values(before).reduce((sum, n) => sum + n, 0)).toBe(linesBefore)
    await load.more(500)
    await killed()
    expect((await show('p')).state).toBe('paused')
    // Again is no change.
    expect((await pause('p')).state).toBe('paused')
    expect(await numbersOf('p-counts')).toEqual(before)
    expect(await lagOf('pipeline:p')).toBeGreaterThanOrEqual(stood + 500)
    expect(readFileSync(join(data, 'files', 'p.ndjson'), 'utf8').split('\n').length - 1).toBe(linesBefore)
    expect((await resume('p')).state).toMatch(/starting|running/)
    expect((await resume('p')).state).toMatch(/starting|running/)
    await load.more(500)
    await killed()
    await caughtUp('pipeline:p')
    expect(await numbersOf('p-counts')).toEqual(load.counts)
    const lines = readFileSync(join(data, 'files', 'p.ndjson'), 'utf8')
      .trim()
      .split('\n')
      .map(Number)
    expect(lines.sort((a, b) => a - b)).toEqual(Array.from({ length: 6000 }, (_, i) => i))
    await remove('p')
  })

  it('a failed pipeline is resumed, or takes a mended module, at the record that it could not take', async () => {
    await stream('f-in', 1)
    await table('f-counts')
    const source = (test: string) => `export default pipeline('f').from(stream<number>('f-in'))
      .map((record) => { ${test}; return record }).keyBy((record) => record.key)
      .count('perKey').to(table('f-counts', (n, id) => ({ id, n })))`
    await deploy(source(`if (record.value === 10) throw new Error('ten')`))
    const load = new Load('f-in')
    await load.more(30)
    await expect.poll(async () => (await show('f')).state).toBe('failed')
    await expect(pause('f')).rejects.toThrow('CONFLICT')
    await resume('f')
    await expect.poll(async () => (await show('f')).state).toBe('failed')
    expect((await show('f')).error?.message).toContain('ten')
    const mended = await deploy(source(''))
    expect(mended).toMatchObject({ revision: 2, attempts: 0 })
    expect(mended.error).toBeUndefined()
    await caughtUp('pipeline:f')
    expect(await numbersOf('f-counts')).toEqual(load.counts)
    await remove('f')
  })

  it('a paused pipeline is deleted, a deleted one cannot be paused', async () => {
    await stream('d-in', 1)
    await stream('d-out', 1)
    await deploy(
      `export default pipeline('d').from(stream('d-in')).to(stream('d-out', ({ key, value }) => ({ key, value })))`,
    )
    await pause('d')
    await remove('d')
    await expect(show('d')).rejects.toThrow('NOT_FOUND')
    await expect(pause('d')).rejects.toThrow('NOT_FOUND')
    await expect(resume('d')).rejects.toThrow('NOT_FOUND')
  })
})

describe('a newer module', () => {
  it('goes on with the state of steps of the same name; every effect is there once, over kills', async () => {
    await stream('r-in', 3)
    await stream('r-out', 1)
    await table('r-counts')
    const source = (before: string, kept: string, more: string) => `
      const start = pipeline('r').from(stream<number>('r-in'))${before}
      start.to(stream('r-out', ({ key, value }) => ({ key, value })))
      export default [
        start.to(stream('r-out', ({ key, value }) => ({ key, value }))),
        start.keyBy((record) => record.key)${kept}.count('perKey').to(table('r-counts', (n, id) => ({ id, n })))${more},
      ]`
    const versions = [
      source('', '', ''),
      source('.filter(() => true)', `.peek(() => {})`, ''),
      source(
        '',
        '',
        `.map((n, key) => ({ n, key })).keyBy(({ n }) => n % 3).count('updates').to(table('r-counts', (n, rest) => ({ id: 'rest' + rest, n })))`,
      ),
      source('.peek(() => {})', '', ''),
    ]
    const load = new Load('r-in')
    await deploy(versions[0]!)
    for (const [i, version] of versions.slice(1).entries()) {
      await load.more(700)
      const [view] = await Promise.all([deploy(version), load.more(700)])
      expect(view.revision).toBe(i + 2)
      if (i % 2 === 1) await killed()
      await load.more(100)
    }
    await caughtUp('pipeline:r')
    const found = await numbersOf('r-counts')
    expect(Object.fromEntries(Object.entries(found).filter(([id]) => id.startsWith('k')))).toEqual(load.counts)
    const values = (await valuesOf('r-out')) as number[]
    expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: load.total }, (_, i) => i))
    // What the third version began to count is gone with its step: under the same name it begins anew.
    await deploy(versions[2]!)
    await load.more(7)
    await caughtUp('pipeline:r')
    const rests = Object.entries(await numbersOf('r-counts')).filter(([id]) => id.startsWith('rest'))
    // Seven updates were counted; which of the three keys they went to follows from the counts.
    const updated = Object.values(load.counts).map((n) => n % 3)
    for (const [id, n] of rests)
      if (updated.includes(Number(id.slice(4))))
        expect(n).toBe(updated.filter((rest) => rest === Number(id.slice(4))).length)
    await remove('r')
  })

  it('of the same text is no change; a paused pipeline stays paused with the newer', async () => {
    await stream('s-in', 1)
    await table('s-counts')
    const source = (add: number) => `export default pipeline('s').from(stream<number>('s-in')).keyByPartition()
      .sum('perKey', () => ${add}).to(table('s-counts', (n, { key }) => ({ id: key, n })))`
    const path = join(folder, 's.ts')
    writeFileSync(path, `import { pipeline, stream, table } from 'millrace'\n${source(1)}`)
    const bundle = await bundleModule(path)
    await daemon.v1('POST', 'pipelines', { bundle })
    expect(await daemon.v1('POST', 'pipelines', { bundle })).toMatchObject({ revision: 1 })
    const load = new Load('s-in')
    await load.more(70)
    await caughtUp('pipeline:s')
    await pause('s')
    await load.more(70)
    expect(await deploy(source(100))).toMatchObject({ state: 'paused', revision: 2 })
    await killed()
    expect(await show('s')).toMatchObject({ state: 'paused', revision: 2 })
    await resume('s')
    await caughtUp('pipeline:s')
    expect(await numbersOf('s-counts')).toEqual(
      Object.fromEntries(Object.keys(load.counts).map((key) => [key, 10 + 10 * 100])),
    )
    await remove('s')
  })

  it('of a newer state version migrates the state of each key when it is read, also two versions later', async () => {
    await stream('m-in', 1)
    await table('m-counts')
    const source = (
      options: string,
      fold: string,
      n: string,
    ) => `export default pipeline('m').from(stream<number>('m-in'))
      .keyBy((record) => record.key).aggregate('state', () => (${options ? '{ n: 0 }' : '0'}) as any, ${fold}${options})
      .to(table('m-counts', (state, id) => ({ id, n: ${n} })))`
    await deploy(source('', '(n) => n + 1', 'state'))
    const load = new Load('m-in')
    await load.more(70)
    await caughtUp('pipeline:m')
    await expect(deploy(source(', { version: 2 }', '(s) => ({ n: s.n + 1 })', 'state.n'))).rejects.toThrow('migrate')
    expect(await show('m')).toMatchObject({ revision: 1, state: 'running' })
    const migrate = '(state: any, from: number) => ({ n: from === 1 ? state : state.n })'
    await deploy(source(`, { version: 2, migrate: ${migrate} }`, '(s) => ({ n: s.n + 1 })', 'state.n'))
    // Only some keys are written by the second version.
    await load.more(3)
    await caughtUp('pipeline:m')
    await expect(deploy(source('', '(n) => n + 1', 'state'))).rejects.toThrow('version 2')
    await deploy(source(`, { version: 3, migrate: ${migrate} }`, '(s) => ({ n: s.n + 1 })', 'state.n'))
    await load.more(70)
    await killed()
    await caughtUp('pipeline:m')
    expect(await numbersOf('m-counts')).toEqual(load.counts)
    expect(await show('m')).toMatchObject({ revision: 3, attempts: 0 })
    await remove('m')
  })

  it('that would find its state under other keys, or reads another source, is refused; the older goes on', async () => {
    await stream('k-in', 1)
    await stream('k-other', 1)
    await table('k-counts')
    const source = (
      from: string,
      key: string,
      name = 'perKey',
    ) => `export default pipeline('k').from(stream<number>('${from}'))
      ${key}.count('${name}').to(table('k-counts', (n, key: any) => ({ id: key.key ?? key, n })))`
    const keyBy = '.keyBy((record) => record.key)'
    await deploy(source('k-in', keyBy))
    const load = new Load('k-in')
    await load.more(70)
    await expect(deploy(source('k-in', '.keyByPartition()'))).rejects.toThrow(/perKey.*keyBy.*partition key/)
    await expect(deploy(source('k-other', keyBy))).rejects.toThrow(/stream k-in.*reads no more/)
    await load.more(70)
    await caughtUp('pipeline:k')
    expect(await numbersOf('k-counts')).toEqual(load.counts)
    // Under another name it may: it begins anew, at the place where the older one stood.
    await deploy(source('k-in', '.keyByPartition()', 'anew'))
    await load.more(7)
    await caughtUp('pipeline:k')
    expect(await numbersOf('k-counts')).toEqual(Object.fromEntries(Object.keys(load.counts).map((key) => [key, 1])))
    // Nothing goes on with what the first source gave: its group goes, the other's begins.
    await deploy(source('k-other', keyBy, 'other'))
    await expect
      .poll(async () =>
        (await daemon.v1<{ groups: { name: string }[] }>('GET', 'groups')).groups
          .filter(({ name }) => name.startsWith('pipeline:k'))
          .map(({ name }) => name),
      )
      .toEqual(['pipeline:k:k-other'])
    await append('k-other', [{ key: 'x', value: 1 }])
    await caughtUp('pipeline:k:k-other')
    expect((await numbersOf('k-counts')).x).toBe(1)
    await remove('k')
  })

  it('with a further source goes on with its state; event time and timers go on where other steps come before', async () => {
    await stream('t-in', 1)
    await stream('t-more', 1)
    await table('t-closed')
    const source = (extra: string, merge: string) => `
      const start = pipeline('t')
      export default start.from(stream<number>('t-in'))${extra}.map((record) => ({ key: record.key, at: record.value }))${merge}
        .eventTime(({ at }) => at)
        .keyBy(({ key }) => key)
        .process('closing', {
          emits: undefined as any,
          onRow: ({ at }: any, context: any) => context.setTimer(at + 100),
          onTimer: (timer: any, context: any) => context.emit({ time: timer.time }),
        } as any)
        .count('fired')
        .to(table('t-closed', (n, id) => ({ id: String(id), n })))`
    await deploy(source('', ''))
    const at = (...times: number[]) => times.map((value) => ({ key: 'k', value }))
    await append('t-in', at(1000, 1010, 1020))
    await caughtUp('pipeline:t')
    await deploy(source('.filter(() => true).peek(() => {})', ''))
    await killed()
    // 1000 and 1010 are due at 1100 and 1110; 1020 is not.
    await append('t-in', at(1115))
    await caughtUp('pipeline:t')
    await expect.poll(async () => (await numbersOf('t-closed')).k).toBe(2)
    await deploy(
      source(
        '',
        `.merge(start.from(stream<number>('t-more')).map((record) => ({ key: record.key, at: record.value })))`,
      ),
    )
    // The further source holds event time back until it gives something.
    await append('t-in', at(2000))
    await caughtUp('pipeline:t')
    await append('t-more', at(2000))
    await caughtUp('pipeline:t:t-more')
    await expect.poll(async () => (await numbersOf('t-closed')).k).toBe(4)
    await remove('t')
  })
})
