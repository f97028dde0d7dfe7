import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Family } from '../../src/commit/index.js'
import { decodePipeline, rowsOfState } from '../../src/pipelines/rows.js'
import { lifePoints } from '../../src/runtime/index.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { openStore } from '../faults/open-store.js'
import { temporaryFolder } from '../temporary-folder.js'

// kill -9 in the midst of a redeploy and of a delete: the older or the newer is there, whole.

/** More than go in one commit when they are removed. */
const keys = 2500

interface View {
  readonly state: string
  readonly revision: number
}

/** A daemon with a pipeline that counts by keys and by hundreds. */
class Scene {
  readonly folder = temporaryFolder()
  readonly data = join(this.folder, 'data')
  readonly bundles: string[] = []
  daemon!: DaemonProcess
  total = 0

  async start(killAt?: string): Promise<void> {
    const env = {
      MILLRACE_WORKERS_THREADS: '2',
      MILLRACE_LOG_LEVEL: 'error',
      ...(killAt ? { MILLRACE_TEST_KILL_AT: killAt } : {}),
    }
    const daemon = await DaemonProcess.start({ data: this.data, env })
    this.daemon = daemon
    // A test that failed in its midst leaves none behind.
    onTestFinished(() => {
      daemon.child.kill('SIGKILL')
    })
  }

  async open(): Promise<void> {
    const source = (second: string) => `import { pipeline, stream, table } from 'millrace'
      const keyed = pipeline('p').from(stream<number>('in')).keyBy((record) => record.key)
      export default [keyed.count('perKey').to(stream('out', (n, key) => ({ key, value: [key, n] })))${second}]`
    for (const second of ['', `, keyed.count('dropped').to(stream('out', (n, key) => ({ key, value: 0 })))`]) {
      const path = join(this.folder, `module-${this.bundles.length}.ts`)
      writeFileSync(path, source(second))
      this.bundles.push(await bundleModule(path))
    }
    await this.start()
    await this.daemon.v1('POST', 'streams', { name: 'in', shards: 2 })
    await this.daemon.v1('POST', 'streams', { name: 'out', shards: 1 })
    await this.daemon.v1('POST', 'pipelines', { bundle: this.bundles[1] })
    await this.load()
    await this.caughtUp()
    expect(await this.daemon.stop()).toBe(0)
  }

  async load(): Promise<void> {
    const records = Array.from({ length: keys }, (_, i) => ({ key: `k${i}`, value: i }))
    await this.daemon.v1('POST', 'streams/in/records', { records })
    this.total++
  }

  caughtUp() {
    return expect
      .poll(async () => (await this.daemon.v1<{ lag: number }>('GET', 'groups/pipeline:p')).lag, { timeout: 60_000 })
      .toBe(0)
  }

  /** Every key was counted up by one as often as it was appended, each count sent once. */
  async check(): Promise<void> {
    const { shards } = await this.daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/out/shards')
    const records: { value: 0 | [string, number] }[] = []
    for (let from = 0; ; ) {
      const page = await this.daemon.v1<{ records: { value: 0 | [string, number] }[]; next: number }>(
        'GET',
        `streams/out/records?shard=${shards[0]!.id}${from ? `&from=${from}` : ''}&limit=10000`,
      )
      if (page.records.length === 0) break
      records.push(...page.records)
      from = page.next
    }
    const counts = records.flatMap(({ value }) => (value === 0 ? [] : [`${value[0]} ${value[1]}`]))
    const expected = Array.from({ length: keys }, (_, i) =>
      Array.from({ length: this.total }, (_, n) => `k${i} ${n + 1}`),
    ).flat()
    expect(counts.sort()).toEqual(expected.sort())
  }

  async rows(family: number): Promise<Buffer[]> {
    const { storage, close } = await openStore(this.data, join(this.folder, 'native'))
    try {
      const range = { gte: Buffer.from([family]), lt: Buffer.from([family + 1]) }
      return (await storage.page({ ...range, limit: 100_000, bytesMax: 1 << 28 })).keys
    } finally {
      await close()
    }
  }

  async stored(): Promise<ReturnType<typeof decodePipeline>> {
    const { storage, close } = await openStore(this.data, join(this.folder, 'native'))
    try {
      const range = { gte: Buffer.from([Family.pipeline]), lt: Buffer.from([Family.pipeline + 1]) }
      return decodePipeline((await storage.page({ ...range, limit: 1, bytesMax: 1 << 20 })).values[0]!)
    } finally {
      await close()
    }
  }
}

it.each(lifePoints)(
  'killed at %s of a redeploy: the older or the newer goes on, no effect is lost or repeated',
  {
    timeout: 120_000,
  },
  async (point) => {
    ensureBuilt()
    const scene = new Scene()
    await scene.open()
    await scene.start(`${point}:1`)
    await scene.load()
    await scene.daemon.v1('POST', 'pipelines', { bundle: scene.bundles[0] }).catch(() => {})
    await scene.daemon.exited
    expect(scene.daemon.child.signalCode).toBe('SIGKILL')
    await scene.start()
    const { revision } = await scene.daemon.v1<View>('GET', 'pipelines/p')
    expect(revision).toBe(point === 'pipeline:lastBarrier' || point === 'pipeline:redeploying' ? 1 : 2)
    // The request is sent again, as whoever got no answer does.
    expect(await scene.daemon.v1<View>('POST', 'pipelines', { bundle: scene.bundles[0] })).toMatchObject({
      revision: 2,
    })
    await scene.load()
    await scene.caughtUp()
    await scene.check()
    // What the dropped step left is removed beside everything else, and only then forgotten.
    for (;;) {
      expect(await scene.daemon.stop()).toBe(0)
      const { dropped } = await scene.stored()
      if (!dropped) break
      await scene.start()
    }
    const { id, states } = await scene.stored()
    expect(Object.keys(states)).toEqual(['perKey'])
    const kept = rowsOfState(Family.state, id, states.perKey!)
    const left = await scene.rows(Family.state)
    expect(left.length).toBe(keys)
    for (const key of left) expect(key.compare(kept.gte) >= 0 && key.compare(kept.lt) < 0).toBe(true)
    expect((await scene.rows(Family.module)).length).toBe(1)
  },
)

it('killed while its state is removed, a deleted pipeline goes at the next start, with all of it', {
  timeout: 120_000,
}, async () => {
  ensureBuilt()
  const scene = new Scene()
  await scene.open()
  await scene.start('pipeline:forgetting:2')
  await scene.daemon.v1('POST', 'pipelines/p/pause')
  await scene.daemon.v1('DELETE', 'pipelines/p').catch(() => {})
  await scene.daemon.exited
  expect(scene.daemon.child.signalCode).toBe('SIGKILL')
  await scene.start()
  expect(await scene.daemon.v1('GET', 'pipelines')).toEqual({ pipelines: [] })
  // The name is free at once.
  expect(await scene.daemon.v1('POST', 'pipelines', { bundle: scene.bundles[0] })).toMatchObject({ revision: 1 })
  await scene.daemon.v1('DELETE', 'pipelines/p')
  expect(await scene.daemon.stop()).toBe(0)
  for (const family of [Family.state, Family.pipeline, Family.module]) expect(await scene.rows(family)).toEqual([])
})
