// To-do lists with the AWS SDK for JavaScript v2: two tables, the stream of one, and a program that counts with it.
//   node examples/todo/sdk-v2.mjs [http://127.0.0.1:8000]
// Nothing here is written for Millrace: the endpoint is all that differs from a program on AWS.
import AWS from 'aws-sdk'

const endpoint = process.argv[2] ?? process.env.AWS_ENDPOINT_URL ?? 'http://127.0.0.1:8000'
process.env.AWS_ACCESS_KEY_ID ??= 'any'
process.env.AWS_SECRET_ACCESS_KEY ??= 'any'
const options = { endpoint, region: 'us-east-1' }
const dynamodb = new AWS.DynamoDB(options)
const streams = new AWS.DynamoDBStreams(options)
const documents = new AWS.DynamoDB.DocumentClient(options)

await dynamodb
  .createTable({
    TableName: 'todoList',
    AttributeDefinitions: [{ AttributeName: 'ListId', AttributeType: 'N' }],
    KeySchema: [{ AttributeName: 'ListId', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
  })
  .promise()
const { TableDescription } = await dynamodb
  .createTable({
    TableName: 'todoListTask',
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
for (const TableName of ['todoList', 'todoListTask']) await dynamodb.waitFor('tableExists', { TableName }).promise()

await documents.put({ TableName: 'todoList', Item: { ListId: 2, Name: 'Work', TaskCount: 0 } }).promise()
await documents.put({ TableName: 'todoList', Item: { ListId: 7, Name: 'Home', TaskCount: 0 } }).promise()
const task = (ListId, TaskId, Description) => ({ ListId, TaskId, Description })
const progress = { TableName: 'todoListTask', Item: task(2, '1_progress', 'Share progress') }
await documents.put(progress).promise()
await documents
  .batchWrite({
    RequestItems: {
      todoListTask: [
        { PutRequest: { Item: task(2, '2_plan', 'Plan the week') } },
        { PutRequest: { Item: task(2, '3_call', 'Call the bank') } },
        { PutRequest: { Item: task(7, '1_milk', 'Buy milk') } },
      ],
    },
  })
  .promise()
await documents
  .update({
    TableName: 'todoListTask',
    Key: { ListId: 2, TaskId: '2_plan' },
    UpdateExpression: 'SET Description = :words',
    ConditionExpression: 'attribute_exists(TaskId)',
    ExpressionAttributeValues: { ':words': 'Plan the month' },
  })
  .promise()
await documents.delete({ TableName: 'todoListTask', Key: { ListId: 2, TaskId: '3_call' } }).promise()
// The same again changes nothing, and so makes no record.
await documents.put(progress).promise()

const steps = { INSERT: 1, MODIFY: 0, REMOVE: -1 }
const records = await readStream(TableDescription.LatestStreamArn, 6)
for (const { eventName, dynamodb: change } of records) {
  if (steps[eventName] === 0) continue
  await documents
    .update({
      TableName: 'todoList',
      Key: { ListId: Number(change.Keys.ListId.N) },
      UpdateExpression: 'ADD TaskCount :step',
      ExpressionAttributeValues: { ':step': steps[eventName] },
    })
    .promise()
}

const counts = {}
for (const ListId of [2, 7]) {
  const { Item } = await documents.get({ TableName: 'todoList', Key: { ListId } }).promise()
  counts[Item.Name] = Item.TaskCount
}
const { Items } = await documents
  .query({
    TableName: 'todoListTask',
    KeyConditionExpression: 'ListId = :list',
    ExpressionAttributeValues: { ':list': 2 },
  })
  .promise()
const names = records.map((record) => record.eventName).sort()
console.log(JSON.stringify({ records: names, counts, work: Items.map((item) => item.Description) }))

for (const TableName of ['todoList', 'todoListTask']) {
  await dynamodb.deleteTable({ TableName }).promise()
  await dynamodb.waitFor('tableNotExists', { TableName }).promise()
}

/** So many records of a stream, read shard by shard; AWS may show them a little later than the tables do. */
async function readStream(StreamArn, wanted) {
  const end = Date.now() + 60_000
  for (;;) {
    const found = []
    const { StreamDescription } = await streams.describeStream({ StreamArn }).promise()
    for (const { ShardId } of StreamDescription.Shards) {
      const start = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' }
      let { ShardIterator } = await streams.getShardIterator(start).promise()
      while (ShardIterator) {
        const page = await streams.getRecords({ ShardIterator }).promise()
        if (page.Records.length === 0) break
        found.push(...page.Records)
        ShardIterator = page.NextShardIterator
      }
    }
    if (found.length >= wanted) return found
    if (Date.now() > end) throw new Error(`the stream shows ${found.length} records instead of ${wanted}`)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}
