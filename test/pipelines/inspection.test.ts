import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { bundleModule } from '../../src/workers/index.js'
import { ensureBuilt } from '../built.js'
import { type Serving, serve } from '../server/serving.js'
import { temporaryFolder } from '../temporary-folder.js'

// What GET /v1/pipelines/NAME says of a pipeline that runs.
beforeAll(ensureBuilt)

interface Inspected {
  readonly state: string
  readonly watermark?: number
  readonly recordsPerSecond: number
  readonly groups: readonly string[]
  readonly inputs: readonly {
    readonly source: string
    readonly lagRecords: number
    readonly lagSeconds: number
    readonly shards?: readonly { readonly shard: number; readonly watermark?: number; readonly isIdle: boolean }[]
    readonly moreShards?: number
  }[]
  readonly stages: readonly object[]
  readonly graph: readonly { readonly label: string; readonly rowsIn: number; readonly parked: number }[]
  readonly heldBy?: object
  readonly stateBytes: number
  readonly timers: { readonly count: number; readonly isMore: boolean }
}

async function deploy({ v1 }: Serving, source: string): Promise<void> {
  const path = join(temporaryFolder(), 'module.ts')
  writeFileSync(path, `import { file, pipeline, stream, tumbling } from 'millrace'\n${source}`)
  const { status, text } = await v1('POST', 'pipelines', { bundle: await bundleModule(path) })
  expect([status, text]).toEqual([201, expect.anything()])
}

const show = async ({ v1 }: Serving, name: string) =>
  (await v1('GET', `pipelines/${name}`)).json as unknown as Inspected
const append = ({ v1 }: Serving, stream: string, values: readonly unknown[]) =>
  v1('POST', `streams/${stream}/records`, { records: values.map((value) => ({ key: 'k', value })) })
/** What Vitest polls for is waited for, however slow the machine. */
const patience = { timeout: 120_000 }

const twoSources = (idleAfter: string) => `
  const of = (name: string) => pipeline('both').from(stream<{ at: number }>(name))
    .eventTime(({ value }) => value.at, { outOfOrder: '1s', idleAfter: '${idleAfter}' })
  export default of('a').merge(of('b')).keyBy(({ key }) => key).window(tumbling('10s')).count('n').to(file('out'))`

test('a pipeline tells how far each source and stage is, and which shard holds event time back', async () => {
  const serving = await serve()
  for (const name of ['a', 'b']) await serving.v1('POST', 'streams', { name, shards: 1 })
  await deploy(serving, twoSources('1h'))
  await append(serving, 'a', [{ at: 20_000 }, { at: 25_000 }])
  // b has given nothing: it holds everything back, and nothing is known of the whole.
  await expect
    .poll(async () => (await show(serving, 'both')).heldBy, patience)
    .toEqual({ source: 'b', shard: expect.any(Number), hasTime: false })
  await expect.poll(async () => (await show(serving, 'both')).inputs[0]?.shards?.[0]?.watermark, patience).toBe(23_999)
  const before = await show(serving, 'both')
  expect(before.inputs).toMatchObject([
    { source: 'a', lagRecords: 0, lagSeconds: 0, shards: [{ isIdle: false, watermark: 23_999 }], moreShards: 0 },
    { source: 'b', lagRecords: 0, lagSeconds: 0, shards: [{ isIdle: false }], moreShards: 0 },
  ])
  expect(before.inputs[1]?.shards?.[0]).not.toHaveProperty('watermark')
  expect(before.groups).toEqual(['pipeline:both', expect.stringContaining('both')])

  await append(serving, 'b', [{ at: 9_000 }])
  await expect.poll(async () => (await show(serving, 'both')).watermark, patience).toBe(7_999)
  const after = await show(serving, 'both')
  expect(after.heldBy).toMatchObject({ source: 'b', hasTime: true })
  expect(after.stages).toMatchObject([
    { stage: 0, kind: 'source', label: 'source a', watermark: 23_999 },
    { stage: 1, kind: 'source', label: 'source b', watermark: 7_999 },
    { stage: 2, kind: 'keyed', label: 'n', watermark: 7_999, isIdle: false },
  ])
  expect(after.graph.map(({ label, rowsIn }) => [label, rowsIn])).toEqual([
    ['stream a', 2],
    ['eventTime', 2],
    ['stream b', 1],
    ['eventTime', 1],
    ['merge', 3],
    ['keyBy', 3],
    ['tumbling.count n', 3],
    ['to file out', 0],
  ])
  expect(after.recordsPerSecond).toBeGreaterThanOrEqual(0)
  // The key waits for the end of its windows.
  expect(after.timers.count).toBeGreaterThan(0)
  expect(after.timers.isMore).toBe(false)
  expect(after.stateBytes).toBeGreaterThanOrEqual(0)
})

