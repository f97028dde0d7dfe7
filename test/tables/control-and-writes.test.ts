import { expect, test } from 'vitest'
import { type Asking, asking } from './asking.js'

/** All records that a stream shows. */
async function recordsOf({ ask }: Asking, StreamArn: string) {
  const records: { Keys: unknown; NewImage?: unknown; OldImage?: unknown }[] = []
  const { StreamDescription } = (await ask('DescribeStream', { StreamArn })).body as unknown as {
    StreamDescription: { Shards: { ShardId: string }[] }
  }
  for (const { ShardId } of StreamDescription.Shards) {
    const first = await ask('GetShardIterator', { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' })
    let ShardIterator = (first.body as { ShardIterator?: string }).ShardIterator
    while (ShardIterator !== undefined) {
      const page = (await ask('GetRecords', { ShardIterator })).body as unknown as {
        Records: { dynamodb: (typeof records)[number] }[]
        NextShardIterator?: string
      }
      records.push(...page.Records.map((record) => record.dynamodb))
      if (page.Records.length === 0) break
      ShardIterator = page.NextShardIterator
    }
  }
  return records
}

async function arnOf({ ask }: Asking, TableName: string): Promise<string> {
  const { body } = await ask('DescribeTable', { TableName })
  return (body as { Table: { LatestStreamArn: string } }).Table.LatestStreamArn
}

test('DeleteTable beside writes: every write that was accepted has its record', async () => {
  const daemon = await asking()
  const { ask } = daemon
  for (let round = 0; round < 5; round++) {
    const TableName = await daemon.table({ view: 'NEW_AND_OLD_IMAGES' })
    const arn = await arnOf(daemon, TableName)
    const puts = Array.from({ length: 40 }, (_, i) => ask('PutItem', { TableName, Item: { pk: { S: `k${i}` } } }))
    expect((await ask('DeleteTable', { TableName })).status).toBe(200)
    const answers = await Promise.all(puts)
    const accepted = answers.filter(({ status }) => status === 200)
    for (const { status, error } of answers) if (status !== 200) expect(error).toBe('ResourceNotFoundException')
    expect(await recordsOf(daemon, arn)).toHaveLength(accepted.length)
  }
})

test('one of many conditional puts of a key wins, and every addition to a number counts', async () => {
  const daemon = await asking()
  const { ask } = daemon
  const TableName = await daemon.table({ view: 'NEW_AND_OLD_IMAGES' })
  const puts = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      ask('PutItem', {
        TableName,
        Item: { pk: { S: 'one' }, by: { N: `${i}` } },
        ConditionExpression: 'attribute_not_exists(pk)',
      }),
    ),
  )
  expect(puts.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(puts.filter(({ error }) => error === 'ConditionalCheckFailedException')).toHaveLength(199)
  const adds = await Promise.all(
    Array.from({ length: 200 }, () =>
      ask('UpdateItem', {
        TableName,
        Key: { pk: { S: 'hot' } },
        UpdateExpression: 'ADD n :one',
        ExpressionAttributeValues: { ':one': { N: '1' } },
        ReturnValues: 'UPDATED_NEW',
      }),
    ),
  )
  const sums = adds.map(({ body }) => (body as { Attributes: { n: { N: string } } }).Attributes.n.N)
  expect(new Set(sums).size).toBe(200)
  const records = await recordsOf(daemon, await arnOf(daemon, TableName))
  expect(records).toHaveLength(201)
  const images = new Map<string, unknown>()
  for (const { Keys, NewImage, OldImage } of records) {
    const key = JSON.stringify(Keys)
    expect(OldImage).toEqual(images.get(key))
    images.set(key, NewImage)
  }
})
