import { execFile } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { HttpServer } from './http-server.js'

// Sinks that go outside: nothing is lost, nothing changes between two attempts, and order holds per key, over kills.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = {
  MILLRACE_WORKERS_THREADS: '2',
  MILLRACE_PIPELINES_RETRY_MS: '20',
  MILLRACE_PIPELINES_EPOCH_BYTES_MAX: '262144',
  MILLRACE_PIPELINES_STEP_TIMEOUT_MS: '2000',
  MILLRACE_PIPELINES_OUTBOX_BYTES_MAX: '200000',
  MILLRACE_LOG_LEVEL: 'error',
}
let daemon: DaemonProcess
let server: HttpServer

const start = async () => {
  daemon = await DaemonProcess.start({ data, env })
}

beforeAll(async () => {
  ensureBuilt()
  server = await HttpServer.start()
  await start()
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

interface View {
  readonly state: string
  readonly error?: { readonly message: string }
  readonly plan: unknown
  readonly outboxes: readonly {
    readonly sink: string
    readonly records: number
    readonly bytes: number
    readonly isFull: boolean
    readonly breaker: string
    readonly delivered: number
    readonly deadLetters: number
    readonly error?: string
  }[]
}

let number = 0
async function deploy(source: string): Promise<View> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, `import { http, kafka, pipeline, sink, stream } from 'millrace'\n${source}`)
  return daemon.v1<View>('POST', 'pipelines', { bundle: await bundleModule(path) })
}
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const outbox = async (name: string) => (await show(name)).outboxes[0]!
const command = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['dist/cli/main.cjs', '--url', daemon.url, ...args]).then(
    ({ stdout }) => stdout,
  )
const metrics = async () => (await fetch(`${daemon.url}/metrics`)).text()
const remove = (name: string) => daemon.v1('DELETE', `pipelines/${name}`)
const stream = (name: string, shards = 1) => daemon.v1('POST', 'streams', { name, shards })
const append = (name: string, records: readonly object[]) => daemon.v1('POST', `streams/${name}/records`, { records })
const lag = async (group: string) => (await daemon.v1<{ lag: number }>('GET', `groups/${group}`)).lag
const delivered = (name: string, count: number) => expect.poll(async () => (await outbox(name)).delivered).toBe(count)

interface Sent {
  readonly user: string
  readonly n: number
}
const parsed = (bodies: readonly { readonly body: string }[]): Sent[] =>
  bodies.flatMap(({ body }) => JSON.parse(body) as Sent[])

/** The values of a key in the order in which each came first. */
function firstsByKey(sent: readonly Sent[]): Map<string, number[]> {
  const firsts = new Map<string, number[]>()
  for (const { user, n } of sent) {
    const seen = firsts.get(user) ?? []
    if (!seen.includes(n)) seen.push(n)
    firsts.set(user, seen)
  }
  return firsts
}

