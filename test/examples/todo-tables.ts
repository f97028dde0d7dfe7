import { type DaemonProcess, readStream, type StreamRecord } from '../daemon-process.js'

const number = (AttributeName: string) => ({ AttributeName, AttributeType: 'N' })
const text = (AttributeName: string) => ({ AttributeName, AttributeType: 'S' })
const keyed = (...attributes: readonly { AttributeName: string; AttributeType: string }[]) => ({
  AttributeDefinitions: attributes,
  KeySchema: attributes.map(({ AttributeName }, i) => ({ AttributeName, KeyType: i === 0 ? 'HASH' : 'RANGE' })),
  BillingMode: 'PAY_PER_REQUEST',
})

/** The tables of the to-do example that the tests of its parts need; gives the ARN of the stream of todoListTask. */
export async function createTodoTables(daemon: DaemonProcess, views = 'NEW_AND_OLD_IMAGES'): Promise<string> {
  const taskKey = keyed(number('ListId'), text('TaskId'))
  const { TableDescription } = await daemon.aws<{ TableDescription: { LatestStreamArn: string } }>('CreateTable', {
    TableName: 'todoListTask',
    ...taskKey,
    StreamSpecification: { StreamEnabled: true, StreamViewType: views },
  })
  await daemon.aws('CreateTable', { TableName: 'todoListTaskArchived', ...taskKey })
  await daemon.aws('CreateTable', { TableName: 'todoTaskCount', ...keyed(number('ListId')) })
  await daemon.aws('CreateTable', { TableName: 'todoTaskCounted', ...keyed(text('EventId')) })
  for (const [TableName, AttributeName] of [
    ['todoListTask', 'ExpiresAt'],
    ['todoTaskCounted', 'ForgetAt'],
  ])
    await daemon.aws('UpdateTimeToLive', {
      TableName,
      TimeToLiveSpecification: { AttributeName, Enabled: true },
    })
  return TableDescription.LatestStreamArn
}

type AwsItem = Readonly<Record<string, Readonly<Record<string, string>>>>

/** All items of a small table. */
export async function itemsOf(daemon: DaemonProcess, TableName: string): Promise<readonly AwsItem[]> {
  return (await daemon.aws<{ Items: AwsItem[] }>('Scan', { TableName })).Items
}

/** What each list's count is, from the table that says it. */
export async function countsOf(daemon: DaemonProcess, TableName: string): Promise<Readonly<Record<string, number>>> {
  const items = await itemsOf(daemon, TableName)
  return Object.fromEntries(items.map(({ ListId, TaskCount }) => [ListId?.N, Number(TaskCount?.N)]))
}

/** The table's whole stream as a trigger hands it to a function: with the ARN, and with members of the identity in small letters. */
export async function triggerRecords(daemon: DaemonProcess, eventSourceARN: string): Promise<readonly StreamRecord[]> {
  const records = await readStream(daemon, eventSourceARN)
  return records.map((record) => {
    const { userIdentity } = record as { userIdentity?: { PrincipalId: string; Type: string } }
    const identity = userIdentity && { principalId: userIdentity.PrincipalId, type: userIdentity.Type }
    return { ...record, eventSourceARN, ...(identity ? { userIdentity: identity } : {}) }
  })
}
