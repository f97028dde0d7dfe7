import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess, type StartOptions } from '../daemon-process.js'
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

  test('is possible from outside with credentials, which the command shows and nobody is shown', async () => {
    const token = 'a-token-of-enough-characters'
    const env = {
      MILLRACE_AUTH_TOKEN: token,
      MILLRACE_AUTH_KEYS: 'KEY1:secret-of-key-1',
      MILLRACE_LISTEN_HOST: '0.0.0.0',
    }
    const daemon = await start({ env })
    const url = daemon.url.replace('0.0.0.0', '127.0.0.1')
    const shown = await millrace(['streams', '--url', url, '--json'], { env: { MILLRACE_AUTH_TOKEN: token } })
    expect([shown.code, JSON.parse(shown.stdout)]).toEqual([0, { streams: [] }])
    const refused = await millrace(['streams', '--url', url, '--json'])
    expect([refused.code, errorOf(refused).code]).toEqual([1, 'UNAUTHENTICATED'])
    const config = await millrace(['config', 'show', '--json'], { env })
    expect(config.stdout).toContain('auth.keys')
    for (const text of [config.stdout, config.stderr, daemon.log]) {
      expect(text).not.toContain(token)
      expect(text).not.toContain('secret-of-key-1')
    }
    expect(await daemon.stop()).toBe(0)
  })

  test('an unknown setting', async () => {
    const config = join(temporaryFolder(), 'millrace.yaml')
    writeFileSync(config, 'listen:\n  prt: 8000\n')
    const run = await serve(join(temporaryFolder(), 'data'), '--config', config)
    expect(run.code).toBe(2)
    expect(errorOf(run).message).toContain('listen.prt: unknown; is listen.port meant?')
  })
})

test('the thread pool has room for slow look-ups beside the commits', async () => {
  const threadsOf = ({ child }: DaemonProcess) =>
    Number(/^Threads:\s+(\d+)$/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))![1])
  const daemon = await start()
  const small = await start({ env: { UV_THREADPOOL_SIZE: '4' } })
  // libuv does not name its threads, so all are counted: with a pool of four there are twelve fewer than with one of sixteen. Others
  // may come and go while a daemon begins.
  await expect.poll(() => threadsOf(daemon) - threadsOf(small)).toBe(12)
})

test('a kill leaves nothing behind that a start would mind', async () => {
  const data = join(temporaryFolder(), 'data')
  const killed = await start({ data })
  await killed.v1('POST', 'streams', { name: 'clicks' })
  await killed.kill()
  expect(await (await start({ data })).v1('GET', 'streams/clicks')).toMatchObject({ name: 'clicks' })
})
