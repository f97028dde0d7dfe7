import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { errorOf, millrace } from './millrace.js'

beforeAll(() => ensureBuilt())

/** `serve --ephemeral` with a temporary folder of its own. */
async function start(root: string): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({ args: ['--ephemeral'], env: { TMPDIR: root }, cwd: temporaryFolder() })
  onTestFinished(() => daemon.kill())
  return daemon
}

describe('serve --ephemeral', () => {
  test.for(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'begins with nothing and leaves nothing after %s',
    async (signal) => {
      const root = temporaryFolder()
      const daemon = await start(root)
      expect(await daemon.v1('GET', 'tables')).toMatchObject({ tables: [] })
      expect(readdirSync(root).filter((name) => name.startsWith('millrace-ephemeral-'))).toHaveLength(1)
      daemon.child.kill(signal)
      expect(await daemon.exited).toBe(0)
      expect(readdirSync(root)).toEqual([])
    },
  )

  test('removes what a killed one left, and not what a running one uses or another made', async () => {
    const root = temporaryFolder()
    mkdirSync(join(root, 'millrace-other'))
    const foreign = join(root, 'millrace-ephemeral-1-1-12345-abcdef')
    mkdirSync(foreign)
    const killed = await start(root)
    const running = await start(root)
    await killed.kill()
    const third = await start(root)
    expect(readdirSync(root).filter((name) => name.startsWith('millrace-ephemeral-'))).toHaveLength(3)
    await running.v1('POST', 'streams', { name: 'clicks' })
    expect(await running.v1('GET', 'streams/clicks')).toMatchObject({ name: 'clicks' })
    expect(existsSync(foreign)).toBe(true)
    expect(await third.stop()).toBe(0)
    expect(await running.stop()).toBe(0)
    expect(readdirSync(root).sort()).toEqual(['millrace-ephemeral-1-1-12345-abcdef', 'millrace-other'])
  })

  test('a start that fails leaves nothing, and a data directory is not named beside it', async () => {
    const root = temporaryFolder()
    const run = (...args: string[]) =>
      millrace(['serve', '--ephemeral', '--json', ...args], { env: { TMPDIR: root }, cwd: temporaryFolder() })
    const daemon = await start(root)
    const taken = await run('--port', new URL(daemon.url).port)
    expect([taken.code, errorOf(taken).code]).toEqual([1, 'PORT_IN_USE'])
    const both = await run('--data', join(root, 'data'), '--port', '0')
    expect([both.code, errorOf(both).code]).toEqual([2, 'USAGE'])
    expect(await daemon.stop()).toBe(0)
    expect(readdirSync(root)).toEqual([])
  })
})
