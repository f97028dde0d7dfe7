import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess, type StreamRecord } from '../daemon-process.js'
import { CuttingProxy } from './cutting-proxy.js'
import { expectedArchive, inserts, past, writeHistory } from './todo-records.js'
import { countsOf, itemsOf } from './todo-tables.js'

type Handler = (event: object, context: object, callback: (error: unknown, said: string) => void) => void

const require = createRequire(import.meta.url)
let daemon: DaemonProcess
let proxy: CuttingProxy
let records: readonly StreamRecord[]

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ args: ['--ephemeral'] })
  records = await writeHistory(daemon)
  proxy = await CuttingProxy.start(daemon.url)
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
  require('aws-sdk').config.update({ endpoint: proxy.url, region: 'us-east-1', maxRetries: 0, credentials })
  for (const say of ['log', 'error'] as const) vi.spyOn(console, say).mockImplementation(() => {})
})

afterAll(async () => {
  await proxy?.stop()
  await daemon?.stop()
})

async function call(file: string): Promise<void> {
  const { handler } = require(`../../examples/todo/functions/${file}`) as { handler: Handler }
  const said = await new Promise<string>((resolve) =>
    handler({ Records: records }, {}, (_error, text) => resolve(text)),
  )
  expect(said).toBe(`Successfully processed ${records.length} records.`)
}

describe('the functions in the style of most guides do what the pages say is wrong with them', () => {
  test('the count says that all is well before its first request, and loses those that fail', async () => {
    let requests = 0
    proxy.fate = () => (++requests % 2 === 0 ? 'answered' : 'lost')
    await call('count-guide.js')
    expect(requests).toBe(0)
    const total = Object.values(inserts).reduce((sum, n) => sum + n)
    await expect.poll(() => requests).toBe(total)
    const counted = async () => Object.values(await countsOf(daemon, 'todoTaskCount')).reduce((sum, n) => sum + n, 0)
    await expect.poll(counted).toBe(Math.floor(total / 2))
  })

  test('the archive keeps what a user deleted too, and cuts long numbers', async () => {
    proxy.fate = () => 'answered'
    await call('archive-guide.js')
    const ids = async () =>
      (await itemsOf(daemon, 'todoListTaskArchived')).map(({ ListId, TaskId }) => `${ListId?.N}/${TaskId?.S}`).sort()
    await expect.poll(ids).toEqual(['1/d', ...expectedArchive].sort())
    for (const { Exact } of await itemsOf(daemon, 'todoListTaskArchived')) expect(Exact).not.toEqual(past.Exact)
  })
})
