import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { stateOf } from '../../src/index.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { millrace } from '../cli/millrace.js'
import { DaemonProcess } from '../daemon-process.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
let daemon: DaemonProcess

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data: join(folder, 'data'), env: { MILLRACE_LOG_LEVEL: 'error' } })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(folder, { recursive: true, force: true })
})

interface Shown {
  readonly steps: readonly { step: string; operator: string; cells: { name: unknown; value: unknown }[] }[]
}

async function deploy(name: string, source: string): Promise<void> {
  const path = join(folder, `${name}.ts`)
  writeFileSync(path, `import { file, mapState, pipeline, stream, table, valueState } from 'millrace'\n${source}`)
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
}
const state = async (pipeline: string, ...path: string[]) =>
  (await daemon.v1<Shown>('GET', ['pipelines', pipeline, 'state', ...path].map(encodeURIComponent).join('/'))).steps
const caughtUp = (group: string) =>
  expect.poll(async () => (await daemon.v1<{ lag: number }>('GET', `groups/${group}`)).lag).toBe(0)

it('what steps keep for a key is shown, of every kind of key and cell', async () => {
  await daemon.v1('POST', 'streams', { name: 'visits', shards: 2 })
  await deploy(
    'visits',
    `
    type Visit = { page: number; tags: string[] }
    const from = pipeline('visits').from(stream<Visit>('visits'))
    export default [
      from.keyByPartition().count('perUser').to(file('perUser')),
      from
        .keyBy((record) => record.value.page)
        .count('perPage', { ttl: '1d' })
        .process('seen', {
          state: { day: valueState(() => new Date()), times: valueState(() => 0n), users: mapState<string, Set<string>>() },
          onRow(count, { state }) {
            state.times.set(state.times.get() + 2n ** 60n)
            state.day.set(new Date(Number.NaN))
            state.users.set('all', new Set([String(count)]))
          },
        })
        .to(file('perPage')),
      from.keyBy((record) => String(record.key)).count('perText').to(file('perText')),
      from.keyBy((record) => record.value.tags).sum('perTags', (record) => record.value.page).to(file('perTags')),
    ]
  `,
  )
  await daemon.v1('POST', 'streams/visits/records', {
    records: [
      { key: 'ann', value: { page: 7, tags: ['a', 'b'] } },
      { key: 'bob', value: { page: 7, tags: [] } },
      { key: 'ann', value: { page: 8, tags: ['a', 'b'] } },
    ],
  })
  await caughtUp('pipeline:visits')
  const ofText = { step: 'perText', operator: 'count', cells: [{ name: null, value: 2 }], more: false }
  expect(await state('visits', 'ann')).toEqual([
    { step: 'perUser', operator: 'count', cells: [{ name: null, value: 2 }], more: false },
    ofText,
  ])
  expect(await state('visits', '"ann"')).toEqual([ofText])
  expect(await state('visits', '7')).toEqual([
    { step: 'perPage', operator: 'count', cells: [{ name: null, value: 2 }], more: false },
    {
      step: 'seen',
      operator: 'process',
      cells: [
        { name: 'day', value: 'Invalid Date' },
        { name: 'times', value: String(2n ** 61n) },
        { name: 'users', value: [['all', ['2']]] },
      ],
      more: false,
    },
  ])
  expect((await state('visits', '["a","b"]')).map(({ cells }) => cells[0]?.value)).toEqual([15])
  expect(await state('visits', 'perPage', '8')).toMatchObject([{ cells: [{ value: 1 }] }])
  expect(await state('visits', 'nobody')).toEqual([])
  await expect(state('visits', 'nothing', '8')).rejects.toThrow('NOT_FOUND')
  const { stdout } = await millrace(['pipelines', 'state', 'visits', '7', '--step', 'perPage', '--url', daemon.url])
  expect(stdout).toMatch(/perPage +count +2/)
  const ofEmptyText = await millrace(['pipelines', 'state', 'visits', '', '--url', daemon.url])
  expect(ofEmptyText).toMatchObject({ code: 0, stderr: 'no state\n' })
})

