import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { type AwsFailure, DaemonProcess, type StartOptions } from '../daemon-process.js'
import { freePorts } from '../free-ports.mjs'
import { temporaryFolder } from '../temporary-folder.js'
import { millrace } from './millrace.js'

beforeAll(() => ensureBuilt())

/** A daemon that goes with its test, away from the configuration of the checkout. */
async function start(options: Partial<StartOptions> = {}): Promise<DaemonProcess> {
  const data = options.data ?? join(temporaryFolder(), 'data')
  const daemon = await DaemonProcess.start({ cwd: temporaryFolder(), ...options, data })
  onTestFinished(() => daemon.kill())
  return daemon
}

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

describe('a start', () => {
  test('on an empty directory that clients wait for: nobody gets another answer than "not yet" before the first', async () => {
    const [port] = await freePorts(1)
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
  const append = await millrace(['append', 'clicks', 'b', '2', '--url', full.url])
  expect(append).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('(STORAGE_FULL)') })
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
