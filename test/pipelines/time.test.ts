import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

// Event time, timers and processing time in the daemon: what fires, fires once, whatever is killed.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '2',
  MILLRACE_PIPELINES_HANDOVER_BYTES: '4096',
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

async function deploy(name: string, source: string): Promise<void> {
  const path = join(folder, `${name}.ts`)
  writeFileSync(path, `import { mapState, pipeline, stream, valueState, typed } from 'millrace'\n${source}`)
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
}

const stream = (name: string, shards: number) => daemon.v1('POST', 'streams', { name, shards })
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })
const caughtUp = (name: string) =>
  expect.poll(async () => (await daemon.v1<{ lag: number }>('GET', `groups/pipeline:${name}`)).lag).toBe(0)

interface OfShard {
  readonly id: number
  readonly state: string
  readonly low: string
}

async function shardsOf(name: string): Promise<OfShard[]> {
  return (await daemon.v1<{ shards: OfShard[] }>('GET', `streams/${name}/shards`)).shards
}

async function valuesOf<Value>(name: string): Promise<Value[]> {
  const pages = (await shardsOf(name)).map(({ id }) =>
    daemon.v1<{ records: { value: Value }[] }>('GET', `streams/${name}/records?shard=${id}&limit=100000`),
  )
  return (await Promise.all(pages)).flatMap(({ records }) => records.map(({ value }) => value))
}

it('timers of event time fire once each, with everything before them, over keyBy, splits, merges and kills', async () => {
  await stream('ticks', 3)
  await stream('buckets', 1)
  await deploy(
    'buckets',
    `
    type Tick = { user: string; t: number }
    export default pipeline('buckets')
      .from(stream<Tick>('ticks'))
      .eventTime((record) => record.value.t, { outOfOrder: 300, idleAfter: '1h' })
      .keyBy((record) => record.value.user)
      .process('bucket', {
        state: { counts: mapState<number, number>() },
        emits: typed<{ user: string; start: number; n: number }>(),
        onRow({ value }, context) {
          const bucket = Math.floor(value.t / 1000) * 1000
          context.state.counts.set(bucket, (context.state.counts.get(bucket) ?? 0) + 1)
          context.setTimer(bucket + 999, bucket)
        },
        onTimer({ tag }, context) {
          const bucket = tag as number
          context.emit({ user: context.key, start: bucket, n: context.state.counts.get(bucket)! })
          context.state.counts.delete(bucket)
        },
      })
      .filter(({ user }) => !user.startsWith('end'))
      .to(stream('buckets', (value) => ({ key: value.user, value })))
  `,
  )
  const expected = new Map<string, number>()
  let seed = 1
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  let clock = 1_000_000
  for (let round = 0; round < 8; round++) {
    const records = Array.from({ length: 300 }, () => {
      clock += 7
      // Each shard sees its values out of order, though by less than it may.
      const value = { user: `u${random(20)}`, t: clock - random(290) }
      const name = `${value.user} ${Math.floor(value.t / 1000) * 1000}`
      expected.set(name, (expected.get(name) ?? 0) + 1)
      return { key: `k${random(1000)}`, value }
    })
    await append('ticks', records)
    if (round === 2 || round === 5) {
      const open = (await shardsOf('ticks')).find(({ state }) => state === 'open')!
      await daemon.v1('POST', `streams/ticks/shards/${open.id}/split`, {})
    }
    if (round === 3 || round === 6) {
      const open = (await shardsOf('ticks')).filter(({ state }) => state === 'open')
      const [left, right] = open.sort((a, b) => (a.low < b.low ? -1 : 1))
      await daemon.v1('POST', 'streams/ticks/shards/merge', { left: left!.id, right: right!.id })
    }
    if (round % 3 === 1) {
      await daemon.kill()
      await start()
    }
  }
  // Event time ends in every shard.
  await append(
    'ticks',
    Array.from({ length: 200 }, (_, i) => ({ key: `end ${i}`, value: { user: 'end', t: clock + 100_000 } })),
  )
  await caughtUp('buckets')
  await expect.poll(async () => (await valuesOf('buckets')).length).toBe(expected.size)
  const found = await valuesOf<{ user: string; start: number; n: number }>('buckets')
  expect(Object.fromEntries(found.map(({ user, start, n }) => [`${user} ${start}`, n]))).toEqual(
    Object.fromEntries(expected),
  )
  const view = await daemon.v1<{ watermark: number }>('GET', 'pipelines/buckets')
  expect(view.watermark).toBe(clock + 100_000 - 300 - 1)
  const metrics = await (await fetch(`${daemon.url}/metrics`)).text()
  expect(metrics).toContain(
    `millrace_pipeline_watermark_seconds{pipeline="buckets"} ${(clock + 100_000 - 300 - 1) / 1000}`,
  )
  await daemon.v1('DELETE', 'pipelines/buckets')
})

it('a shard that gives nothing holds event time back no more, also after a restart', async () => {
  await stream('quiet', 4)
  await stream('passed', 1)
  await deploy(
    'passed',
    `
    export default pipeline('passed')
      .from(stream<number>('quiet'))
      .eventTime((record) => record.value, { idleAfter: 100 })
      .keyBy((record) => record.key)
      .process('passed', {
        emits: typed<number>(),
        onRow: (record, context) => context.setTimer(record.value),
        onTimer: (timer, context) => context.emit(timer.time),
      })
      .to(stream('passed', (value) => ({ key: 'k', value })))
  `,
  )
  // One shard only: the others have nothing to say about time.
  await append(
    'quiet',
    [1000, 2000, 3000].map((value) => ({ key: 'one', value })),
  )
  await expect.poll(() => valuesOf('passed')).toEqual([1000, 2000])
  await daemon.kill()
  await start()
  await append('quiet', [{ key: 'one', value: 4000 }])
  await expect.poll(() => valuesOf('passed')).toEqual([1000, 2000, 3000])
  await daemon.v1('DELETE', 'pipelines/passed')
})

it('timers of processing time fire when nothing comes, once, also when they were set before a kill', async () => {
  await stream('asks', 2)
  await stream('answers', 1)
  await deploy(
    'asks',
    `
    export default pipeline('asks')
      .from(stream<number>('asks'))
      .keyBy((record) => record.key)
      .process('ask', {
        state: { asked: valueState(() => 0) },
        emits: typed<number>(),
        onRow(record, context) {
          context.state.asked.set(context.state.asked.get() + 1)
          context.setTimer(context.now + record.value, undefined, 'processing')
        },
        onTimer: (timer, context) => context.emit(context.state.asked.get()),
      })
      .to(stream('answers', (value, key) => ({ key, value: [key, value] })))
  `,
  )
  await append('asks', [{ key: 'soon', value: 50 }])
  await expect.poll(() => valuesOf('answers')).toEqual([['soon', 1]])
  await append('asks', [
    { key: 'later', value: 3000 },
    { key: 'never', value: 100_000_000 },
  ])
  await caughtUp('asks')
  await daemon.kill()
  await start()
  await expect
    .poll(() => valuesOf('answers'))
    .toEqual([
      ['soon', 1],
      ['later', 1],
    ])
  await append('asks', [{ key: 'soon', value: 0 }])
  await expect
    .poll(() => valuesOf('answers'))
    .toEqual([
      ['soon', 1],
      ['later', 1],
      ['soon', 2],
    ])
  await daemon.v1('DELETE', 'pipelines/asks')
})