describe('an HTTP sink', () => {
  it('delivers every result at least once and in order per key, with the same content under a key, whatever the server does, over kills', async () => {
    await stream('orders', 2)
    let turn = 0
    // A request in two comes to grief, each time in another way.
    const faults = [
      { status: 500, text: 'out of order' },
      'cut',
      { status: 429, headers: { 'retry-after': '0' } },
      'takeAndCut',
      'hang',
      { status: 404 },
      { status: 302, headers: { location: '/elsewhere' } },
    ] as const
    server.answer = () => (turn++ % 2 === 0 ? faults[(turn >> 1) % faults.length]! : { status: 204 })
    await deploy(`
      export default pipeline('orders')
        .from(stream<{ n: number }>('orders'))
        .keyBy((record) => record.key)
        .to(http('${server.url}?secret=1', {
          body: ({ value }, user) => ({ user, n: value.n }),
          headers: { authorization: 'Bearer very secret' },
          batchMax: 7, timeout: '250ms', retry: { first: '5ms', longest: '20ms' }, breaker: { failures: 4, pause: '20ms' },
        }))
    `)
    const expected = new Map<string, number[]>()
    let n = 0
    for (let round = 0; round < 8; round++) {
      const records = Array.from({ length: 40 }, () => ({ key: `user ${(n * 7) % 11}`, value: { n: n++ } }))
      await append('orders', records)
      for (const { key, value } of records) expected.set(key, [...(expected.get(key) ?? []), value.n])
      if (round % 2 === 1) {
        const before = server.accepted.length
        await expect.poll(() => server.accepted.length).toBeGreaterThan(before)
        await daemon.kill()
        await start()
      }
    }
    await delivered('orders', n)
    expect(firstsByKey(parsed(server.accepted))).toEqual(expected)
    const contents = new Map<string, string>()
    for (const { key, body } of server.all) {
      expect(contents.get(key) ?? body).toBe(body)
      contents.set(key, body)
      expect((JSON.parse(body) as Sent[]).length).toBeLessThanOrEqual(7)
    }
    // Whoever heeds the keys has each result once.
    const once = [...new Map(server.accepted.map((request) => [request.key, request])).values()]
    expect(
      parsed(once)
        .map(({ n }) => n)
        .sort((a, b) => a - b),
    ).toEqual(Array.from({ length: n }, (_, i) => i))
    expect(await outbox('orders')).toMatchObject({ records: 0, bytes: 0, isFull: false, deadLetters: 0 })
    const shown = JSON.stringify(await show('orders'))
    expect(shown).not.toContain('very secret')
    expect(shown).not.toContain('secret=1')
    await remove('orders')
  })

  it('puts what is refused for good among the dead letters, alone, and goes on', async () => {
    await stream('refusals')
    server.accepted.length = 0
    server.answer = ({ body }) => (body.includes('bad') ? { status: 422, text: 'no such thing' } : { status: 200 })
    await deploy(`
      export default pipeline('refusals').from(stream<string>('refusals')).map(({ value }) => value)
        .to(http('${server.url}', { format: 'ndjson', batchMax: 50 }), 'hook')
    `)
    const values = Array.from({ length: 40 }, (_, i) => (i % 13 === 5 ? `bad ${i}` : `good ${i}`))
    await append(
      'refusals',
      values.map((value) => ({ key: 'k', value })),
    )
    await delivered('refusals', 40)
    expect(
      server.accepted.flatMap(({ body }) =>
        body
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as string),
      ),
    ).toEqual(values.filter((value) => value.startsWith('good')))
    expect(server.accepted.every(({ contentType }) => contentType === 'application/x-ndjson')).toBe(true)
    expect(await outbox('refusals')).toMatchObject({ deadLetters: 3, breaker: 'closed' })
    // Whoever ends a bounded run keeps it where there are some, also when the daemon was killed meanwhile.
    await daemon.kill()
    await start()
    await expect.poll(async () => (await show('refusals')).outboxes?.[0]?.deadLetters).toBe(3)
    const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/dead:refusals:hook/shards')
    const { records } = await daemon.v1<{ records: { value: { id: string; why: string; value: string } }[] }>(
      'GET',
      `streams/dead:refusals:hook/records?shard=${shards[0]!.id}&limit=100`,
    )
    expect(records.map(({ value }) => [value.value, value.why])).toEqual(
      values
        .filter((value) => value.startsWith('bad'))
        .map((value) => [value, '422 Unprocessable Entity: no such thing']),
    )
    const { streams } = await daemon.v1<{ streams: { name: string }[] }>('GET', 'streams')
    expect(streams.filter(({ name }) => name.includes(':refusals:'))).toEqual([])
    const all = await daemon.v1<{ streams: { name: string }[] }>('GET', 'streams?internal=true')
    expect(all.streams.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['outbox:refusals:hook', 'dead:refusals:hook']),
    )
    await expect(append('outbox:refusals:hook', [{ key: 'a', value: 1 }])).rejects.toThrow(/outbox of a pipeline/)
    await remove('refusals')
    // The name is free again.
    await deploy(`export default pipeline('refusals').from(stream('refusals')).to(http('${server.url}'), 'hook')`)
    await remove('refusals')
  })

  it('stops its sources when its outbox is full, says so, opens its breaker, and goes on when the server is back', async () => {
    await stream('flood')
    server.accepted.length = 0
    server.answer = () => ({ status: 503 })
    await deploy(`
      export default pipeline('flood').from(stream<{ n: number }>('flood')).keyByPartition()
        .to(http('${server.url}', { body: ({ value }, key) => ({ user: key.key, n: value.n }), retry: { first: '5ms', longest: '50ms' }, breaker: { failures: 2, pause: '50ms' } }))
    `)
    const pad = 'x'.repeat(1000)
    let n = 0
    for (let i = 0; i < 12; i++)
      await append(
        'flood',
        Array.from({ length: 100 }, () => ({ key: `${n % 5} ${pad}`, value: { n: n++, pad } })),
      )
    await expect.poll(async () => (await outbox('flood')).isFull).toBe(true)
    await expect.poll(async () => (await outbox('flood')).breaker).toBe('open')
    const full = await outbox('flood')
    expect(full.error).toMatch(/503/)
    expect(full.delivered).toBe(0)
    expect(await command('pipelines', 'show', 'flood')).toMatch(
      /http:http.*full: the sources wait, breaker (open|half open)/,
    )
    expect(await metrics()).toMatch(/outbox_full\{[^}]*pipeline="flood"[^}]*\} 1/)
    expect(await lag('pipeline:flood')).toBeGreaterThan(0)
    // It stays so, and a restart keeps what is counted.
    await daemon.kill()
    await start()
    await expect.poll(async () => (await show('flood')).outboxes?.[0]?.isFull).toBe(true)
    expect((await outbox('flood')).records).toBe(full.records)
    expect(await lag('pipeline:flood')).toBeGreaterThan(0)
    server.answer = () => ({ status: 200 })
    await delivered('flood', n)
    expect(new Set(parsed(server.accepted).map(({ n }) => n)).size).toBe(n)
    expect(await lag('pipeline:flood')).toBe(0)
    await remove('flood')
  })
})