test('a source that is idle holds nothing back, and a pipeline that stands still has no event time to tell', async () => {
  const serving = await serve()
  for (const name of ['a', 'b']) await serving.v1('POST', 'streams', { name, shards: 1 })
  await deploy(serving, twoSources('1ms'))
  await append(serving, 'a', [{ at: 20_000 }])
  await expect
    .poll(async () => (await show(serving, 'both')).inputs.map(({ shards }) => shards?.[0]?.isIdle), patience)
    .toEqual([true, true])
  expect(await show(serving, 'both')).not.toHaveProperty('heldBy')
  await serving.v1('POST', 'pipelines/both/pause')
  const paused = await show(serving, 'both')
  expect(paused.state).toBe('paused')
  for (const input of paused.inputs) expect(input).not.toHaveProperty('shards')
})

test('where nothing asks for event time nothing holds it back', async () => {
  const serving = await serve()
  await serving.v1('POST', 'streams', { name: 'a', shards: 2 })
  await deploy(
    serving,
    `export default pipeline('plain').from(stream<number>('a')).filter(({ value }) => value > 1).to(file('out'))`,
  )
  await append(serving, 'a', [1, 2, 3])
  await expect
    .poll(async () => (await show(serving, 'plain')).graph.map(({ rowsIn }) => rowsIn), patience)
    .toEqual([3, 3, 2])
  const { heldBy, inputs, stages } = await show(serving, 'plain')
  expect(heldBy).toBeUndefined()
  expect(inputs[0]).not.toHaveProperty('shards')
  expect(stages).toEqual([{ stage: 0, kind: 'source', label: 'source a' }])
})

test('parked keys are listed a page at a time', async () => {
  const serving = await serve({ pipelines: { attemptsMax: 1, retryMs: 1 } })
  await serving.v1('POST', 'streams', { name: 'a', shards: 1 })
  await deploy(
    serving,
    `export default pipeline('poor').from(stream<number>('a')).keyBy(({ value }) => value)
      .sum('total', ({ value }) => { throw new Error('not ' + value) }).to(file('out'))`,
  )
  await append(serving, 'a', [0, 1, 2, 3, 4])
  await expect
    .poll(async () => (await show(serving, 'poor')).graph.map(({ parked }) => parked), patience)
    .toEqual([0, 0, 5, 0])
  const keys = new Set<string>()
  for (const [skip, more] of [
    [0, 3],
    [2, 1],
    [4, 0],
  ]) {
    const { json } = await serving.v1('GET', `parked?pipeline=poor&limit=2&skip=${skip}`)
    const page = json as unknown as { parked: { key: string }[]; more: number }
    expect([page.parked.length, page.more]).toEqual([more === 0 ? 1 : 2, more])
    for (const { key } of page.parked) keys.add(key)
  }
  expect(keys).toEqual(new Set(['0', '1', '2', '3', '4']))
  expect((await serving.v1('GET', 'parked?skip=-1')).code).toBe('BAD_REQUEST')
})
