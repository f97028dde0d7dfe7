import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { bundleModule } from '../../src/workers/bundle.js'
import { ensureBuilt } from '../built.js'
import { DaemonProcess, readStream } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { countsOf, createTodoTables, itemsOf } from './todo-tables.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const lists = [1, 2, 3]
const kills = process.env.MILLRACE_LONG ? 20 : 2
const writesBetweenKills = 30
let daemon: DaemonProcess

beforeAll(ensureBuilt)

const functionOf = (file: string, environment: object, ...filters: readonly { pattern: string }[]) => ({
  path: join(root, 'examples/todo/functions', file),
  environment,
  timeoutMs: 60_000,
  triggers: [{ table: 'todoListTask', batchSize: 7, filterCriteria: { filters } }],
})
const expired = { pattern: '{"userIdentity":{"type":["Service"],"principalId":["dynamodb.amazonaws.com"]}}' }
const configuration = {
  functionHost: { initMsMax: 60_000 },
  functions: {
    countTasks: functionOf('count-tasks.mjs', { COUNT_TABLE: 'todoTaskCountByTrigger' }),
    archiveExpired: functionOf('archive-expired.mjs', { ARCHIVE_TABLE: 'archivedByTrigger' }, expired),
  },
}

/** Written until it is answered, since the daemon is killed meanwhile. */
async function insist(operation: string, input: object): Promise<void> {
  for (;;) {
    try {
      await daemon.aws(operation, { TableName: 'todoListTask', ...input })
      return
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

/** Ids of the items of an archive. */
const idsOf = async (table: string): Promise<string[]> =>
  (await itemsOf(daemon, table)).map(({ ListId, TaskId }) => `${ListId?.N}/${TaskId?.S}`).sort()

async function counted(): Promise<Record<string, number>> {
  const counts: Record<string, number> = Object.fromEntries(lists.map((list) => [list, 0]))
  for (const { ListId } of await itemsOf(daemon, 'todoListTask')) counts[ListId?.N as string]!++
  return counts
}

test('functions and pipelines count and archive the same, which is right, while the daemon is killed', async () => {
  const folder = temporaryFolder()
  const data = join(folder, 'data')
  const config = join(folder, 'millrace.yaml')
  writeFileSync(config, JSON.stringify(configuration))
  const start = () => DaemonProcess.start({ data, args: ['--config', config] })
  daemon = await start()
  onTestFinished(() => daemon.kill())
  const arn = await createTodoTables(daemon)
  await daemon.aws('CreateTable', {
    TableName: 'todoTaskCountByTrigger',
    AttributeDefinitions: [{ AttributeName: 'ListId', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'ListId', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  await daemon.aws('CreateTable', {
    TableName: 'archivedByTrigger',
    AttributeDefinitions: [
      { AttributeName: 'ListId', AttributeType: 'N' },
      { AttributeName: 'TaskId', AttributeType: 'S' },
    ],
    KeySchema: [
      { AttributeName: 'ListId', KeyType: 'HASH' },
      { AttributeName: 'TaskId', KeyType: 'RANGE' },
    ],
    BillingMode: 'PAY_PER_REQUEST',
  })
  for (const file of ['pipeline.ts', 'archive.ts']) {
    const bundle = await bundleModule(join(root, 'examples/todo', file))
    await daemon.v1('POST', 'pipelines', { bundle })
  }

  const expiring: string[] = []
  let written = 0
  let round = 0
  const write = async (): Promise<void> => {
    while (round < kills || written < kills * writesBetweenKills) {
      const task = `${++written}`
      const number = written
      const list = lists[number % lists.length] as number
      const key = { ListId: { N: String(list) }, TaskId: { S: task } }
      // Three of ten expire, three are deleted, four stay.
      const fate = number % 10
      // In the past: due as soon as the table looks.
      const ExpiresAt = { N: String(Math.floor(Date.now() / 1000) - 2) }
      await insist('PutItem', { Item: { ...key, Description: { S: task }, ...(fate < 3 ? { ExpiresAt } : {}) } })
      if (fate < 3) expiring.push(`${list}/${task}`)
      else if (fate < 6) await insist('DeleteItem', { Key: key })
    }
  }
  const writing = Promise.all([write(), write(), write()])
  for (; round < kills; round++) {
    while (written < (round + 1) * writesBetweenKills) await new Promise((resolve) => setTimeout(resolve, 5))
    await daemon.kill()
    daemon = await start()
  }
  await writing

  await expect.poll(() => idsOf('todoListTaskArchived')).toEqual([...expiring].sort())
  await expect.poll(() => idsOf('archivedByTrigger')).toEqual([...expiring].sort())
  // As many notes as there are records that count: none was passed over, and nothing is left that could count again.
  const records = (await readStream(daemon, arn)).filter(({ eventName }) => eventName !== 'MODIFY')
  await expect.poll(async () => (await itemsOf(daemon, 'todoTaskCounted')).length).toBe(records.length)
  const expected = await counted()
  expect(await countsOf(daemon, 'todoTaskCountByTrigger')).toEqual(expected)
  await expect.poll(() => countsOf(daemon, 'todoTaskCount')).toEqual(expected)
})
