import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { FunctionHost, FunctionLogs, newHandlerKey } from '../../src/functions/index.js'
import { silentLogger, systemClock } from '../../src/runtime/index.js'
import { ensureBuilt } from '../built.js'
import { temporaryFolder } from '../temporary-folder.js'

beforeAll(ensureBuilt)

/** Its first function has code when a test places it. */
function openHost() {
  const root = temporaryFolder()
  const clock = systemClock
  const options = { threadsMax: 4, idleMs: 60_000, initMsMax: 60_000, rssBytesMax: 1e12, region: 'us-east-1', clock }
  const logs = new FunctionLogs({ folder: temporaryFolder(), logBytesMax: 1 << 20, clock, logger: silentLogger })
  const host = new FunctionHost({ ...options, key: newHandlerKey(), logs, logger: silentLogger })
  host.serveAt('http://127.0.0.1:1')
  // What they have taken is in their folder before it goes.
  onTestFinished(() => logs.close())
  onTestFinished(() => host.close())
  let isPlaced = (_: string): void => {}
  const placed = new Promise<string>((resolve) => {
    isPlaced = resolve
  })
  const settings = { description: '', timeoutMs: 20_000, memoryMb: 64, concurrency: 2, environment: {} }
  const called = (revision: number, code: () => Promise<string>) => ({
    name: 'f',
    arn: 'arn',
    settings: { ...settings, failOnUnhandledSdkError: false },
    handler: 'index.handler',
    revision,
    code: async () => ({ root: await code(), release: () => {} }),
  })
  const first = called(1, () => placed)
  const place = (text: string) => {
    writeFileSync(join(root, 'index.js'), text)
    isPlaced(root)
  }
  const invoke = (revision = first, event: unknown = {}) =>
    host.invoke(revision, { payload: new Uint8Array(Buffer.from(JSON.stringify(event))) })
  return { host, called, invoke, place, root }
}

test('a call whose thread begins while its function is changed ends as it began', async () => {
  const { host, called, invoke, place, root } = openHost()
  const calling = invoke()
  const retiring = host.retire('f', false)
  const next = called(2, async () => root)
  place('exports.handler = async () => "well"')
  expect(await calling).toMatchObject({ payload: '"well"' })
  await retiring
  expect(await invoke(next)).toMatchObject({ payload: '"well"' })
  // The thread of the one before has no further call.
  await expect.poll(() => host.threads).toBe(1)
})

test('code that cannot be read takes nothing from the revision that came after', async () => {
  const { host, called, invoke, place, root } = openHost()
  let fail = (_: Error): void => {}
  const broken = new Promise<string>((_, reject) => {
    fail = reject
  })
  const calling = invoke(called(1, () => broken))
  void host.retire('f', false)
  place('exports.handler = async () => "well"')
  const next = called(2, async () => root)
  await invoke(next)
  fail(new Error('unreadable'))
  await expect(calling).rejects.toThrow('unreadable')
  expect((await invoke(next)).logTail).not.toContain('Init Duration')
  expect(host.threads).toBe(1)
})

test('a stop ends calls of a function that was deleted, and their memory is watched until then', async () => {
  const { host, invoke, place, root } = openHost()
  const [begun, go] = [join(root, 'begun'), join(root, 'go')]
  place(`
    const { existsSync, writeFileSync } = require('node:fs')
    const kept = []
    exports.handler = ({ grows }, context, callback) => {
      if (!grows) return setInterval(() => {}, 1000)
      writeFileSync(${JSON.stringify(begun)}, '')
      setInterval(() => { if (kept.length < 20 && existsSync(${JSON.stringify(go)})) kept.push(Buffer.alloc(1 << 24, 1)) }, 1)
    }`)
  const [growing, hanging] = [invoke(undefined, { grows: true }), invoke()]
  await expect.poll(() => existsSync(begun), { timeout: 120_000 }).toBe(true)
  await host.retire('f', true)
  writeFileSync(go, '')
  expect((await growing).payload).toContain('signal: killed')
  await Promise.all([host.close(), expect(hanging).rejects.toMatchObject({ code: 'FUNCTION_STOPPED' })])
  expect(host.threads).toBe(0)
})
