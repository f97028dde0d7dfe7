import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess, type StreamRecord } from '../daemon-process.js'
import { CuttingProxy, type Fate } from './cutting-proxy.js'
import { countsOf, createTodoTables, itemsOf, triggerRecords } from './todo-tables.js'

interface Event {
  readonly Records: readonly StreamRecord[]
}
type Handler = (event: Event) => Promise<unknown>
type CallbackHandler = (event: Event, context: object, callback: (error: unknown, result: string) => void) => void

const require = createRequire(import.meta.url)
let daemon: DaemonProcess
let proxy: CuttingProxy
let records: readonly StreamRecord[]
let countTasks: Handler
let archiveExpired: Handler
let countGuide: CallbackHandler

const key = (list: number, task: string) => ({ ListId: { N: String(list) }, TaskId: { S: task } })
const put = (list: number, task: string, more: object = {}) =>
  daemon.aws('PutItem', { TableName: 'todoListTask', Item: { ...key(list, task), ...more } })
const past = {
  ExpiresAt: { N: String(Math.floor(Date.now() / 1000) - 10) },
  Exact: { N: '0.12345678901234567890123456789' },
}

/** What the history below leaves behind. */
const expectedCounts = { 1: 2, 2: 0, 3: 9 }
const expectedArchive = ['1/c', '2/a', '2/b']

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ args: ['--ephemeral'] })
  const arn = await createTodoTables(daemon)
  for (const task of ['a', 'b', 'c', 'd']) await put(1, task)
  await daemon.aws('DeleteItem', { TableName: 'todoListTask', Key: key(1, 'd') })
  for (const [list, task] of [
    [1, 'c'],
    [2, 'a'],
    [2, 'b'],
  ] as const)
    await put(list, task, past)
  for (let i = 0; i < 9; i++) await put(3, `many ${i}`)
  await vi.waitUntil(async () => (await itemsOf(daemon, 'todoListTask')).length === 11, { timeout: 120_000 })
  records = await triggerRecords(daemon, arn)

  proxy = await CuttingProxy.start(daemon.url)
  // As the daemon gives it to the functions that it runs; one attempt, so that what fails reaches the handler.
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: proxy.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'any',
    AWS_SECRET_ACCESS_KEY: 'any',
    AWS_MAX_ATTEMPTS: '1',
  })
  countTasks = (await import('../../examples/todo/functions/count-tasks.mjs' as string)).handler
  archiveExpired = (await import('../../examples/todo/functions/archive-expired.mjs' as string)).handler
  require('aws-sdk').config.update({ endpoint: proxy.url, region: 'us-east-1', maxRetries: 0 })
  countGuide = require('../../examples/todo/functions/count-guide.js').handler
})

afterAll(async () => {
  await proxy?.stop()
  await daemon?.stop()
})

/** Delivers the records as a trigger does: in batches, each again until it succeeds, and one that succeeded sometimes once more. */
async function deliver(handler: Handler, batchSize: number): Promise<number> {
  let failures = 0
  for (let at = 0; at < records.length; at += batchSize) {
    const batch = { Records: records.slice(at, at + batchSize) }
    for (let wanted = at % 3 === 0 ? 2 : 1; wanted > 0; ) {
      try {
        await handler(batch)
        wanted--
      } catch {
        failures++
      }
    }
  }
  return failures
}

/** Each of the fates in turn, at a distance that fits no batch. */
const fates = (): (() => Fate) => {
  let request = 0
  return () => (++request % 5 === 2 ? 'answerLost' : request % 7 === 3 ? 'lost' : 'answered')
}

