import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { connect } from '../../src/client/index.js'
import { ChunkCursor, Codec } from '../../src/log/index.js'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { type Serving, serve } from '../server/serving.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(ensureBuilt)

/** Waits for what must come; the test's own time-out ends a wait for what never does. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10))
}

async function deploy({ v1 }: Serving, source: string): Promise<string> {
  const file = join(temporaryFolder(), 'module.ts')
  writeFileSync(file, source)
  const { status, text, json } = await v1('POST', 'pipelines', { bundle: await bundleModule(file), start: 'oldest' })
  expect(status, text).toBe(201)
  return String(json.name)
}

async function aws({ url }: Serving, operation: string, body: object): Promise<Record<string, never>> {
  const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `DynamoDB_20120810.${operation}` }
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Record<string, never>
}

const isDone = async ({ v1 }: Serving, name: string) =>
  (await v1('GET', `groups/pipeline:${name}`)).json.lag === (0 as never)

/** Codecs of the records of a stream. */
async function codecsOf({ daemon }: Serving, name: string): Promise<Codec[]> {
  const { log } = daemon.rooms
  const stream = log.streamNamed(name)!
  const codecs: Codec[] = []
  for (const { id, firstSequence } of log.shards(stream.id)) {
    const { chunks } = await log.read(id, firstSequence, { bytesMax: 1 << 20 })
    for (const chunk of chunks) {
      const cursor = new ChunkCursor(chunk)
      while (cursor.next()) codecs.push(cursor.codec)
    }
  }
  return codecs
}

interface Bid {
  readonly auction: number
  readonly price: number
  readonly channel: string
  readonly extra: bigint | null
}

const bids: readonly Bid[] = Array.from({ length: 300 }, (_, i) => ({
  auction: i % 7,
  price: i * 1.5,
  channel: `chännel ${i}`,
  extra: i % 3 === 0 ? null : 2n ** 60n + BigInt(i),
}))

