import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { HttpServer } from './http-server.js'

// Sinks that go outside, in pipelines that are paused, redeployed and run over a part of their sources.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const data = join(folder, 'data')
const env = { MILLRACE_WORKERS_THREADS: '2', MILLRACE_PIPELINES_RETRY_MS: '20', MILLRACE_LOG_LEVEL: 'error' }
let daemon: DaemonProcess
let server: HttpServer

const start = async () => {
  daemon = await DaemonProcess.start({ data, env })
}
const killed = async () => {
  await daemon.kill()
  await start()
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
  readonly revision: number
  readonly outboxes?: readonly { readonly sink: string; readonly records: number; readonly delivered: number }[]
}

let number = 0
async function bundleOf(source: string): Promise<string> {
  const path = join(folder, `module-${number++}.ts`)
  writeFileSync(path, `import { http, pipeline, sink, stream } from 'millrace'\n${source}`)
  return bundleModule(path)
}
const deploy = async (source: string) => daemon.v1<View>('POST', 'pipelines', { bundle: await bundleOf(source) })
const show = (name: string) => daemon.v1<View>('GET', `pipelines/${name}`)
const act = (name: string, what: 'pause' | 'resume') => daemon.v1<View>('POST', `pipelines/${name}/${what}`)
const remove = (name: string) => daemon.v1('DELETE', `pipelines/${name}`)
const stream = (name: string) => daemon.v1('POST', 'streams', { name, shards: 1 })
const append = (name: string, from: number, to: number) =>
  daemon.v1('POST', `streams/${name}/records`, {
    records: Array.from({ length: to - from }, (_, i) => ({ key: 'k', value: from + i })),
  })
const lag = async (group: string) => (await daemon.v1<{ lag: number }>('GET', `groups/${group}`)).lag
const outboxOf = async (name: string, sink: string) => (await show(name)).outboxes?.find((each) => each.sink === sink)
/** The streams that the daemon keeps for the outboxes of a pipeline, but for those that are on their way out. */
const internal = async (name: string) => {
  const { streams } = await daemon.v1<{ streams: { name: string; closedAt?: number }[] }>(
    'GET',
    'streams?internal=true',
  )
  return streams.filter((each) => each.closedAt === undefined && each.name.includes(`${name}:`))
}

/** A sink that posts `{ to, n, by }`, and its name. */
const to = (name: string, by: number) => `
  http('${server.url}', { body: (value: number) => ({ to: '${name}', n: value, by: ${by} }), retry: { first: '5ms', longest: '20ms' }, breaker: { failures: 1000 } }), '${name}'`
const module = (name: string, ...sinks: readonly string[]) => `
  const flow = pipeline('${name}').from(stream<number>('${name}')).map((record) => record.value)
  export default [${sinks.map((sink) => `flow.to(${sink})`).join(', ')}]`

