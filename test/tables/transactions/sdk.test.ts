import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  IdempotentParameterMismatchException,
  QueryCommand,
  TransactGetItemsCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import { DynamoDBDocumentClient, TransactGetCommand, TransactWriteCommand } from '@aws-sdk/lib-dynamodb'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ensureBuilt } from '../../built.js'
import { DaemonProcess } from '../../daemon-process.js'

process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1'
let daemon: DaemonProcess
let client: DynamoDBClient
const data = mkdtempSync(join(tmpdir(), 'millrace-test-'))
const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data })
  client = new DynamoDBClient({ endpoint: daemon.url, region: 'us-east-1', credentials })
  for (const TableName of ['sdk-v3', 'sdk-v2']) {
    await client.send(
      new CreateTableCommand({
        TableName,
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        BillingMode: 'PAY_PER_REQUEST',
      }),
    )
  }
})

afterAll(async () => {
  client.destroy()
  expect(await daemon.stop()).toBe(0)
  rmSync(data, { recursive: true, force: true })
})

it('AWS SDK v3 transacts, with the reasons of a cancellation and tokens', async () => {
  const TableName = 'sdk-v3'
  const Key = { pk: { S: 'raw' } }
  await client.send(
    new TransactWriteItemsCommand({ TransactItems: [{ Put: { TableName, Item: { ...Key, n: { N: '1' } } } }] }),
  )
  const failing = new TransactWriteItemsCommand({
    TransactItems: [
      { Put: { TableName, Item: { pk: { S: 'other' } } } },
      {
        ConditionCheck: {
          TableName,
          Key,
          ConditionExpression: 'n > :n',
          ExpressionAttributeValues: { ':n': { N: '1' } },
          ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
        },
      },
    ],
  })
  const cancelled = (await client.send(failing).catch((error: unknown) => error)) as TransactionCanceledException
  expect(cancelled).toBeInstanceOf(TransactionCanceledException)
  expect(cancelled.message).toBe(
    'Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]',
  )
  expect(cancelled.CancellationReasons).toEqual([
    { Code: 'None' },
    { Code: 'ConditionalCheckFailed', Message: 'The conditional request failed', Item: { ...Key, n: { N: '1' } } },
  ])
  const add = (n: string) =>
    new TransactWriteItemsCommand({
      ClientRequestToken: 'a token of ours',
      ReturnConsumedCapacity: 'TOTAL',
      TransactItems: [
        { Update: { TableName, Key, UpdateExpression: 'ADD n :n', ExpressionAttributeValues: { ':n': { N: n } } } },
      ],
    })
  expect((await client.send(add('1'))).ConsumedCapacity).toEqual([
    { TableName, CapacityUnits: 2, WriteCapacityUnits: 2 },
  ])
  expect((await client.send(add('1'))).ConsumedCapacity).toEqual([
    { TableName, CapacityUnits: 2, ReadCapacityUnits: 2 },
  ])
  await expect(client.send(add('2'))).rejects.toBeInstanceOf(IdempotentParameterMismatchException)
  const { Responses } = await client.send(
    new TransactGetItemsCommand({
      TransactItems: [{ Get: { TableName, Key } }, { Get: { TableName, Key: { pk: { S: 'none' } } } }],
    }),
  )
  expect(Responses).toEqual([{ Item: { ...Key, n: { N: '2' } } }, {}])
})

it('the document client of SDK v3 transacts', async () => {
  const TableName = 'sdk-v3'
  const documents = DynamoDBDocumentClient.from(client)
  await documents.send(
    new TransactWriteCommand({
      TransactItems: [
        { Put: { TableName, Item: { pk: 'a', tags: new Set(['x', 'y']), deep: { list: [1, null, true] } } } },
        {
          Update: {
            TableName,
            Key: { pk: 'b' },
            UpdateExpression: 'SET n = :n',
            ExpressionAttributeValues: { ':n': 7 },
          },
        },
      ],
    }),
  )
  const { Responses } = await documents.send(
    new TransactGetCommand({ TransactItems: ['b', 'a'].map((pk) => ({ Get: { TableName, Key: { pk } } })) }),
  )
  expect(Responses).toEqual([
    { Item: { pk: 'b', n: 7 } },
    { Item: { pk: 'a', tags: new Set(['x', 'y']), deep: { list: [1, null, true] } } },
  ])
})