describe("a sink of the user's own", () => {
  it('gets every result at least once, as it was, under the same id at each attempt, over throws, a loop without end and kills', async () => {
    await stream('own')
    const log = join(folder, 'own.log')
    appendFileSync(log, '')
    await deploy(`
      import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
      let calls = 0
      const print = (...words: unknown[]) => appendFileSync(${JSON.stringify(log)}, JSON.stringify(words) + '\\n')
      export default pipeline('own').from(stream<number>('own')).keyBy((record) => record.key)
        .map(({ value }) => ({ n: BigInt(value), bytes: new Uint8Array([value % 256]), map: new Map([[value, 'x']]) }))
        .to(sink({
          name: 'own', batchMax: 5, retry: { first: '5ms', longest: '20ms' }, breaker: { failures: 100 },
          open: () => print('open'),
          write: async (records, { attempt }) => {
            calls++
            if (calls % 4 === 1) throw new Error('not now')
            if (calls === 3 && !existsSync(${JSON.stringify(`${log}.looped`)})) {
              writeFileSync(${JSON.stringify(`${log}.looped`)}, '')
              for (;;);
            }
            await new Promise((resolve) => setTimeout(resolve, 2))
            for (const { value, key, idempotencyKey } of records)
              print('take', idempotencyKey, key, Number(value.n), typeof value.n, value.bytes[0], value.map.get(Number(value.n)))
            if (calls % 9 === 3) throw new Error('after all')
          },
        }))
    `)
    let n = 0
    for (let round = 0; round < 4; round++) {
      await append(
        'own',
        Array.from({ length: 30 }, () => ({ key: `k${n % 3}`, value: n++ })),
      )
      await expect.poll(async () => (await outbox('own')).delivered).toBeGreaterThan(n - 25)
      if (round % 2 === 0) {
        await daemon.kill()
        await start()
      }
    }
    await delivered('own', n)
    const taken = readFileSync(log, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown[])
      .filter(([what]) => what === 'take')
    expect(readFileSync(`${log}.looped`, 'utf8')).toBe('')
    const byId = new Map<unknown, unknown[]>()
    for (const [, id, ...rest] of taken) {
      expect(byId.get(id) ?? rest).toEqual(rest)
      byId.set(id, rest)
    }
    expect([...byId.values()]).toEqual(Array.from({ length: n }, (_, i) => [`k${i % 3}`, i, 'bigint', i % 256, 'x']))
    await remove('own')
  })
})

describe('bad input', () => {
  it.each([
    ["http('http://a', { batchMax: 0 })", /batchMax/],
    ["http('http://a', { batchMax: 1e9 })", /too much/],
    ["http('http://user:pass@a')", /password/],
    ["http('http://a', { headers: { 'idempotency-key': 'x' } })", /headers/],
    ["http('http://a', { headers: { 'bad name': 'x' } })", /headers/],
    ["http('http://a', { format: 'xml' as never })", /format/],
    ["http('ftp://a')", /URL/],
    ["sink({ name: '', write: () => {} })", /no name/],
    ["sink({ name: 'a' } as never)", /write function/],
    ["kafka('t', () => null)", /no broker is known for the Kafka topic t/],
    ["kafka('t', () => null, { brokers: 'a' })", /has no brokers/],
    ["kafka('t', () => null, { cluster: 'main' })", /no Kafka cluster main is configured \(none is\)/],
    ["kafka('t', () => null, { cluster: 'main', brokers: 'a:1' })", /has the cluster .*main.* and brokers/],
    ["kafka('a b', () => null)", /has no topic/],
    ["kafka('t', () => null, { compression: 'zstd' as never })", /compression/],
  ])('%s is refused at the deploy', async (sink, message) => {
    await expect(deploy(`export default pipeline('bad').from(stream('orders')).to(${sink})`)).rejects.toThrow(message)
  })
})
