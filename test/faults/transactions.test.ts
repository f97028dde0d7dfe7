import { expect, it } from 'vitest'
import { AwsFailure, DaemonProcess, readStream } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'

const kills = Number(process.env.MILLRACE_TEST_KILLS ?? (process.env.MILLRACE_LONG ? 200 : 8))
const tables = ['transacted-one', 'transacted-two'] as const
const groups = 6

/** Three items over two tables, always written by one transaction. */
const itemsOf = (group: number) =>
  [
    { TableName: tables[0], Key: { pk: { S: `${group} a` } } },
    { TableName: tables[0], Key: { pk: { S: `${group} b` } } },
    { TableName: tables[1], Key: { pk: { S: `${group} c` } } },
  ] as const

interface Group {
  /** How often its transaction was acknowledged. */
  done: number
  /** A token whose transaction may have been done. */
  unknown: string | undefined
}

async function transact(daemon: DaemonProcess, group: number, ClientRequestToken: string): Promise<void> {
  await daemon.aws('TransactWriteItems', {
    ClientRequestToken,
    TransactItems: itemsOf(group).map((item) => ({
      Update: { ...item, UpdateExpression: 'ADD n :one', ExpressionAttributeValues: { ':one': { N: '1' } } },
    })),
  })
}

async function writeUntilGone(daemon: DaemonProcess, known: Group[], round: number): Promise<void> {
  await Promise.all(
    known.map(async (group, number) => {
      for (let i = 0; ; i++) {
        group.unknown = `${round}-${number}-${i}`
        try {
          await transact(daemon, number, group.unknown)
        } catch (error) {
          // Whatever the daemon answers is an answer; a connection that breaks leaves the outcome open.
          if (error instanceof AwsFailure) throw error
          return
        }
        group.done++
        group.unknown = undefined
      }
    }),
  )
}

async function counts(daemon: DaemonProcess, group: number): Promise<number[]> {
  const { Responses } = await daemon.aws<{ Responses: { Item?: { n: { N: string } } }[] }>('TransactGetItems', {
    TransactItems: itemsOf(group).map((Get) => ({ Get })),
  })
  return Responses.map(({ Item }) => Number(Item?.n.N ?? 0))
}

it(`kill -9 under transactions, ${kills} times: each is there whole or not at all, and once for its token`, {
  timeout: 1_800_000,
}, async () => {
  const data = temporaryFolder()
  let daemon = await DaemonProcess.start({ data })
  let streamArn = ''
  for (const TableName of tables) {
    const made = await daemon.aws<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', {
      TableName,
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    })
    if (TableName === tables[0]) streamArn = made.TableDescription.LatestStreamArn
  }
  const known: Group[] = Array.from({ length: groups }, () => ({ done: 0, unknown: undefined }))
  for (let round = 0; round < kills; round++) {
    const writing = writeUntilGone(daemon, known, round)
    await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 200))
    await daemon.kill()
    await writing
    daemon = await DaemonProcess.start({ data })
    for (const [number, group] of known.entries()) {
      const found = await counts(daemon, number)
      expect(new Set(found).size).toBe(1)
      expect([group.done, group.done + (group.unknown ? 1 : 0)]).toContain(found[0])
      if (!group.unknown) continue
      await transact(daemon, number, group.unknown)
      group.done++
      expect(await counts(daemon, number)).toEqual([group.done, group.done, group.done])
    }
  }
  // Each transaction has its two records in this table's stream, no more and no less.
  const records = await readStream(daemon, streamArn)
  const seen = new Map<string, number>()
  for (const { dynamodb } of records) {
    const key = dynamodb.Keys.pk!.S!
    const before = seen.get(key) ?? 0
    expect(Number(dynamodb.NewImage!.n!.N)).toBe(before + 1)
    seen.set(key, before + 1)
  }
  for (const [number, { done }] of known.entries())
    for (const name of ['a', 'b']) expect(seen.get(`${number} ${name}`)).toBe(done)
  expect(known.reduce((sum, { done }) => sum + done, 0)).toBeGreaterThan(kills)
  expect(await daemon.stop()).toBe(0)
})
