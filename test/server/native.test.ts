import { describe, expect, test, vi } from 'vitest'
import { encodeBatch } from '../../src/log/index.js'
import { hashKey } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'
import { type Serving, serve } from './serving.js'

interface Shown {
  readonly sequence: number
  readonly key: string
  readonly value: unknown
  readonly time: number
}

interface PageShown {
  readonly records: Shown[]
  readonly next: number
  readonly ended: boolean
}

const append = (serving: Serving, stream: string, records: readonly object[]) =>
  serving.v1('POST', `streams/${stream}/records`, { records })

const read = async (serving: Serving, stream: string, query: string) =>
  (await serving.v1('GET', `streams/${stream}/records?${query}`)).json as unknown as PageShown

const shardsOf = async (serving: Serving, stream: string) =>
  ((await serving.v1('GET', `streams/${stream}/shards`)).json as unknown as { shards: { id: number; state: string }[] })
    .shards

describe('streams', () => {
  test('are made, listed, shown and closed', async () => {
    const serving = await serve()
    expect(await serving.v1('POST', 'streams', { name: 'clicks', shards: 3 })).toMatchObject({
      status: 201,
      json: { name: 'clicks', kind: 'plain', shards: 3, open: 3 },
    })
    expect((await serving.v1('POST', 'streams', { name: 'clicks' })).code).toBe('ALREADY_EXISTS')
    expect((await serving.v1('GET', 'streams')).json.streams).toHaveLength(1)
    expect((await serving.v1('GET', 'streams/clicks')).json).toMatchObject({ name: 'clicks' })
    expect((await serving.v1('GET', 'streams/other')).code).toBe('NOT_FOUND')
    expect((await serving.v1('DELETE', 'streams/clicks')).status).toBe(200)
    expect((await append(serving, 'clicks', [{ key: 'a', value: 1 }])).code).toBe('NOT_FOUND')
  })

  test('of one name, the older ones deleted, are one sample of each metric', async () => {
    const serving = await serve()
    for (let n = 0; n < 3; n++) {
      if (n > 0) await serving.v1('DELETE', 'streams/clicks')
      expect((await serving.v1('POST', 'streams', { name: 'clicks' })).status).toBe(201)
    }
    const samples = (await (await fetch(`${serving.url}/metrics`)).text())
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.replace(/ [^ ]*$/, ''))
    expect(samples.filter((sample) => sample.includes('"clicks"')).length).toBeGreaterThan(3)
    expect(samples.filter((sample, i) => samples.indexOf(sample) !== i)).toEqual([])
    expect((await serving.v1('GET', 'metrics?names=millrace_shards_open')).text).toContain('1')
  })

  test('are not made of what is malformed', async () => {
    const serving = await serve()
    for (const body of [
      { name: 'a b' },
      { name: 'table:x' },
      { name: '..' },
      { name: 'x', shards: 0 },
      { name: 'x', shards: '2' },
      { name: 'x', shards: 1e9 },
      { name: 'x', shard: 2 },
      [],
      '{',
    ])
      expect((await serving.v1('POST', 'streams', body)).code, JSON.stringify(body)).toBe('BAD_REQUEST')
    expect((await serving.v1('GET', 'streams')).json.streams).toEqual([])
  })
})

