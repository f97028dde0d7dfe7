/**
 * kill -9 while an index is put on a table that is written to, and while it is taken off: afterwards the work goes on where it
 * was, and entries and items agree.
 */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openStorage } from '../../src/storage/index.js'
import { ensureBuilt } from '../built.js'
import { AwsFailure, DaemonProcess } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'
import { indexFaults, scanAll } from './index-agreement.js'
import { untilGone } from './load.js'

const TableName = 'indexed'
const itemCount = 2500
/** Latched pages of 250 items (src/tables/catalogue/backfill.ts), three of them in a life. */
const stepsOfLife = 3
const livesMax = Math.ceil(itemCount / 250 / (stepsOfLife - 1)) + 2

type Described = { Table: { GlobalSecondaryIndexes?: { IndexStatus: string }[] } }

it('an index that is being filled or removed goes on after kills, and agrees with its table', {
  timeout: 600_000,
}, async () => {
  ensureBuilt()
  const data = join(temporaryFolder(), 'data')
  const start = (killAt?: string) =>
    DaemonProcess.start({
      data,
      env: { MILLRACE_LOG_LEVEL: 'error', ...(killAt ? { MILLRACE_TEST_KILL_AT: killAt } : {}) },
    })
  let daemon = await start()
  await daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  for (let i = 0; i < itemCount; i += 25) {
    const put = Array.from({ length: 25 }, (_, j) => ({
      PutRequest: { Item: { id: { S: `item ${i + j}` }, by: { S: `group ${(i + j) % 7}` } } },
    }))
    await daemon.aws('BatchWriteItem', { RequestItems: { [TableName]: put } })
  }
  expect(await daemon.stop()).toBe(0)

  let lives = 0
  let isMade = false
  let number = 0
  /** Moves items between groups and takes them out of the index; each life writes others. */
  const write = async () => {
    const id = { S: `item ${(number++ * 37) % itemCount}` }
    if (number % 5 === 0) await daemon.aws('PutItem', { TableName, Item: { id } })
    else await daemon.aws('PutItem', { TableName, Item: { id, by: { S: `moved ${number % 3}` } } })
  }
  for (;;) {
    expect(++lives).toBeLessThanOrEqual(livesMax)
    daemon = await start(`table:backfilled:${stepsOfLife}`)
    const writers = [untilGone(daemon, write), untilGone(daemon, write)]
    if (!isMade) {
      // The answer may be lost with the daemon; the next life says whether there is an index.
      await daemon
        .aws('UpdateTable', {
          TableName,
          AttributeDefinitions: [{ AttributeName: 'by', AttributeType: 'S' }],
          GlobalSecondaryIndexUpdates: [
            {
              Create: {
                IndexName: 'index',
                KeySchema: [{ AttributeName: 'by', KeyType: 'HASH' }],
                Projection: { ProjectionType: 'ALL' },
              },
            },
          ],
        })
        .catch(orGone)
    }
    const ended = await Promise.race([daemon.exited.then(() => 'killed'), whenActive().then(() => 'active')])
    if (ended === 'active') {
      await daemon.kill()
      await Promise.all(writers)
      break
    }
    isMade = true
    await Promise.all(writers)
  }
  expect(lives).toBeGreaterThan(2)

  daemon = await start('table:swept:2')
  expect(await indexFaults(daemon, TableName, 'index', 'by')).toEqual([])
  expect((await scanAll(daemon, { TableName, IndexName: 'index' })).length).toBeGreaterThan(itemCount / 2)
  await daemon
    .aws('UpdateTable', { TableName, GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: 'index' } }] })
    .catch(orGone)
  await daemon.exited
  expect(daemon.child.signalCode).toBe('SIGKILL')
  expect(await entriesIn(data)).toBeGreaterThan(0)
  daemon = await start()
  const { Table } = await daemon.aws<Described>('DescribeTable', { TableName })
  expect(Table.GlobalSecondaryIndexes).toBeUndefined()
  expect((await scanAll(daemon, { TableName })).length).toBe(itemCount)
  // A stop ends what it is at and no more: so lives are needed until all is gone.
  for (let life = 0; ; life++) {
    expect(await daemon.stop()).toBe(0)
    if ((await entriesIn(data)) === 0) break
    expect(life).toBeLessThan(10)
    daemon = await start()
    await daemon.aws('DescribeTable', { TableName })
  }

  async function whenActive(): Promise<void> {
    for (;;) {
      const described = await daemon.aws<Described>('DescribeTable', { TableName }).catch(orGone)
      if (described?.Table.GlobalSecondaryIndexes?.[0]?.IndexStatus === 'ACTIVE') return
      if (!described) await new Promise(() => {})
    }
  }
})

function orGone(error: unknown): undefined {
  if (error instanceof AwsFailure) throw error
}

/** Entries of indexes in the store of a daemon that is not there. */
async function entriesIn(data: string): Promise<number> {
  const storage = await openStorage({
    path: join(data, 'store'),
    createIfMissing: false,
    writeBufferBytes: 1 << 20,
    compression: true,
    blockCacheBytes: 1 << 20,
    nativeCachePath: join(data, 'native'),
  })
  const range = { gte: Buffer.from([0x13]), lt: Buffer.from([0x14]), limit: 100_000, bytesMax: 1 << 30, values: false }
  const { keys } = await storage.page(range)
  await storage.close()
  return keys.length
}