describe('pipelines over rows', () => {
  it('read their fields, keep what outlives them, and write rows that the next pipeline reads', async () => {
    const dataDir = join(temporaryFolder(), 'data')
    const serving = await serve({ dataDir })
    const client = connect({ url: serving.url, producer: { codec: 'row' } })
    onTestFinished(() => client.close())
    await client.createStream('bids', { shards: 2 })
    await client.createStream('dear')
    const append = (from: number, to: number) =>
      client.append(
        'bids',
        bids.slice(from, to).map((value, i) => ({ key: `${from + i}`, value, time: from + i })),
      )
    await append(0, 200)
    const first = await deploy(
      serving,
      `import { file, pipeline, stream } from 'millrace'
      export default pipeline('first').from(stream<any>('bids'))
        .filter((record) => record.time % 2 === 0 && record.value.price > 30)
        .map((record) => record.value)
        .to(stream('dear', (bid) => ({ key: String(bid.auction), value: bid, time: 7 })))
        .to(file('copies.ndjson', (bid) => ({ ...bid, tax: bid.price / 2 })))`,
    )
    const second = await deploy(
      serving,
      `import { file, pipeline, plain, stream } from 'millrace'
      export default pipeline('second').from(stream<any>('dear')).keyByPartition()
        .aggregate('largest', () => ({ bid: undefined, n: 0 }), (state, record) =>
          ({ n: state.n + 1, bid: state.bid && state.bid.price > record.value.price ? state.bid : plain(record.value) }))
        .to(file('largest.ndjson', (state, key) => ({ key: key.key, ...state })))`,
    )
    // More of them, and shapes that the running tasks do not know yet.
    await append(200, 300)
    const dear = bids.filter(({ price }, i) => i % 2 === 0 && price > 30)
    const lines = (name: string) =>
      readFileSync(join(dataDir, 'files', name), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    await until(async () => (await isDone(serving, first)) && (await isDone(serving, second)))
    await until(async () => lines('largest.ndjson').length === dear.length)

    const codecs = await codecsOf(serving, 'dear')
    expect(codecs).toHaveLength(dear.length)
    expect(new Set(codecs)).toEqual(new Set([Codec.row]))
    const byPrice = (one: Record<string, unknown>, other: Record<string, unknown>) =>
      Number(one.price) - Number(other.price)
    expect(lines('copies.ndjson').sort(byPrice)).toEqual(
      dear.map((bid) => ({ ...bid, extra: bid.extra === null ? null : String(bid.extra), tax: bid.price / 2 })),
    )
    const largest = new Map<string, unknown>()
    for (const { key, bid } of lines('largest.ndjson')) largest.set(String(key), bid)
    for (let auction = 0; auction < 7; auction++) {
      const best = dear.filter((bid) => bid.auction === auction).at(-1)!
      expect(largest.get(String(auction))).toEqual({ ...best, extra: best.extra === null ? null : String(best.extra) })
    }
  })

  it('a copy by spread within a result has its fields, and within a state is refused', async () => {
    const dataDir = join(temporaryFolder(), 'data')
    const serving = await serve({ dataDir, pipelines: { attemptsMax: 1 } })
    const client = connect({ url: serving.url, producer: { codec: 'row' } })
    onTestFinished(() => client.close())
    await client.createStream('places')
    await client.createStream('nested', { shards: 1 })
    await aws(serving, 'CreateTable', {
      TableName: 'Copies',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    await client.append(
      'places',
      [1, 2, 3].map((n) => ({ key: 'k', value: { n, at: { x: 2 } } })),
    )
    expect(new Set(await codecsOf(serving, 'places'))).toEqual(new Set([Codec.row]))
    const copies = await deploy(
      serving,
      `import { file, pipeline, stream, table } from 'millrace'
      export default pipeline('copies').from(stream<any>('places')).map((record) => [{ ...record.value, more: 3 }])
        .to(file('copies.ndjson'))
        .to(stream('nested', (copies) => ({ key: 'k', value: { copies } })))
        .to(table('Copies', (copies) => ({ ...copies[0], id: 'one', all: copies })))`,
    )
    const states = await deploy(
      serving,
      `import { file, pipeline, stream } from 'millrace'
      export default pipeline('states').from(stream<any>('places')).map((record) => [{ ...record.value, more: 3 }])
        .keyByPartition().aggregate('last', (): any => [], (_, copies) => copies)
        .to(file('states.ndjson'))`,
    )
    await until(async () => (await isDone(serving, copies)) && (await isDone(serving, states)))
    const { json } = await serving.v1('GET', 'parked?pipeline=states')
    expect(JSON.stringify(json)).toContain('plain(...)')
    expect(readFileSync(join(dataDir, 'files', 'copies.ndjson'), 'utf8')).toBe(
      [1, 2, 3].map((n) => `[{"n":${n},"at":{"x":2},"more":3}]\n`).join(''),
    )
    const { json: of } = await serving.v1('GET', 'streams/nested/shards')
    const { shards } = of as unknown as { shards: { id: number }[] }
    const { json: nested } = await serving.v1('GET', `streams/nested/records?shard=${shards[0]!.id}`)
    const [first] = (nested as unknown as { records: { value: unknown }[] }).records
    expect(first!.value).toEqual({ copies: [{ n: 1, at: { x: 2 }, more: 3 }] })
    const { Item } = await aws(serving, 'GetItem', { TableName: 'Copies', Key: { id: { S: 'one' } } })
    const at = { M: { x: { N: '2' } } }
    const fields = { n: { N: '3' }, at, more: { N: '3' } }
    expect(Item).toEqual({ id: { S: 'one' }, ...fields, all: { L: [{ M: fields }] } })
  })

  it('a whole row is a key, and is compared with others, as its plain object is', async () => {
    const dataDir = join(temporaryFolder(), 'data')
    const serving = await serve({ dataDir, pipelines: { attemptsMax: 1, onError: 'stop' } })
    const client = connect({ url: serving.url, producer: { codec: 'row' } })
    onTestFinished(() => client.close())
    await client.createStream('places')
    const values = [0, 1, 0, 2, 1, 0].map((n) => ({ n, at: { x: n, tags: ['a', n] } }))
    await client.append(
      'places',
      values.map((value, i) => ({ key: 'k', value, time: i })),
    )
    const name = await deploy(
      serving,
      `import { file, pipeline, stream } from 'millrace'
      const places = pipeline('places').from(stream<any>('places'))
      export default [
        places.keyBy((record) => record.value).count('perPlace').to(file('keys.ndjson', (n, key) => [key, n])),
        places.keyByPartition().deduplicate('once', { by: (record) => record.value, ttl: '1d' })
          .to(file('once.ndjson', (record) => record.value.n)),
      ]`,
    )
    const lines = (file: string) =>
      readFileSync(join(dataDir, 'files', file), 'utf8')
        .split('\n')
        .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as unknown]))
    await until(() => isDone(serving, name))
    expect((await serving.v1('GET', `pipelines/${name}`)).json).toMatchObject({ state: 'running' })
    await until(async () => lines('keys.ndjson').length === values.length)
    // Between two keys there is no order.
    const counted = lines('keys.ndjson') as readonly (readonly [(typeof values)[number], number])[]
    expect(counted.map(([{ n, at }, count]) => [n, at.x, at.tags[1], count]).sort()).toEqual([
      [0, 0, 0, 1],
      [0, 0, 0, 2],
      [0, 0, 0, 3],
      [1, 1, 1, 1],
      [1, 1, 1, 2],
      [2, 2, 2, 1],
    ])
    expect(lines('once.ndjson')).toEqual([0, 1, 2])
  })

  it('a row that is kept beyond its record fails the step with a sentence that says what to do', async () => {
    const serving = await serve({ pipelines: { attemptsMax: 1, onError: 'stop' } })
    const client = connect({ url: serving.url, producer: { codec: 'row' } })
    onTestFinished(() => client.close())
    await client.createStream('bids')
    const name = await deploy(
      serving,
      `import { file, pipeline, stream } from 'millrace'
      let last
      export default pipeline('stale').from(stream<any>('bids'))
        .map((record) => { const before = last; last = record.value; return before ? before.price : 0 })
        .to(file('f'))`,
    )
    await client.append('bids', { key: 'k', value: { price: 1 } })
    await until(() => isDone(serving, name))
    await client.append('bids', { key: 'k', value: { price: 2 } })
    await until(async () => (await serving.v1('GET', `pipelines/${name}`)).json.state === ('failed' as never))
    const { json } = await serving.v1('GET', `pipelines/${name}`)
    expect(json).toMatchObject({ error: { message: expect.stringMatching(/row is valid only until .*plain/) } })
  })
})