it('SDK v3 sends the parameters from before expressions', async () => {
  const TableName = 'sdk-v3'
  const Key = { pk: { S: 'legacy' } }
  await client.send(
    new UpdateItemCommand({
      TableName,
      Key,
      Expected: { pk: { Exists: false } },
      AttributeUpdates: { n: { Action: 'ADD', Value: { N: '4' } }, s: { Value: { S: 'x' } } },
    }),
  )
  const { Items } = await client.send(
    new QueryCommand({
      TableName,
      KeyConditions: { pk: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'legacy' }] } },
      QueryFilter: { n: { ComparisonOperator: 'BETWEEN', AttributeValueList: [{ N: '1' }, { N: '9' }] } },
    }),
  )
  expect(Items).toEqual([{ ...Key, n: { N: '4' }, s: { S: 'x' } }])
  expect((await client.send(new GetItemCommand({ TableName, Key, AttributesToGet: ['s'] }))).Item).toEqual({
    s: { S: 'x' },
  })
})

it('AWS SDK v2 and its document client transact, and send the parameters from before expressions', async () => {
  const { default: AWS } = await import('aws-sdk')
  const options = { endpoint: daemon.url, region: 'us-east-1', ...credentials }
  const database = new AWS.DynamoDB(options)
  const documents = new AWS.DynamoDB.DocumentClient(options)
  const TableName = 'sdk-v2'
  await documents
    .transactWrite({
      TransactItems: [
        { Put: { TableName, Item: { pk: 'a', tags: documents.createSet(['x']) } } },
        {
          Update: {
            TableName,
            Key: { pk: 'b' },
            UpdateExpression: 'SET n = :n',
            ExpressionAttributeValues: { ':n': 1 },
          },
        },
      ],
    })
    .promise()
  const { Responses } = await documents
    .transactGet({ TransactItems: ['b', 'none'].map((pk) => ({ Get: { TableName, Key: { pk } } })) })
    .promise()
  expect(Responses).toEqual([{ Item: { pk: 'b', n: 1 } }, {}])
  await expect(
    documents
      .transactWrite({
        TransactItems: [{ Delete: { TableName, Key: { pk: 'a' }, ConditionExpression: 'attribute_not_exists(pk)' } }],
      })
      .promise(),
  ).rejects.toMatchObject({
    code: 'TransactionCanceledException',
    message: 'Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed]',
  })
  await documents
    .update({
      TableName,
      Key: { pk: 'b' },
      AttributeUpdates: { n: { Action: 'ADD', Value: 2 } },
      Expected: { n: { Value: 1 } },
    })
    .promise()
  await expect(
    documents.delete({ TableName, Key: { pk: 'b' }, Expected: { n: { Value: 1 } } }).promise(),
  ).rejects.toMatchObject({
    code: 'ConditionalCheckFailedException',
  })
  const scanned = await documents
    .scan({ TableName, ScanFilter: { n: { ComparisonOperator: 'NOT_NULL' } }, AttributesToGet: ['pk', 'n'] })
    .promise()
  expect(scanned.Items).toEqual([{ pk: 'b', n: 3 }])
  const queried = await database
    .query({ TableName, KeyConditions: { pk: { ComparisonOperator: 'EQ', AttributeValueList: [{ S: 'b' }] } } })
    .promise()
  expect(queried.Items).toEqual([{ pk: { S: 'b' }, n: { N: '3' } }])
})
