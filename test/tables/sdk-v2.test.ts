import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ensureBuilt } from '../built.js'
import { DaemonProcess } from '../daemon-process.js'

process.env.AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE = '1'
let daemon: DaemonProcess
const data = mkdtempSync(join(tmpdir(), 'millrace-test-'))

beforeAll(async () => {
  ensureBuilt()
  daemon = await DaemonProcess.start({ data })
})

afterAll(async () => {
  expect(await daemon.stop()).toBe(0)
  rmSync(data, { recursive: true, force: true })
})

it('AWS SDK v2 works with nothing but an endpoint', async () => {
  const { default: AWS } = await import('aws-sdk')
  const options = { endpoint: daemon.url, region: 'us-east-1', accessKeyId: 'any', secretAccessKey: 'any' }
  const database = new AWS.DynamoDB(options)
  const documents = new AWS.DynamoDB.DocumentClient(options)
  const streams = new AWS.DynamoDBStreams(options)
  const TableName = 'todoListTask'
  const made = await database
    .createTable({
      TableName,
      AttributeDefinitions: [
        { AttributeName: 'ListId', AttributeType: 'N' },
        { AttributeName: 'TaskId', AttributeType: 'S' },
      ],
      KeySchema: [
        { AttributeName: 'ListId', KeyType: 'HASH' },
        { AttributeName: 'TaskId', KeyType: 'RANGE' },
      ],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    })
    .promise()
  await database.waitFor('tableExists', { TableName }).promise()
  const StreamArn = made.TableDescription!.LatestStreamArn!
  await documents
    .put({ TableName, Item: { ListId: 2, TaskId: '1_progress', tags: documents.createSet(['a', 'b']) } })
    .promise()
  const { Attributes } = await documents
    .update({
      TableName,
      Key: { ListId: 2, TaskId: '1_progress' },
      UpdateExpression: 'SET done = :t',
      ExpressionAttributeValues: { ':t': true },
      ReturnValues: 'ALL_NEW',
    })
    .promise()
  expect(Attributes).toMatchObject({ ListId: 2, TaskId: '1_progress', done: true })
  const { Items } = await documents
    .query({ TableName, KeyConditionExpression: 'ListId = :l', ExpressionAttributeValues: { ':l': 2 } })
    .promise()
  expect(Items).toHaveLength(1)
  const { StreamDescription } = await streams.describeStream({ StreamArn }).promise()
  const { ShardIterator } = await streams
    .getShardIterator({
      StreamArn,
      ShardId: StreamDescription!.Shards![0]!.ShardId!,
      ShardIteratorType: 'TRIM_HORIZON',
    })
    .promise()
  const { Records } = await streams.getRecords({ ShardIterator: ShardIterator! }).promise()
  expect(Records!.map((record) => record.eventName)).toEqual(['INSERT', 'MODIFY'])
  expect(Records![0]!.dynamodb!.ApproximateCreationDateTime).toBeInstanceOf(Date)
  await expect(documents.get({ TableName: 'nowhere', Key: { a: 1 } }).promise()).rejects.toMatchObject({
    code: 'ResourceNotFoundException',
    statusCode: 400,
  })
})
