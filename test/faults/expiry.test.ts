import { expect, it } from 'vitest'
import { DaemonProcess, readStream } from '../daemon-process.js'
import { temporaryFolder } from '../temporary-folder.js'

const kills = Number(process.env.MILLRACE_TEST_KILLS ?? (process.env.MILLRACE_LONG ? 100 : 6))
const TableName = 'expiring'
const writersMax = 8

interface Described {
  readonly Table: { readonly LatestStreamArn: string }
}

it(`kill -9 while items expire, ${kills} times: each acknowledged item has one INSERT and one REMOVE of the service`, {
  timeout: 1_800_000,
}, async () => {
  const data = temporaryFolder()
  const env = { MILLRACE_TTL_SWEEP_MS: '10', MILLRACE_TTL_ROWS_AT_ONCE_MAX: '16', MILLRACE_LOG_LEVEL: 'silent' }
  let daemon = await DaemonProcess.start({ data, env })
  await daemon.aws('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
  })
  await daemon.aws('UpdateTimeToLive', {
    TableName,
    TimeToLiveSpecification: { AttributeName: 'until', Enabled: true },
  })
  const acknowledged = new Set<string>()
  let next = 0

  /** Items that are due as they are written: the sweeper is at work all the time. */
  async function writeUntilGone(): Promise<void> {
    for (;;) {
      const pk = `i${next++}`
      const until = { N: String(Math.floor(Date.now() / 1000) - 1) }
      try {
        await daemon.aws('PutItem', { TableName, Item: { pk: { S: pk }, until } })
        acknowledged.add(pk)
      } catch {
        return
      }
    }
  }

  for (let round = 0; round < kills; round++) {
    const before = acknowledged.size
    const writing = Array.from({ length: writersMax }, () => writeUntilGone())
    // However slow the machine is, some were written.
    while (acknowledged.size < before + 20 + ((round * 37) % 200))
      await new Promise((resolve) => setTimeout(resolve, 5))
    await daemon.kill()
    await Promise.all(writing)
    daemon = await DaemonProcess.start({ data, env })
  }
  const count = async () =>
    (await daemon.aws<{ Count: number }>('Scan', { TableName, Select: 'COUNT', ConsistentRead: true })).Count
  while ((await count()) > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  const { Table } = await daemon.aws<Described>('DescribeTable', { TableName })
  const stories = new Map<string, string[]>()
  for (const record of await readStream(daemon, Table.LatestStreamArn)) {
    const { eventName, dynamodb } = record
    const { userIdentity } = record as { userIdentity?: { Type: string; PrincipalId: string } }
    const pk = dynamodb.Keys.pk!.S as string
    const by = userIdentity ? ` ${userIdentity.Type} ${userIdentity.PrincipalId}` : ''
    stories.set(pk, [...(stories.get(pk) ?? []), eventName + by])
  }
  for (const pk of acknowledged) expect(stories.has(pk), pk).toBe(true)
  for (const [pk, story] of stories) expect(story, pk).toEqual(['INSERT', 'REMOVE Service dynamodb.amazonaws.com'])
  const metrics = await (await fetch(`${daemon.url}/metrics`)).text()
  expect(metrics).toMatch(/^millrace_ttl_lag_seconds 0$/m)
  expect(metrics).toMatch(/^millrace_ttl_deleted_total \d+$/m)
  expect(await daemon.stop()).toBe(0)
})
