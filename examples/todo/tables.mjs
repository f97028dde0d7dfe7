// What the parts of the to-do example share: its tables, and a client for one region. Nothing here is written for Millrace.
import {
  CreateTableCommand,
  DynamoDBClient,
  UpdateTimeToLiveCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb'

// The SDK says at each start that it will want a newer Node next year.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'

const number = (AttributeName) => ({ AttributeName, AttributeType: 'N' })
const text = (AttributeName) => ({ AttributeName, AttributeType: 'S' })

/** The key of each table: its partition key, and its sort key where it has one. */
const keys = {
  todoListOwner: [text('Owner'), number('ListId')],
  todoList: [number('ListId')],
  todoListTask: [number('ListId'), text('TaskId')],
  todoListTaskArchived: [number('ListId'), text('TaskId')],
  todoTaskCount: [number('ListId')],
  // As the trigger counts, beside the pipeline; and which records it has counted.
  todoTaskCountByTrigger: [number('ListId')],
  todoTaskCounted: [text('EventId')],
}

/** The attribute that says when an item's time is over, in seconds since 1970. */
const timesToLive = { todoListTask: 'ExpiresAt', todoTaskCounted: 'ForgetAt' }

/** Tables that are the same in every region; the others are each region's own. */
export const globalTables = ['todoListOwner', 'todoList', 'todoListTask', 'todoListTaskArchived']
export const tableNames = Object.keys(keys)

export const lists = [
  { ListId: 2, Name: 'Work', Owner: 'ann' },
  { ListId: 7, Name: 'Home', Owner: 'ann' },
]

export function connect({ endpoint, region = 'us-east-1' }) {
  const { AWS_ACCESS_KEY_ID: accessKeyId = 'any', AWS_SECRET_ACCESS_KEY: secretAccessKey = 'any' } = process.env
  const client = new DynamoDBClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } })
  // An attribute that is undefined is one that is not there.
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } })
}

/** Creates these tables; streams show both images, as replicas and the archive need it. */
export async function createTables(documents, names = tableNames) {
  for (const TableName of names) {
    const attributes = keys[TableName]
    try {
      await documents.send(
        new CreateTableCommand({
          TableName,
          AttributeDefinitions: attributes,
          KeySchema: attributes.map(({ AttributeName }, i) => ({ AttributeName, KeyType: i === 0 ? 'HASH' : 'RANGE' })),
          BillingMode: 'PAY_PER_REQUEST',
          ...(globalTables.includes(TableName)
            ? { StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' } }
            : {}),
        }),
      )
    } catch (error) {
      // It is there, of another guide on the same daemon.
      if (error.name !== 'ResourceInUseException') throw error
      continue
    }
    await waitUntilTableExists({ client: documents, minDelay: 1, maxDelay: 1, maxWaitTime: 60 }, { TableName })
    const AttributeName = timesToLive[TableName]
    if (AttributeName === undefined) continue
    const TimeToLiveSpecification = { AttributeName, Enabled: true }
    await documents.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }))
  }
}

export async function createLists(documents) {
  for (const { ListId, Name, Owner } of lists) {
    await documents.send(new PutCommand({ TableName: 'todoListOwner', Item: { Owner, ListId } }))
    await documents.send(new PutCommand({ TableName: 'todoList', Item: { ListId, Name } }))
  }
}

/** All items of a small table, in the order of their keys. */
export async function itemsOf(documents, TableName) {
  const { Items } = await documents.send(new ScanCommand({ TableName }))
  const names = keys[TableName].map(({ AttributeName }) => AttributeName)
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0)
  return Items.sort((a, b) => names.reduce((order, name) => order || compare(a[name], b[name]), 0))
}

export const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds
