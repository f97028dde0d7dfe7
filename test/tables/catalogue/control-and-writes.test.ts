import { expect, test } from 'vitest'
import { type Asking, asking } from '../asking.js'

interface Change {
  readonly Keys: unknown
  readonly NewImage?: unknown
  readonly OldImage?: unknown
}

interface Page {
  readonly Records: readonly { readonly dynamodb: Change }[]
  readonly NextShardIterator?: string
}

/** All records that a stream shows. */
async function recordsOf({ ask }: Asking, StreamArn: string) {
  const records: Change[] = []
  const described = await ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', { StreamArn })
  for (const { ShardId } of described.body.StreamDescription.Shards) {
    const request = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' }
    let { ShardIterator } = (await ask<{ ShardIterator?: string }>('GetShardIterator', request)).body
    while (ShardIterator !== undefined) {
      const { body: page } = await ask<Page>('GetRecords', { ShardIterator })
      records.push(...page.Records.map((record) => record.dynamodb))
      if (page.Records.length === 0) break
      ShardIterator = page.NextShardIterator
    }
  }
  return records
}

async function arnOf({ ask }: Asking, TableName: string): Promise<string> {
  const { body } = await ask<{ Table: { LatestStreamArn: string } }>('DescribeTable', { TableName })
  return body.Table.LatestStreamArn
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
      ask<{ Attributes: { n: { N: string } } }>('UpdateItem', {
        TableName,
        Key: { pk: { S: 'hot' } },
        UpdateExpression: 'ADD n :one',
        ExpressionAttributeValues: { ':one': { N: '1' } },
        ReturnValues: 'UPDATED_NEW',
      }),
    ),
  )
  const sums = adds.map(({ body }) => body.Attributes.n.N)
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