describe('records', () => {
  test('come back as they went in, by all three ways', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const values = ['text', 5, null, { deep: ['ä', true] }]
    expect(
      (
        await append(
          serving,
          's',
          values.map((value) => ({ key: 'json', value })),
        )
      ).json,
    ).toMatchObject({ count: 4 })
    const lines = '{"key":"line","value":1,"time":7}\n\n{"key":"line","value":2}\n'
    const ndjson = { 'content-type': 'application/x-ndjson' }
    expect((await serving.v1('POST', 'streams/s/records', lines, ndjson)).json).toMatchObject({ count: 2 })
    const key = Buffer.from('bytes')
    const body = Buffer.from([0, 255])
    const batch = encodeBatch([{ hash: hashKey(key), kind: 0, flags: 0, codec: 0, time: 9, key, body }])
    const binary = { 'content-type': 'application/octet-stream' }
    expect((await serving.v1('POST', 'streams/s/records', batch, binary)).json).toMatchObject({ count: 1 })

    // What only calls itself JSON is shown as bytes, and keeps nobody from what is behind it.
    const broken = encodeBatch([{ hash: hashKey(key), kind: 0, flags: 0, codec: 1, time: 9, key, body }])
    expect((await serving.v1('POST', 'streams/s/records', broken, binary)).json).toMatchObject({ count: 1 })
    const deep = `{"deep":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const unshowable = {
      hash: hashKey(key),
      kind: 0,
      flags: 0,
      codec: 1,
      time: 9,
      key,
      body: Buffer.from(deep),
    } as const
    expect((await serving.v1('POST', 'streams/s/records', encodeBatch([unshowable]), binary)).status).toBe(200)
    const wrongHash = encodeBatch([{ hash: { hi: 1, lo: 2 }, kind: 0, flags: 0, codec: 0, time: 9, key, body }])
    expect(await serving.v1('POST', 'streams/s/records', wrongHash, binary)).toMatchObject({ code: 'FORMAT_INVALID' })

    const [shard] = await shardsOf(serving, 's')
    const { records } = await read(serving, 's', `shard=${shard!.id}`)
    expect(records.map(({ key: of, value }) => [of, value])).toEqual([
      ...values.map((value) => ['json', value]),
      ['line', 1],
      ['line', 2],
      ['bytes', undefined],
      ['bytes', undefined],
      ['bytes', undefined],
    ])
    expect(records[4]!.time).toBe(7)
    expect(records[6]).toMatchObject({ bytes: 'AP8=', time: 9 })
    expect(records.every(({ sequence }, i) => i === 0 || sequence > records[i - 1]!.sequence)).toBe(true)

    const answer = await serving.v1('GET', `streams/s/records?shard=${shard!.id}`, undefined, {
      accept: 'application/x-ndjson',
    })
    expect(
      answer.text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(records)
    expect(answer.headers.get('x-millrace-ended')).toBe('false')
    expect(Number(answer.headers.get('x-millrace-next'))).toBe(records[8]!.sequence + 1)
  })

  test('are refused when they are malformed, and nothing of them is appended', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const malformed = [
      ['{"records": [{"key": 1, "value": 1}]}', 'application/json', 'Record 0 has a key that is not a string.'],
      ['{"records": [{"key": "a"}]}', 'application/json', 'Record 0 has no value; null is one.'],
      ['{"records": [{"key": "a", "value": 1, "tme": 1}]}', 'application/json', 'Record 0 has the unknown member tme'],
      ['{"records": [{"key": "a", "value": 1, "time": -1}]}', 'application/json', 'Record 0 has a time'],
      [`{"records": [{"key": "${'k'.repeat(65_536)}", "value": 1}]}`, 'application/json', 'Record 0 has a key of more'],
      ['{"records": []}', 'application/json', 'There are no records'],
      ['{"records": {}}', 'application/json', 'The body is not {"records"'],
      ['{"key":"a","value":1}\nnonsense', 'application/x-ndjson', 'Line 2 is not JSON'],
      ['', 'application/x-ndjson', 'There are no records'],
      ['{"key":"\\ud800","value":1}', 'application/x-ndjson', 'Line 1 has a key that is not well-formed'],
      [`{"key":"k","value":${'['.repeat(1001)}${']'.repeat(1001)}}`, 'application/x-ndjson', 'nested deeper than 1000'],
      [`{"records":[{"key":"k","value":${'[{"a":'.repeat(1e5)}1${'}]'.repeat(1e5)}}]}`, 'application/json', 'Record 0'],
      ['MRB1', 'application/octet-stream', 'The batch has 4 bytes'],
      ['key=a', 'application/x-www-form-urlencoded', 'The content type application/x-www-form-urlencoded is not known'],
    ]
    for (const [body, type, message] of malformed) {
      const answer = await serving.v1('POST', 'streams/s/records', body, { 'content-type': type! })
      expect(answer.status, body).toBe(400)
      expect(answer.json.error).toMatchObject({ message: expect.stringContaining(message!), outcome: 'notApplied' })
    }
    const [shard] = await shardsOf(serving, 's')
    expect((await read(serving, 's', `shard=${shard!.id}`)).records).toEqual([])
  })

  test('a page of any size goes on where the one before it ended', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    for (let i = 0; i < 5; i++)
      await append(
        serving,
        's',
        Array.from({ length: 7 }, (_, j) => ({ key: 'k', value: i * 7 + j })),
      )
    const [shard] = await shardsOf(serving, 's')
    for (const limit of [1, 3, 7, 8, 100]) {
      const values: unknown[] = []
      let from = ''
      for (;;) {
        const page = await read(serving, 's', `shard=${shard!.id}&limit=${limit}${from}`)
        expect(page.records.length).toBeLessThanOrEqual(limit)
        if (page.records.length === 0) break
        values.push(...page.records.map((record) => record.value))
        from = `&from=${page.next}`
      }
      expect(values).toEqual(Array.from({ length: 35 }, (_, i) => i))
    }
  })

  test('a shard that is sealed and read has ended, and only then', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    await append(
      serving,
      's',
      [1, 2, 3].map((value) => ({ key: 'k', value })),
    )
    const [parent] = await shardsOf(serving, 's')
    expect((await read(serving, 's', `shard=${parent!.id}`)).ended).toBe(false)
    const split = await serving.v1('POST', `streams/s/shards/${parent!.id}/split`)
    expect(split.json).toMatchObject({
      parent: { state: 'sealed' },
      children: [{ high: '7fffffffffffffff' }, { low: '8000000000000000' }],
    })
    expect(await read(serving, 's', `shard=${parent!.id}&limit=2`)).toMatchObject({ ended: false })
    expect(await read(serving, 's', `shard=${parent!.id}`)).toMatchObject({ ended: true, records: [{}, {}, {}] })
    expect((await serving.v1('POST', `streams/s/shards/${parent!.id}/split`)).code).toBe('CONFLICT')
    expect((await serving.v1('POST', `streams/s/shards/99/split`)).code).toBe('NOT_FOUND')
    const child = (await shardsOf(serving, 's')).at(-1)!
    expect((await serving.v1('POST', `streams/s/shards/${child.id}/split`, { at: 'f00' })).code).toBe('BAD_REQUEST')
    const cut = await serving.v1('POST', `streams/s/shards/${child.id}/split`, { at: 'f000000000000000' })
    expect(cut.json.children).toMatchObject([{ high: 'efffffffffffffff' }, { low: 'f000000000000000' }])
  })

  test('are not read by a malformed query', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    for (const query of ['', 'shard=x', 'shard=9', 'shard=1&from=-1', 'shard=1&limit=1.5', 'shard=1&wait=soon'])
      expect([400, 404], query).toContain((await serving.v1('GET', `streams/s/records?${query}`)).status)
    expect((await serving.v1('GET', 'streams/s/records?shard=1&from=0')).code).toBe('TRIMMED')
    expect(await serving.v1('GET', 'streams/s/records')).toMatchObject({ status: 400, code: 'BAD_REQUEST' })
  })
})

describe('the shards of a stream', () => {
  test('are cut at many hashes at once and merged again', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const [only] = await shardsOf(serving, 's')
    const at = ['4000000000000000', '4000000000000001', '8000000000000000']
    const split = (cuts: unknown) => serving.v1('POST', `streams/s/shards/${only!.id}/split`, { at: cuts })
    for (const wrong of [[], ['4'], [5], [...at].reverse(), ['0000000000000000']])
      expect((await split(wrong)).code, JSON.stringify(wrong)).toBe('BAD_REQUEST')
    const { children } = (await split(at)).json as unknown as { children: { id: number; low: string; high: string }[] }
    expect(children.map(({ low }) => low)).toEqual(['0000000000000000', ...at])
    expect(children[1]!.high).toBe(at[0])
    const merge = (left: unknown, right: unknown) => serving.v1('POST', 'streams/s/shards/merge', { left, right })
    expect((await merge(children[0]!.id, children[2]!.id)).code).toBe('BAD_REQUEST')
    expect((await merge(children[0]!.id, 99)).code).toBe('NOT_FOUND')
    const { status, json } = await merge(children[0]!.id, children[1]!.id)
    expect(status).toBe(200)
    expect(json).toMatchObject({
      child: { parents: [children[0]!.id, children[1]!.id], low: '0000000000000000', high: at[0] },
    })
  })

  test('have a limit when their stream has one, and appends wait at it or are told to retry', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const limit = { recordsPerSecond: 1, waitMsMax: 0 }
    const { status, json } = await serving.v1('PATCH', 'streams/s', { policy: { limit } })
    expect({ status, json }).toMatchObject({ status: 200, json: { stream: { policy: { limit } }, policy: { limit } } })
    const many = Array.from({ length: 100 }, (_, n) => ({ key: `${n}`, value: n }))
    // A second's worth goes through, and with it what is asked for at once; 99 seconds later there is room again.
    expect((await append(serving, 's', many)).status).toBe(200)
    expect(await append(serving, 's', [{ key: 'a', value: 1 }])).toMatchObject({ status: 503, code: 'TOO_BUSY' })
    await serving.v1('PATCH', 'streams/s', { policy: { limit: null } })
    expect((await append(serving, 's', many)).status).toBe(200)
    expect((await serving.v1('PATCH', 'streams/s', { policy: { limit: { waitMs: 1 } } })).code).toBe('BAD_REQUEST')
    expect((await serving.v1('PATCH', 'streams/s', { policy: 5 })).code).toBe('BAD_REQUEST')
    expect(await serving.v1('PATCH', 'streams/s', { policy: { shardsMin: 9, shardsMax: 8 } })).toMatchObject({
      status: 400,
      code: 'BAD_REQUEST',
    })
    expect((await serving.v1('PATCH', 'streams/s', { policy: { shardsMin: 8, shardsMax: 8 } })).status).toBe(200)
    // What each of two changes leaves valid, both together need not be.
    expect((await serving.v1('PATCH', 'streams/s', { policy: { shardsMax: 7 } })).code).toBe('BAD_REQUEST')
    expect((await serving.v1('PATCH', 'streams/none', {})).code).toBe('NOT_FOUND')
  })
})

describe('a long poll', () => {
  test('is answered by the next append, however little time it had', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's', shards: 2 })
    for (const shard of await shardsOf(serving, 's')) {
      // Keys until one lands in this shard: appends to the other must not end the wait.
      const poll = read(serving, 's', `shard=${shard.id}&wait=20000`)
      let isDone = false
      void poll.then(() => {
        isDone = true
      })
      for (let i = 0; !isDone; i++) await append(serving, 's', [{ key: `key ${i}`, value: i }])
      expect((await poll).records.length).toBeGreaterThan(0)
    }
  })

  test('is answered with nothing when its time is over', async () => {
    const serving = await serve({ http: { pollMsMax: 30 } })
    await serving.v1('POST', 'streams', { name: 's' })
    const [shard] = await shardsOf(serving, 's')
    expect(await read(serving, 's', `shard=${shard!.id}&wait=99999999`)).toMatchObject({ records: [], ended: false })
  })

  test('ends when its shard is sealed', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const [shard] = await shardsOf(serving, 's')
    const poll = read(serving, 's', `shard=${shard!.id}&wait=20000`)
    await serving.v1('POST', `streams/s/shards/${shard!.id}/split`)
    expect(await poll).toMatchObject({ records: [], ended: true })
  })

  test('does not hold up a stop', async () => {
    const serving = await serve({ http: { pollMsMax: 3_600_000, stopMsMax: 3_600_000 } })
    await serving.v1('POST', 'streams', { name: 's' })
    const [shard] = await shardsOf(serving, 's')
    // It has arrived when it listens for the stream.
    const { log } = serving.daemon.rooms
    const onChange = log.onChange.bind(log)
    const arrived = new Promise<void>((resolve) => {
      log.onChange = (...given) => {
        resolve()
        return onChange(...given)
      }
    })
    const poll = read(serving, 's', `shard=${shard!.id}&wait=3600000`)
    await arrived
    await serving.close()
    expect(await poll).toMatchObject({ records: [], ended: false })
  })

  test('leaves nothing behind on its connection', async () => {
    const warnings: Error[] = []
    const warned = (warning: Error) => warnings.push(warning)
    process.on('warning', warned)
    const serving = await serve({ http: { pollMsMax: 1 } })
    await serving.v1('POST', 'streams', { name: 's' })
    const [shard] = await shardsOf(serving, 's')
    for (let i = 0; i < 30; i++) await read(serving, 's', `shard=${shard!.id}&wait=1`)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', warned)
    expect(warnings.filter(({ name }) => name === 'MaxListenersExceededWarning')).toEqual([])
  })
})

describe('tables, groups, pipelines and bridges', () => {
  test('a table with its indexes, its time to live and the last count of its items', async () => {
    const clock = new ManualClock()
    const serving = await serve({ tables: { countMs: 1000 } }, clock)
    const aws = async (operation: string, input: object) => {
      const target = `DynamoDB_20120810.${operation}`
      const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': target }
      const answered = await fetch(serving.url, { method: 'POST', headers, body: JSON.stringify(input) })
      expect([answered.status, await answered.text()]).toEqual([200, expect.anything()])
    }
    const key = (AttributeName: string, KeyType: string) => ({ AttributeName, KeyType })
    await aws('CreateTable', {
      TableName: 'orders',
      AttributeDefinitions: ['id', 'at', 'who'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
      KeySchema: [key('id', 'HASH'), key('at', 'RANGE')],
      LocalSecondaryIndexes: [
        {
          IndexName: 'local',
          KeySchema: [key('id', 'HASH'), key('who', 'RANGE')],
          Projection: { ProjectionType: 'INCLUDE', NonKeyAttributes: ['note', 'sum'] },
        },
      ],
      GlobalSecondaryIndexes: [
        { IndexName: 'byWho', KeySchema: [key('who', 'HASH')], Projection: { ProjectionType: 'ALL' } },
      ],
      BillingMode: 'PAY_PER_REQUEST',
    })
    const table = { name: 'orders', status: 'ACTIVE', keys: 'id S, at S', billing: 'PAY_PER_REQUEST' }
    const indexes = [
      { name: 'byWho', kind: 'global', keys: 'who S', projection: 'ALL', state: 'active' },
      { name: 'local', kind: 'local', keys: 'id S, who S', projection: 'INCLUDE note, sum', state: 'active' },
    ]
    const arn = expect.stringMatching(/:table\/orders$/) as string
    const shown = async () => (await serving.v1('GET', 'tables/orders')).json
    expect(await shown()).toEqual({ ...table, indexes, arn })
    await aws('UpdateTimeToLive', {
      TableName: 'orders',
      TimeToLiveSpecification: { Enabled: true, AttributeName: 'due' },
    })
    await aws('PutItem', { TableName: 'orders', Item: { id: { S: '1' }, at: { S: '2' } } })
    expect(await shown()).toEqual({ ...table, indexes, ttl: 'due', arn })
    clock.advance(1000)
    const counted = { items: 1, bytes: 6, at: clock.now() }
    await vi.waitFor(
      async () => expect(await shown()).toEqual({ ...table, indexes, ttl: 'due', counted, arn }),
      120_000,
    )
  })

  test('a table and its change log', async () => {
    const serving = await serve()
    const aws = (operation: string, input: object) =>
      fetch(serving.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-amz-json-1.0',
          'x-amz-target': `DynamoDB_20120810.${operation}`,
        },
        body: JSON.stringify(input),
      })
    await aws('CreateTable', {
      TableName: 'orders',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    })
    await aws('PutItem', { TableName: 'orders', Item: { id: { S: '1' }, n: { N: '1' } } })
    await aws('PutItem', { TableName: 'orders', Item: { id: { S: '1' }, n: { N: '2' } } })
    await aws('DeleteItem', { TableName: 'orders', Key: { id: { S: '1' } } })
    expect((await serving.v1('GET', 'tables/orders')).json).toMatchObject({ name: 'orders', keys: 'id S' })
    expect((await serving.v1('GET', 'tables/none')).code).toBe('NOT_FOUND')
    const shards = await shardsOf(serving, 'table%3Aorders')
    const pages = await Promise.all(shards.map(({ id }) => read(serving, 'table:orders', `shard=${id}`)))
    expect(pages.flatMap(({ records }) => records)).toMatchObject([
      { type: 'insert', keys: { id: { S: '1' } }, new: { n: { N: '1' } } },
      { type: 'modify', new: { n: { N: '2' } }, old: { n: { N: '1' } } },
      { type: 'remove', old: { n: { N: '2' } } },
    ])
    expect((await append(serving, 'table:orders', [{ key: 'a', value: 1 }])).code).toBe('CONFLICT')
    expect((await serving.v1('DELETE', 'streams/table:orders')).code).toBe('CONFLICT')
    // Its shards split; they do not merge while a reader of AWS may look for the children of a closed one.
    const { children } = (await serving.v1('POST', `streams/table:orders/shards/${shards[0]!.id}/split`, {}))
      .json as unknown as { children: { id: number }[] }
    const [left, right] = children.map(({ id }) => id)
    const merge = () => serving.v1('POST', 'streams/table:orders/shards/merge', { left, right })
    expect((await merge()).json).toMatchObject({
      error: { code: 'CONFLICT', message: /AWS stream .* can still be read/ },
    })
  })

  test('a bridge whose broker is away says so, and its group shows', async () => {
    const serving = await serve()
    await serving.v1('POST', 'streams', { name: 's' })
    const made = await serving.v1('POST', 'bridges', { name: 'b', source: 's', brokers: '127.0.0.1:9' })
    expect(made).toMatchObject({ status: 201, json: { name: 'b', topic: 'millrace.s', group: 'bridge:b' } })
    await append(
      serving,
      's',
      [1, 2].map((value) => ({ key: 'k', value })),
    )
    const group = await serving.v1('GET', 'groups/bridge:b')
    expect(group.json).toMatchObject({ stream: 's', positions: [{ ended: false }] })
    expect(group.json.lag).toBeGreaterThanOrEqual(2)
    expect((await serving.v1('DELETE', 'streams/s')).code).toBe('CONFLICT')
    await expect
      .poll(async () => (await serving.v1('GET', 'bridges/b')).json.state, { timeout: 120_000, interval: 50 })
      .toMatchObject({ kind: 'waiting', error: { code: 'KAFKA_UNAVAILABLE', message: expect.any(String) } })
    expect((await serving.v1('POST', 'bridges', { name: 'c', surce: 's' })).code).toBe('BAD_REQUEST')
    expect((await serving.v1('POST', 'bridges/b/pause')).json).toMatchObject({ state: { kind: 'paused' } })
    expect((await serving.v1('POST', 'bridges/b/resume')).json.state).not.toMatchObject({ kind: 'paused' })
    expect((await serving.v1('POST', 'bridges/none/resume')).code).toBe('NOT_FOUND')
    expect((await serving.v1('DELETE', 'bridges/b')).json).toEqual({ deleted: 'b' })
    expect((await serving.v1('GET', 'groups')).json.groups).toEqual([])
  })

  test('a pipeline that is none is refused, and nothing is left of it', async () => {
    const serving = await serve()
    const cases: [unknown, string][] = [
      [{ bundle: 'export default 5' }, 'PIPELINE_INVALID'],
      [{ bundle: 'export default' }, 'MODULE_INVALID'],
      [{ bundle: 5 }, 'BAD_REQUEST'],
      [{ bundle: '', start: 'middle' }, 'BAD_REQUEST'],
      [{ bundel: '' }, 'BAD_REQUEST'],
    ]
    for (const [body, code] of cases)
      expect((await serving.v1('POST', 'pipelines', body)).code, JSON.stringify(body)).toBe(code)
    expect((await serving.v1('GET', 'pipelines')).json).toEqual({ pipelines: [] })
  })

  test('there is nothing at other paths', async () => {
    const serving = await serve()
    for (const path of [
      'groups/none',
      'pipelines/none',
      'bridges/none',
      'nothing',
      'streams/',
      'streams/s/records/extra',
    ])
      expect(await serving.v1('GET', path), path).toMatchObject({ status: 404, code: 'NOT_FOUND' })
  })

  test('a method that a path does not have, and a badly encoded name', async () => {
    const serving = await serve()
    expect((await serving.v1('POST', 'status')).json.error).toMatchObject({
      code: 'BAD_REQUEST',
      message: '/v1/status takes GET, not POST.',
    })
    expect((await serving.v1('GET', 'streams/%E0%A4%A')).code).toBe('BAD_REQUEST')
  })
})

test('the status says what there is', async () => {
  const serving = await serve()
  expect((await serving.v1('GET', 'status')).json).toMatchObject({
    state: 'ready',
    durability: 'synced',
    storageFull: false,
    epoch: 1,
    streams: 0,
  })
  expect((await serving.v1('POST', 'clock/confirm')).json).toEqual({ confirmed: true })
})

test('a body above the bound is refused whether its length is announced or not', async () => {
  const serving = await serve({ http: { bodyBytesMax: 2048 } })
  await serving.v1('POST', 'streams', { name: 's' })
  const records = [{ key: 'k', value: 'v'.repeat(4000) }]
  expect(await append(serving, 's', records)).toMatchObject({ status: 413, code: 'TOO_LARGE' })
  const stream = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(JSON.stringify({ records })))
      controller.close()
    },
  })
  const response = await fetch(`${serving.url}/v1/streams/s/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-millrace': '1' },
    body: stream,
    duplex: 'half',
  } as RequestInit)
  expect(response.status).toBe(413)
})
