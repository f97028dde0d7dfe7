import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { type AwsFailure, DaemonProcess, type StartOptions } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { errorOf, millrace } from './millrace.js'

beforeAll(() => ensureBuilt())

/** A daemon that goes with its test, away from the configuration of the checkout. */
async function start(options: Partial<StartOptions> = {}): Promise<DaemonProcess> {
  const data = options.data ?? join(temporaryFolder(), 'data')
  const daemon = await DaemonProcess.start({ cwd: temporaryFolder(), ...options, data })
  onTestFinished(() => daemon.kill())
  return daemon
}

/** Runs `serve` where it must end by itself. */
const serve = (data: string, ...args: readonly string[]) =>
  millrace(['serve', '--data', data, '--port', '0', '--json', ...args])

/** Resolves when the daemon has taken the request up: it says so before the body is sent. */
async function begun(url: string, method: string, body?: string): Promise<ClientRequest> {
  const sent = request(url, {
    method,
    headers: {
      expect: '100-continue',
      'x-millrace': '1',
      'content-type': 'application/json',
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    },
  })
  const taken = new Promise<void>((resolve, reject) => {
    sent.once('continue', resolve)
    sent.once('error', reject)
  })
  sent.flushHeaders()
  await taken
  return sent
}

async function answerOf(sent: ClientRequest): Promise<{ status: number | undefined; body: unknown }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve)
    sent.once('error', reject)
  })
  let text = ''
  for await (const part of response) text += String(part)
  return { status: response.statusCode, body: JSON.parse(text) as unknown }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('a start', () => {
  test('says on standard output one line and nothing else', async () => {
    const daemon = await start()
    let more = ''
    daemon.child.stdout!.on('data', (data: Buffer) => {
      more += data.toString()
    })
    expect(daemon.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    await daemon.v1('POST', 'streams', { name: 'clicks' })
    expect(await daemon.stop()).toBe(0)
    expect(more).toBe('')
    for (const line of daemon.log.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('level')
  })

  test('on an empty directory that clients wait for: nobody gets another answer than "not yet" before the first', async () => {
    const port = await freePort()
    let isReady = false
    const seen = new Set<number>()
    const client = async () => {
      while (!isReady || seen.size === 0) {
        const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
        if (response) {
          seen.add(response.status)
          await response.text()
        } else await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    const clients = Array.from({ length: 8 }, client)
    const daemon = await start({ args: ['--port', String(port)] })
    isReady = true
    await Promise.all(clients)
    expect([...seen].filter((status) => status !== 200 && status !== 503)).toEqual([])
    // Whoever has read the ready line may write.
    await daemon.v1('POST', 'streams', { name: 'clicks' })
    expect(await daemon.v1('POST', 'streams/clicks/records', { records: [{ key: 'a', value: 1 }] })).toMatchObject({
      count: 1,
    })
  })

  test('makes the folders above its directory, and finds what an earlier one wrote', async () => {
    const data = join(temporaryFolder(), 'a', 'b', 'data')
    const first = await start({ data })
    await first.v1('POST', 'streams', { name: 'clicks', shards: 2 })
    expect(await first.stop()).toBe(0)
    const second = await start({ data })
    expect(await second.v1('GET', 'streams/clicks')).toMatchObject({ name: 'clicks', open: 2 })
  })
})

describe('a start that must not be', () => {
  test('a second daemon on the same directory; the first goes on', async () => {
    const data = join(temporaryFolder(), 'data')
    const daemon = await start({ data })
    await daemon.v1('POST', 'streams', { name: 'clicks' })
    const second = await serve(data)
    expect(second.code).toBe(1)
    expect(second.stdout).toBe('')
    expect(errorOf(second).code).toBe('DATA_DIR_LOCKED')
    expect(await daemon.v1('POST', 'streams/clicks/records', { records: [{ key: 'a', value: 1 }] })).toMatchObject({
      count: 1,
    })
    expect(await daemon.stop()).toBe(0)
  })

  test('a directory that holds something else stays as it is', async () => {
    const data = temporaryFolder()
    writeFileSync(join(data, 'letter.txt'), 'dear')
    const run = await serve(data)
    expect(run.code).toBe(1)
    expect(errorOf(run)).toMatchObject({ code: 'DATA_DIR_FOREIGN', message: expect.stringContaining('letter.txt') })
    expect(readdirSync(data)).toEqual(['letter.txt'])
  })

  test('a directory of a newer version stays as it is', async () => {
    const data = join(temporaryFolder(), 'data')
    mkdirSync(data)
    const stamp = `${JSON.stringify({ format: 1000 })}\n`
    writeFileSync(join(data, 'MILLRACE'), stamp)
    const run = await serve(data)
    expect(run.code).toBe(1)
    expect(errorOf(run)).toMatchObject({ code: 'DATA_DIR_NEWER', message: expect.stringContaining('1000') })
    expect(readdirSync(data)).toEqual(['MILLRACE'])
    expect(readFileSync(join(data, 'MILLRACE'), 'utf8')).toBe(stamp)
  })

  test('a port that something else listens on; the directory is free again', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo
    const data = join(temporaryFolder(), 'data')
    const run = await millrace(['serve', '--data', data, '--port', String(port), '--json'])
    expect(run.code).toBe(1)
    expect(run.stdout).toBe('')
    expect(errorOf(run)).toMatchObject({ code: 'PORT_IN_USE', message: expect.stringContaining(String(port)) })
    expect(await (await start({ data })).stop()).toBe(0)
  })

  test('another address than loopback, when nobody said that it is meant', async () => {
    const data = join(temporaryFolder(), 'data')
    const run = await millrace(['serve', '--data', data, '--port', '0', '--json'], {
      env: { MILLRACE_LISTEN_HOST: '0.0.0.0' },
    })
    expect(run.code).toBe(2)
    expect(errorOf(run)).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('listen.insecure') })
  })

  test('an unknown setting', async () => {
    const config = join(temporaryFolder(), 'millrace.yaml')
    writeFileSync(config, 'listen:\n  prt: 8000\n')
    const run = await serve(join(temporaryFolder(), 'data'), '--config', config)
    expect(run.code).toBe(2)
    expect(errorOf(run).message).toContain('listen.prt: unknown; is listen.port meant?')
  })
})

describe('a stop', () => {
  test('answers what is in flight, and what it answered is there again', async () => {
    const data = join(temporaryFolder(), 'data')
    const daemon = await start({ data })
    await daemon.v1('POST', 'streams', { name: 'clicks' })
    const { shards } = await daemon.v1<{ shards: { id: number }[] }>('GET', 'streams/clicks/shards')
    const records = `${daemon.url}/v1/streams/clicks/records`
    const body = JSON.stringify({ records: [{ key: 'a', value: 'written while it stopped' }] })
    const append = await begun(records, 'POST', body)
    const poll = await begun(`${records}?shard=${shards[0]!.id}&wait=20000`, 'GET')
    poll.end()
    const polled = answerOf(poll)
    const code = daemon.stop()
    // The poll's answer shows that the stop has begun.
    expect(await polled).toMatchObject({ status: 200, body: { records: [], ended: false } })
    const appended = answerOf(append)
    append.end(body)
    expect(await appended).toMatchObject({ status: 200, body: { count: 1 } })
    expect(await code).toBe(0)

    const again = await start({ data })
    const page = await again.v1('GET', `streams/clicks/records?shard=${shards[0]!.id}`)
    expect(page).toMatchObject({ records: [{ key: 'a', value: 'written while it stopped' }] })
  })

  test('does not wait for ever for a client that does not send', async () => {
    const daemon = await start({ env: { MILLRACE_HTTP_STOP_MS_MAX: '50' } })
    const silent = await begun(`${daemon.url}/v1/streams`, 'POST', '{"name":"clicks"}')
    const cut = new Promise((resolve) => silent.once('error', resolve))
    expect(await daemon.stop()).toBe(0)
    await cut
  })

  test('leaves no kill behind that a start would mind', async () => {
    const data = join(temporaryFolder(), 'data')
    const killed = await start({ data })
    await killed.v1('POST', 'streams', { name: 'clicks' })
    await killed.kill()
    expect(await (await start({ data })).v1('GET', 'streams/clicks')).toMatchObject({ name: 'clicks' })
  })
})

test('a disk with less free space than commit.freeBytesMin: writes are refused, reads go on', async () => {
  const data = join(temporaryFolder(), 'data')
  const before = await start({ data })
  await before.v1('POST', 'streams', { name: 'clicks' })
  await before.v1('POST', 'streams/clicks/records', { records: [{ key: 'a', value: 1 }] })
  await before.aws('CreateTable', {
    TableName: 'things',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  const item = { id: { S: 'one' } }
  await before.aws('PutItem', { TableName: 'things', Item: item })
  expect(await before.stop()).toBe(0)

  const full = await start({ data, env: { MILLRACE_COMMIT_FREE_BYTES_MIN: String(Number.MAX_SAFE_INTEGER) } })
  const append = await millrace(['append', 'clicks', 'b', '2', '--url', full.url, '--json'])
  expect(append.code).toBe(1)
  expect(errorOf(append).code).toBe('STORAGE_FULL')
  await expect(full.aws('PutItem', { TableName: 'things', Item: { id: { S: 'two' } } })).rejects.toMatchObject({
    type: 'ServiceUnavailable',
    message: expect.stringContaining('STORAGE_FULL'),
  } satisfies Partial<AwsFailure>)
  const tail = await millrace(['tail', 'clicks', '--from', 'oldest', '--no-follow', '--url', full.url])
  expect(
    tail.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { key: string }).key),
  ).toEqual(['a'])
  expect(await full.aws('GetItem', { TableName: 'things', Key: item })).toMatchObject({ Item: item })
  expect(await full.v1('GET', 'status')).toMatchObject({ state: 'ready', storageFull: true })
  expect(await (await fetch(`${full.url}/metrics`)).text()).toContain('\nmillrace_storage_full 1\n')
  expect(await full.stop()).toBe(0)
})