describe('the functions of the to-do example', () => {
  test('count each record once, whatever is delivered again and whichever requests are cut', async () => {
    proxy.fate = fates()
    expect(await deliver(countTasks, 4)).toBeGreaterThan(3)
    expect(await countsOf(daemon, 'todoTaskCount')).toEqual(expectedCounts)
    // Each record that counts has its note, which goes when the record cannot come again.
    expect((await itemsOf(daemon, 'todoTaskCounted')).length).toBe(
      records.filter(({ eventName }) => eventName !== 'MODIFY').length,
    )
  })

  test('archive what expired, to the last digit, and nothing that a user deleted', async () => {
    proxy.fate = fates()
    await deliver(archiveExpired, 4)
    const archived = await itemsOf(daemon, 'todoListTaskArchived')
    expect(archived.map(({ ListId, TaskId }) => `${ListId?.N}/${TaskId?.S}`).sort()).toEqual(expectedArchive)
    for (const { Exact } of archived) expect(Exact).toEqual(past.Exact)
  })

  test('fail where the stream shows no old items, in place of archiving nothing', async () => {
    const Records = records.map((record) => ({ ...record, dynamodb: { ...record.dynamodb, OldImage: undefined } }))
    await expect(archiveExpired({ Records: Records as never })).rejects.toThrow('shows no old items to archive')
  })

  test('in the style of most guides say that all is well, and lose what failed', async () => {
    for (const say of ['log', 'error'] as const) vi.spyOn(console, say).mockImplementation(() => {})
    const before = await countsOf(daemon, 'todoTaskCount')
    let requests = 0
    proxy.fate = () => (++requests % 2 === 0 ? 'answered' : 'lost')
    const inserts = records.filter(({ eventName }) => eventName === 'INSERT')
    const said = await new Promise<string>((resolve) =>
      countGuide({ Records: records }, {}, (_error, result) => resolve(result)),
    )
    expect(said).toBe(`Successfully processed ${records.length} records.`)
    // It had answered before its first request was sent.
    expect(requests).toBe(0)
    await expect.poll(() => requests).toBe(inserts.length)
    proxy.fate = () => 'answered'
    const total = (counts: Readonly<Record<string, number>>) => Object.values(counts).reduce((sum, n) => sum + n, 0)
    await expect
      .poll(async () => total(await countsOf(daemon, 'todoTaskCount')) - total(before))
      .toBe(Math.floor(inserts.length / 2))
  })

  const root = fileURLToPath(new URL('../../', import.meta.url))
  const millrace = (...args: string[]) =>
    promisify(execFile)(process.execPath, ['dist/cli/main.cjs', ...args, '--url', daemon.url], { cwd: root })
  const makeCountTable = (TableName: string) =>
    daemon.aws('CreateTable', {
      TableName,
      AttributeDefinitions: [{ AttributeName: 'ListId', AttributeType: 'N' }],
      KeySchema: [{ AttributeName: 'ListId', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
  /** The function that most guides show, from its file as it is. */
  async function triggerGuide(name: string, table: string, ...more: string[]): Promise<void> {
    const path = 'examples/todo/functions/count-guide.js'
    await millrace('functions', 'create', name, '--path', path, '--env', `COUNT_TABLE=${table}`, ...more)
    await millrace('functions', 'trigger', name, '--table', 'todoListTask')
  }
  const inserts = { 1: 4, 2: 2, 3: 9 }

  test('run in the daemon from their files, in the style of most guides too: every insert is counted when nothing fails', async () => {
    await makeCountTable('countedByGuide')
    await triggerGuide('countGuide', 'countedByGuide')
    await expect.poll(() => countsOf(daemon, 'countedByGuide')).toEqual(inserts)
  })

  test('lose nothing in the daemon, when a call fails whose requests have failed', async () => {
    await triggerGuide('countGuideLater', 'comesLater', '--fail-on-sdk-error')
    const errors = async () =>
      (await daemon.v1<{ counts: { errors: number } }>('GET', 'functions/countGuideLater')).counts.errors
    await expect.poll(errors).toBeGreaterThan(0)
    await makeCountTable('comesLater')
    // At least once: of a call that failed in part, some came again.
    await expect
      .poll(
        async () =>
          Object.entries(await countsOf(daemon, 'comesLater')).filter(([list, n]) => n >= inserts[list as '1']).length,
      )
      .toBe(3)
  })
})