interface Sent {
  readonly to: string
  readonly n: number
  readonly by: number
}
/** What a sink has taken, each once, in order. */
const taken = (name: string): Sent[] => {
  const once = [...new Map(server.accepted.map((request) => [request.key, request])).values()]
  return once.flatMap(({ body }) => JSON.parse(body) as Sent[]).filter((sent) => sent.to === name)
}
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describe('a pipeline with sinks outside', () => {
  it('delivers while it is paused what it has committed, and its newer version goes on with the same outbox, over kills', async () => {
    const name = 'kept'
    await stream(name)
    server.answer = () => ({ status: 503 })
    await deploy(module(name, to('a', 1)))
    await append(name, 0, 50)
    await expect.poll(() => lag(`pipeline:${name}`)).toBe(0)
    await act(name, 'pause')
    await killed()
    expect(await show(name)).toMatchObject({ state: 'paused' })
    // What waits for its delivery is what the older version made, whoever delivers it.
    expect(await deploy(module(name, to('a', 2)))).toMatchObject({ state: 'paused', revision: 2 })
    await killed()
    await append(name, 50, 80)
    server.answer = () => ({ status: 200 })
    await expect.poll(() => taken('a').length).toBe(50)
    await act(name, 'resume')
    await expect.poll(() => taken('a').length).toBe(80)
    expect(taken('a').map(({ n }) => n)).toEqual(numbers(0, 80))
    expect(taken('a').map(({ by }) => by)).toEqual(numbers(0, 80).map((n) => (n < 50 ? 1 : 2)))
    await expect.poll(async () => (await outboxOf(name, 'a'))?.delivered).toBe(80)
    await remove(name)
    expect(await internal(name)).toEqual([])
  })

  it('gets a further sink by a redeploy, and loses one when its outbox is empty, over kills', async () => {
    const name = 'others'
    await stream(name)
    server.accepted.length = 0
    server.answer = ({ body }) => ({ status: body.includes('"to":"a"') ? 503 : 200 })
    await deploy(module(name, to('a', 1)))
    await append(name, 0, 10)
    await expect.poll(() => lag(`pipeline:${name}`)).toBe(0)
    await deploy(module(name, to('a', 2), to('b', 2)))
    await killed()
    await append(name, 10, 20)
    await expect.poll(() => taken('b').map(({ n }) => n)).toEqual(numbers(10, 20))
    await expect(deploy(module(name, to('b', 3)))).rejects.toThrow(/no sink a, in whose outbox 20 records wait/)
    // The refused one has changed nothing.
    await expect.poll(() => show(name)).toMatchObject({ state: 'running', revision: 2 })
    await append(name, 20, 30)
    server.answer = () => ({ status: 200 })
    await expect.poll(() => taken('a').map(({ n }) => n)).toEqual(numbers(0, 30))
    await expect.poll(async () => (await outboxOf(name, 'a'))?.records).toBe(0)
    expect(await internal(name)).toHaveLength(4)
    await deploy(module(name, to('b', 3)))
    await expect.poll(() => internal(name)).toHaveLength(2)
    await killed()
    await append(name, 30, 40)
    await expect.poll(() => taken('b').map(({ n }) => n)).toEqual(numbers(10, 40))
    // Under the name of the one that went a sink begins anew.
    await deploy(module(name, to('b', 4), to('a', 4)))
    await append(name, 40, 50)
    await expect.poll(() => taken('a').map(({ n }) => n)).toEqual([...numbers(0, 30), ...numbers(40, 50)])
    await expect.poll(() => taken('b').map(({ n }) => n)).toEqual(numbers(10, 50))
    await expect.poll(async () => (await outboxOf(name, 'a'))?.delivered).toBe(10)
    await remove(name)
    expect(await internal(name)).toEqual([])
  })

  it('takes no sink of another kind under the same name', async () => {
    const name = 'kinds'
    await stream(name)
    await deploy(module(name, to('a', 1)))
    await expect(deploy(module(name, `sink({ name: 'a', write: () => {} }), 'a'`))).rejects.toThrow(
      /was of the kind http and is of the kind user now/,
    )
    await expect.poll(() => show(name)).toMatchObject({ state: 'running', revision: 1 })
    await remove(name)
  })
})

describe('a bounded run with a sink outside', () => {
  it('delivers also after its end, and is not run again before', async () => {
    const name = 'bounded'
    await stream(name)
    server.accepted.length = 0
    server.answer = () => ({ status: 503 })
    await append(name, 0, 20)
    const bundle = await bundleOf(module(name, to('a', 1)))
    const run = () => daemon.v1<View>('POST', 'pipeline-runs', { bundle })
    await run()
    await expect.poll(async () => (await show(`${name}.run`)).state).toBe('finished')
    await expect(run()).rejects.toThrow(/20 results of the bounded.run before wait/)
    await killed()
    server.answer = () => ({ status: 200 })
    await expect.poll(() => taken('a').map(({ n }) => n)).toEqual(numbers(0, 20))
    await expect.poll(async () => (await outboxOf(`${name}.run`, 'a'))?.records).toBe(0)
    await run()
    await expect.poll(() => taken('a').length).toBe(40)
    await remove(`${name}.run`)
  })
})
