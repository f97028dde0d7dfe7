// To-do lists: a table of tasks, and a table that says how many tasks each list has, kept by a pipeline.
//   node examples/todo/views.mjs [--json]
// Starts a daemon on an empty temporary folder, does everything over the AWS SDK, prints what it sees, and stops it.
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CreateTableCommand, DescribeTableCommand, DynamoDBClient, UpdateTableCommand } from '@aws-sdk/client-dynamodb'
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
} from '@aws-sdk/client-dynamodb-streams'
import { DeleteCommand, DynamoDBDocumentClient, GetCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb'

const root = fileURLToPath(new URL('../../', import.meta.url))
const millrace = join(root, 'dist', 'cli', 'main.cjs')
const isJson = process.argv.includes('--json')
const print = (...words) => isJson || console.log(...words)
/** How long the pipeline may take to count: milliseconds, unless the machine is very busy. */
const countMsMax = 30_000

execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs')], { stdio: ['ignore', 2, 2] })
const data = mkdtempSync(join(tmpdir(), 'millrace-todo-'))
const daemon = spawn(process.execPath, [millrace, 'serve', '--data', data, '--port', '0'], {
  stdio: ['ignore', 'pipe', 'ignore'],
})
const ended = new Promise((resolve) => daemon.once('exit', resolve))
try {
  const url = await readyUrl()
  print(`a daemon is ready at ${url}`)

  // Everything below is what any program on DynamoDB does. The endpoint is all that differs.
  const options = { endpoint: url, region: 'us-east-1', credentials: { accessKeyId: 'any', secretAccessKey: 'any' } }
  const dynamodb = new DynamoDBClient(options)
  const tables = DynamoDBDocumentClient.from(dynamodb)
  const streams = new DynamoDBStreamsClient(options)

  await dynamodb.send(
    new CreateTableCommand({
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
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    }),
  )
  await dynamodb.send(
    new CreateTableCommand({
      TableName: 'todoTaskCount',
      AttributeDefinitions: [{ AttributeName: 'ListId', AttributeType: 'N' }],
      KeySchema: [{ AttributeName: 'ListId', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  )

  const pipeline = fileURLToPath(new URL('pipeline.ts', import.meta.url))
  execFileSync(process.execPath, [millrace, 'pipelines', 'deploy', pipeline, '--url', url], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  print('the pipeline todoTaskCount is deployed')

  const task = { ListId: 2, TaskId: '1_progress', Description: 'Share progress', Created_date: '20052021' }
  const put = (Item) => tables.send(new PutCommand({ TableName: 'todoListTask', Item }))
  await put(task)
  await put({ ListId: 2, TaskId: '2_plan', Description: 'Plan the week', Created_date: '21052021' })
  await put({ ListId: 2, TaskId: '3_call', Description: 'Call the bank', Created_date: '21052021' })
  await put({ ListId: 7, TaskId: '1_milk', Description: 'Buy milk', Created_date: '22052021' })
  await tables.send(
    new UpdateCommand({
      TableName: 'todoListTask',
      Key: { ListId: 2, TaskId: '2_plan' },
      UpdateExpression: 'SET Description = :words',
      ExpressionAttributeValues: { ':words': 'Plan the month' },
    }),
  )
  await tables.send(new DeleteCommand({ TableName: 'todoListTask', Key: { ListId: 2, TaskId: '3_call' } }))

  const counts = { 2: await countOf(tables, 2, 2), 7: await countOf(tables, 7, 1) }
  print('tasks by list, as the pipeline counts them:', counts)

  const [newImage] = await readStream(dynamodb, streams)
  print('the first record of the stream (NEW_IMAGE):')
  print(JSON.stringify(newImage, undefined, 2))

  // Another view of the same changes: off and on again gives a stream of its own, and the pipeline does not notice.
  const setStream = (StreamSpecification) =>
    dynamodb.send(new UpdateTableCommand({ TableName: 'todoListTask', StreamSpecification }))
  await setStream({ StreamEnabled: false })
  await setStream({ StreamEnabled: true, StreamViewType: 'KEYS_ONLY' })
  await tables.send(new DeleteCommand({ TableName: 'todoListTask', Key: { ListId: 2, TaskId: '1_progress' } }))
  await put(task)
  const keysOnly = (await readStream(dynamodb, streams)).find((record) => record.eventName === 'INSERT')
  print('the same insert once more (KEYS_ONLY):')
  print(JSON.stringify(keysOnly, undefined, 2))
  counts[2] = await countOf(tables, 2, 2)

  if (isJson) console.log(JSON.stringify({ counts, newImage, keysOnly }))
  dynamodb.destroy()
  streams.destroy()
} finally {
  daemon.kill('SIGTERM')
  const code = await ended
  rmSync(data, { recursive: true, force: true })
  print(`the daemon has stopped with exit code ${code}`)
}

function readyUrl() {
  return new Promise((resolve, reject) => {
    createInterface({ input: daemon.stdout }).on('line', (line) => {
      const ready = /^millrace ready (http:\S+)$/.exec(line)
      if (ready) resolve(ready[1])
    })
    ended.then((code) => reject(new Error(`the daemon ended with ${code} before it was ready`)))
  })
}

/** The count of a list, as soon as it is the expected one. */
async function countOf(tables, ListId, expected) {
  const end = Date.now() + countMsMax
  for (;;) {
    const { Item } = await tables.send(new GetCommand({ TableName: 'todoTaskCount', Key: { ListId } }))
    if (Item?.TaskCount === expected) return Item.TaskCount
    if (Date.now() > end) throw new Error(`list ${ListId} has the count ${Item?.TaskCount} instead of ${expected}`)
    await sleep(20)
  }
}

/** Everything in the table's present stream. */
async function readStream(dynamodb, streams) {
  const { Table } = await dynamodb.send(new DescribeTableCommand({ TableName: 'todoListTask' }))
  const StreamArn = Table.LatestStreamArn
  const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn }))
  const records = []
  for (const { ShardId } of StreamDescription.Shards) {
    const start = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' }
    let { ShardIterator } = await streams.send(new GetShardIteratorCommand(start))
    while (ShardIterator) {
      const page = await streams.send(new GetRecordsCommand({ ShardIterator }))
      if (page.Records.length === 0) break
      records.push(...page.Records)
      ShardIterator = page.NextShardIterator
    }
  }
  // Order holds within a shard; sequence numbers order the lists that lie in different ones.
  return records.sort((a, b) => (a.dynamodb.SequenceNumber < b.dynamodb.SequenceNumber ? -1 : 1))
}
