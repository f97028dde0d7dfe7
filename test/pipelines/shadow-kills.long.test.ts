import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { Family } from '../../src/commit/index.js'
import { shadowPoints } from '../../src/runtime/index.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { openStore } from '../faults/open-store.js'
import { temporaryFolder } from '../temporary-folder.js'

// kill -9 at each durable step of a shadow and its swap: either pipeline is there, whole, and what is begun goes on.

/** More items than go in one commit when the real table takes them. */
const keys = 300
/** How often each step is met alone, beside the once that all of them are met one after the other. */
const rounds = process.env.MILLRACE_LONG ? 10 : 0

interface View {
  readonly name: string
  readonly state: string
  readonly revision: number
  readonly takeOver?: object
}

/** A daemon with one pipeline, which its shadows replace one after the other. */
class Scene {
  readonly folder = temporaryFolder()
  readonly data = join(this.folder, 'data')
  daemon!: DaemonProcess
  appended = 0
  version = 0

  async start(killAt?: string): Promise<void> {
    const env = {
      MILLRACE_WORKERS_THREADS: '2',
      MILLRACE_LOG_LEVEL: 'error',
      MILLRACE_PIPELINES_RETRY_MS: '20',
      ...(killAt ? { MILLRACE_TEST_KILL_AT: killAt } : {}),
    }
    this.daemon = await DaemonProcess.start({ data: this.data, env })
  }

  /** Each version sums otherwise, and has an item that no other one has. */
  async bundle(version: number): Promise<string> {
    const path = join(this.folder, `module-${version}.ts`)
    writeFileSync(
      path,
      `import { file, pipeline, stream, table } from 'millrace'
      const start = pipeline('p').from(stream<number>('in'))
      export default [
        start.to(stream('out', ({ key, value }) => ({ key, value }))),
        start.to(file('out.ndjson', ({ value }) => value)),
        start.keyBy((record) => (record.value === 0 ? 'version${version}' : record.key))
          .sum('sums', (record) => record.value * ${version} + 1).to(table('sums', (n, id) => ({ id, n }))),
      ]`,
    )
    return bundleModule(path)
  }