it('keys that are no part of a path are found, also those of a partition', async () => {
  await daemon.v1('POST', 'streams', { name: 'dots', shards: 1 })
  const from = "pipeline('dots').from(stream('dots'))"
  await deploy(
    'dots',
    `export default [
      ${from}.keyByPartition().count('inPlace').to(file('dots')),
      ${from}.keyBy((record) => record.key).count('sent').to(file('dots2')),
    ]`,
  )
  const keys = ['', '.', '..']
  await daemon.v1('POST', 'streams/dots/records', { records: keys.map((key) => ({ key, value: null })) })
  await caughtUp('pipeline:dots')
  for (const key of keys) {
    const { stdout } = await millrace(['pipelines', 'state', 'dots', key, '--json', '--url', daemon.url])
    expect(JSON.parse(stdout).state.map(({ step }: { step: string }) => step)).toEqual(['inPlace', 'sent'])
  }
})

it('partition keys of a table are found by their text and by their number', async () => {
  await daemon.aws('CreateTable', {
    TableName: 'lists',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  await daemon.v1('POST', 'streams', { name: 'more', shards: 1 })
  await deploy(
    'lists',
    `
    const start = pipeline('lists')
    const changes = start.from(table('lists'))
    export default [
      changes.keyByPartition().count('changes').to(file('changes')),
      // With a second source the partition keys are sent.
      changes.map(() => 1).merge(start.from(stream('more')).map(() => 1)).keyByPartition().count('both').to(file('both')),
    ]
  `,
  )
  await daemon.aws('PutItem', { TableName: 'lists', Item: { id: { N: '12' } } })
  await daemon.v1('POST', 'streams/more/records', { records: [{ key: 'ann', value: 1 }] })
  await caughtUp('pipeline:lists')
  await caughtUp('pipeline:lists:more')
  const counted = async (key: string) => (await state('lists', key)).map(({ step, cells }) => [step, cells[0]?.value])
  expect(await counted('12.0')).toContainEqual(['changes', 1])
  expect(await counted('12')).toEqual([
    ['changes', 1],
    ['both', 1],
  ])
  expect(await counted('ann')).toEqual([['both', 1]])
})

it('functions of one pipeline ask for what another has committed', async () => {
  await daemon.v1('POST', 'streams', { name: 'asks', shards: 1 })
  await daemon.v1('POST', 'streams', { name: 'answers', shards: 1 })
  await deploy(
    'prices',
    `
    export default pipeline('prices').from(stream<{ article: number; price: bigint }>('asks'))
      .keyBy((record) => record.value.article)
      .process('price', {
        state: { last: valueState(() => 0n), all: mapState<string, Date>() },
        onRow(record, { state }) {
          state.last.set(2n ** 60n + 1n)
          state.all.set('seen', new Date(5))
        },
      })
      .to(file('prices'))`,
  )
  await daemon.v1('POST', 'streams/asks/records', { records: [{ key: 'a', value: { article: 7 } }] })
  await caughtUp('pipeline:prices')
  const path = join(folder, 'asking.ts')
  writeFileSync(
    path,
    `import { pipeline, stateOf, stream } from 'millrace'
    const shown = (value: unknown) => (value instanceof Date ? 'date ' + value.getTime() : String(value))
    export default pipeline('asking').from(stream<{ article: number }>('asks'))
      .asyncMap(async (record) => {
        const { article } = record.value
        const never = stateOf('prices', 'nope', article).catch((error) => error.code)
        return [
          await stateOf<bigint>('prices', 'price', article, 'last'),
          (await stateOf<Map<string, Date>>('prices', 'price', article, 'all'))?.get('seen'),
          await stateOf('prices', 'price', 8, 'last'),
          await stateOf('prices', 'price', String(article), 'last'),
          await never,
          await stateOf('nobody', 'price', 1).catch((error) => error.code),
        ].map(shown)
      })
      .to(stream('answers', (value) => ({ key: 'all', value })))`,
  )
  await daemon.v1('POST', 'pipelines', { bundle: await bundleModule(path) })
  await caughtUp('pipeline:asking')
  expect(await daemon.v1('GET', 'parked?pipeline=asking')).toMatchObject({ parked: [] })
  const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/answers/shards')
  const { records } = await daemon.v1<{ records: { value: string[] }[] }>(
    'GET',
    `streams/answers/records?shard=${shards[0]!.id}`,
  )
  expect(records.map(({ value }) => value)).toEqual([
    [String(2n ** 60n + 1n), 'date 5', 'undefined', 'undefined', 'NOT_FOUND', 'NOT_FOUND'],
  ])
  await expect(stateOf('prices', 'price', 7)).rejects.toMatchObject({ code: 'NOT_READY' })
})
