import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess, type StreamRecord } from '../daemon-process.js'
import { CuttingProxy, type Fate } from './cutting-proxy.js'
import { expectedArchive, expectedCounts, inserts, past, writeHistory } from './todo-records.js'
import { countsOf, itemsOf } from './todo-tables.js'

type Handler = (event: { readonly Records: readonly StreamRecord[] }) => Promise<unknown>

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const path = fileURLToPath(new URL('../../examples/todo/functions/count-guide.js', import.meta.url))
const settings = { path, triggers: [{ table: 'todoListTask' }], timeoutMs: 60_000 }
/** The function that most guides show, from its file as it is. */
const functions = {
  countGuide: { ...settings, environment: { COUNT_TABLE: 'countedByGuide' } },
  countGuideLater: { ...settings, environment: { COUNT_TABLE: 'comesLater' }, failOnUnhandledSdkError: true },
}
let daemon: DaemonProcess
let proxy: CuttingProxy
let records: readonly StreamRecord[]
let countTasks: Handler
let archiveExpired: Handler

const makeCountTable = (TableName: string) =>
  daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'ListId', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'ListId', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })

beforeAll(async () => {
  ensureBuilt()
  const config = join(folder, 'millrace.yaml')
  writeFileSync(config, JSON.stringify({ functions, functionHost: { initMsMax: 60_000 } }))
  daemon = await DaemonProcess.start({ args: ['--ephemeral', '--config', config] })
  await makeCountTable('countedByGuide')
  records = await writeHistory(daemon)
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
})

afterAll(async () => {
  await proxy?.stop()
  await daemon?.stop()
  rmSync(folder, { recursive: true, force: true })
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
    const counting = records.filter(({ eventName }) => eventName !== 'MODIFY')
    expect((await itemsOf(daemon, 'todoTaskCounted')).length).toBe(counting.length)
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
})

describe('a function in the style of most guides, in the daemon, from its file as it is', () => {
  test('counts every insert when nothing fails', async () => {
    await expect.poll(() => countsOf(daemon, 'countedByGuide')).toEqual(inserts)
  })

  test('loses nothing where a call fails whose requests have failed', async () => {
    const errors = async () =>
      (await daemon.v1<{ counts: { errors: number } }>('GET', 'functions/countGuideLater')).counts.errors
    await expect.poll(errors).toBeGreaterThan(0)
    await makeCountTable('comesLater')
    // At least once: of a call that failed in part, some came again.
    const missing = async () => {
      const counts = await countsOf(daemon, 'comesLater')
      return Object.entries(inserts).filter(([list, n]) => (counts[list] ?? 0) < n)
    }
    await expect.poll(missing).toEqual([])
  })
})