  async open(): Promise<void> {
    await this.start()
    await this.daemon.v1('POST', 'streams', { name: 'in', shards: 2 })
    await this.daemon.v1('POST', 'streams', { name: 'out', shards: 1 })
    await this.daemon.aws('CreateTable', {
      TableName: 'sums',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    await this.daemon.v1('POST', 'pipelines', { bundle: await this.bundle(0) })
    await this.load()
    await this.caughtUp('p')
  }

  async load(): Promise<void> {
    const records = Array.from({ length: keys }, (_, i) => ({ key: `k${i}`, value: this.appended + i }))
    this.appended += keys
    await this.daemon.v1('POST', 'streams/in/records', { records })
  }

  caughtUp(name: string) {
    return expect
      .poll(async () => (await this.daemon.v1<{ lag: number }>('GET', `groups/pipeline:${name}`)).lag, {
        timeout: 60_000,
      })
      .toBe(0)
  }

  async pipelines(): Promise<string[]> {
    const { pipelines } = await this.daemon.v1<{ pipelines: View[] }>('GET', 'pipelines')
    return pipelines.map(({ name }) => name).sort()
  }

  show = (name: string) => this.daemon.v1<View>('GET', `pipelines/${name}`)

  settled() {
    return expect
      .poll(async () => (await this.show('p')).takeOver ?? (await this.show('p')).state, { timeout: 60_000 })
      .toBe('running')
  }

  async items(): Promise<Record<string, number>> {
    const { Items } = await this.daemon.aws<{ Items: { id: { S: string }; n: { N: string } }[] }>('Scan', {
      TableName: 'sums',
    })
    return Object.fromEntries(Items.map(({ id, n }) => [id.S, Number(n.N)]))
  }

  expected(version: number): Record<string, number> {
    const sums: Record<string, number> = {}
    for (let value = 0; value < this.appended; value++) {
      const key = value === 0 ? `version${version}` : `k${value % keys}`
      sums[key] = (sums[key] ?? 0) + value * version + 1
    }
    return sums
  }

  /** What the stream and the file hold: each record once, whichever version wrote it. */
  async check(version: number): Promise<void> {
    expect(await this.items()).toEqual(this.expected(version))
    const { shards } = await this.daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/out/shards')
    const { records } = await this.daemon.v1<{ records: { value: number }[] }>(
      'GET',
      `streams/out/records?shard=${shards[0]!.id}&limit=100000`,
    )
    const all = Array.from({ length: this.appended }, (_, i) => i)
    expect(records.map(({ value }) => value).sort((a, b) => a - b)).toEqual(all)
    expect(await this.pipelines()).toEqual(['p'])
    const { TableNames } = await this.daemon.aws<{ TableNames: string[] }>('ListTables', {})
    expect(TableNames).toEqual(['sums'])
    const { streams } = await this.daemon.v1<{ streams: { name: string; closedAt?: number }[] }>('GET', 'streams')
    expect(streams.flatMap(({ name, closedAt }) => (closedAt === undefined ? [name] : [])).sort()).toEqual([
      'in',
      'out',
    ])
  }

  /** Starts a daemon that does something and is killed by itself at a point, maybe before it is ready. */
  async dies(point: string, act: () => Promise<unknown>): Promise<void> {
    let exited = false
    await this.start(`${point}:1`).catch(() => {
      exited = true
    })
    if (exited) return
    await act().catch(() => {})
    await this.daemon.exited
    expect(this.daemon.child.signalCode).toBe('SIGKILL')
  }

  /** One shadow and its swap, killed at every step of it, one after the other. */
  async replaceOverAll(): Promise<void> {
    const version = ++this.version
    const bundle = await this.bundle(version)
    expect(await this.daemon.stop()).toBe(0)
    await this.dies('pipeline:shadowed', () => this.daemon.v1('POST', 'pipelines', { bundle, shadow: true }))
    const swap = () => this.daemon.v1('POST', 'pipelines/p/swap', {})
    await this.dies('pipeline:swapping', async () => {
      await this.load()
      await this.caughtUp('p.shadow')
      await swap()
    })
    await this.dies('pipeline:swapped', async () => {
      expect(await this.pipelines()).toEqual(['p', 'p.shadow'])
      expect(await this.show('p')).toMatchObject({ revision: 1 })
      await this.caughtUp('p.shadow')
      await swap()
    })
    // What is left goes on by itself.
    for (const point of shadowPoints.slice(shadowPoints.indexOf('pipeline:taking')))
      await this.dies(point, () => this.settled())
    await this.start()
    await this.settled()
    expect(await this.show('p')).toMatchObject({ revision: 2 })
    await this.load()
    await this.caughtUp('p')
    await this.check(version)
  }

  /** Deploys the next version as a shadow and swaps it, and is killed on the way; then all is asked for again. */
  async replace(point: string, at: number): Promise<void> {
    const version = ++this.version
    const bundle = await this.bundle(version)
    const { revision } = await this.show('p')
    expect(await this.daemon.stop()).toBe(0)
    await this.start(`${point}:${at}`)
    const ask = async () => {
      await this.daemon.v1('POST', 'pipelines', { bundle, shadow: true })
      await this.load()
      await this.caughtUp('p.shadow')
      await this.daemon.v1('POST', 'pipelines/p/swap', {})
      await this.settled()
    }
    const loads = this.appended
    await ask().catch(() => {})
    await this.daemon.exited
    expect(this.daemon.child.signalCode).toBe('SIGKILL')
    await this.start()
    const isBefore = point === 'pipeline:shadowed' || point === 'pipeline:swapping'
    expect(await this.show('p')).toMatchObject({ revision: isBefore ? revision : revision + 1 })
    expect(await this.pipelines()).toEqual(isBefore ? ['p', 'p.shadow'] : ['p'])
    if (this.appended === loads) await this.load()
    if (isBefore) {
      await this.caughtUp('p.shadow')
      await this.daemon.v1('POST', 'pipelines/p/swap', {})
    }
    await this.load()
    await this.settled()
    await this.caughtUp('p')
    expect(await this.show('p')).toMatchObject({ revision: revision + 1 })
    await this.check(version)
  }
}

let scene: Scene | undefined
afterEach(() => scene?.daemon.child.kill('SIGKILL'))

it('killed at each step of a shadow and its swap: one of the two goes on, no effect is lost or repeated', {
  timeout: 600_000 * (1 + rounds),
}, async () => {
  ensureBuilt()
  scene = new Scene()
  await scene.open()
  await scene.replaceOverAll()
  for (let round = 1; round <= rounds; round++)
    for (const point of shadowPoints) {
      // The commits of the items are several, and so are the targets; the others are passed once.
      const isMany = point === 'pipeline:taking' || point === 'pipeline:dropped'
      await scene.replace(point, isMany ? 1 + (round % 2) : 1)
    }
  expect(await scene.daemon.stop()).toBe(0)
  const { storage, close } = await openStore(scene.data, join(scene.folder, 'native'))
  try {
    const count = async (family: number) => {
      const range = { gte: Buffer.from([family]), lt: Buffer.from([family + 1]), limit: 100_000, bytesMax: 1 << 28 }
      return (await storage.page(range)).keys.length
    }
    // Of all that were there before nothing is left.
    expect(await count(Family.pipeline)).toBe(1)
    expect(await count(Family.module)).toBe(1)
    expect(await count(Family.sinkFile)).toBe(1)
    expect(await count(Family.group)).toBe(1)
    expect(await count(Family.state)).toBe(keys + 1)
  } finally {
    await close()
  }
})
