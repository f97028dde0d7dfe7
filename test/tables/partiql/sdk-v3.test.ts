import {
  BatchExecuteStatementCommand,
  ConditionalCheckFailedException,
  DuplicateItemException,
  DynamoDBClient,
  ExecuteStatementCommand,
  ExecuteTransactionCommand,
  TransactionCanceledException,
} from '@aws-sdk/client-dynamodb'
import { expect, test } from 'vitest'
import { asking } from '../asking.js'

test('the SDK runs statements, follows pages, and finds every write in the stream', async () => {
  const { ask, table, url } = await asking()
  const name = await table({ range: true, view: 'NEW_AND_OLD_IMAGES' })
  const client = new DynamoDBClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    maxAttempts: 1,
  })
  const run = (Statement: string, more: object = {}) => client.send(new ExecuteStatementCommand({ Statement, ...more }))

  await run(`INSERT INTO "${name}" VALUE {'pk': 'a', 'sk': 1, 'b': ?}`, { Parameters: [{ B: Uint8Array.of(1, 2) }] })
  await expect(run(`INSERT INTO "${name}" VALUE {'pk': 'a', 'sk': 1}`)).rejects.toBeInstanceOf(DuplicateItemException)
  await run(`UPDATE "${name}" SET n = 1 WHERE pk = 'a' AND sk = 1`)
  // What changes nothing makes no record.
  await run(`UPDATE "${name}" SET n = 1.0 WHERE pk = 'a' AND sk = 1`)
  const failed = run(`UPDATE "${name}" SET n = 2 WHERE pk = 'a' AND sk = 1 AND n = 5`, {
    ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
  })
  await expect(failed).rejects.toBeInstanceOf(ConditionalCheckFailedException)
  await expect(failed).rejects.toMatchObject({ Item: { n: { N: '1' }, b: { B: Uint8Array.of(1, 2) } } })
  const batch = await client.send(
    new BatchExecuteStatementCommand({
      Statements: [2, 3].map((sk) => ({ Statement: `INSERT INTO "${name}" VALUE {'pk': 'a', 'sk': ${sk}}` })),
    }),
  )
  expect(batch.Responses).toEqual([{ TableName: name }, { TableName: name }])
  await client.send(
    new ExecuteTransactionCommand({
      TransactStatements: [
        { Statement: `DELETE FROM "${name}" WHERE pk = 'a' AND sk = 2` },
        { Statement: `UPDATE "${name}" SET x = 'y' WHERE pk = 'a' AND sk = 3` },
      ],
    }),
  )
  const cancelled = client.send(
    new ExecuteTransactionCommand({
      TransactStatements: [
        { Statement: `INSERT INTO "${name}" VALUE {'pk': 'b', 'sk': 1}` },
        { Statement: `INSERT INTO "${name}" VALUE {'pk': 'a', 'sk': 1}` },
      ],
    }),
  )
  await expect(cancelled).rejects.toBeInstanceOf(TransactionCanceledException)
  await expect(cancelled).rejects.toMatchObject({ CancellationReasons: [{ Code: 'None' }, { Code: 'DuplicateItem' }] })

  const found: unknown[] = []
  let NextToken: string | undefined
  do {
    const page = await run(`SELECT sk FROM "${name}" WHERE pk = 'a' ORDER BY sk DESC`, { Limit: 1, NextToken })
    found.push(...(page.Items ?? []))
    NextToken = page.NextToken
  } while (NextToken)
  expect(found).toEqual([{ sk: { N: '3' } }, { sk: { N: '1' } }])
  client.destroy()

  const StreamArn = (await ask<{ Streams: { StreamArn: string }[] }>('ListStreams', { TableName: name })).body
    .Streams[0]?.StreamArn
  const { body } = await ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', { StreamArn })
  const records: { eventName: string; dynamodb: { Keys: { sk: { N: string } } } }[] = []
  for (const { ShardId } of body.StreamDescription.Shards) {
    const at = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' }
    const { ShardIterator } = (await ask<{ ShardIterator: string }>('GetShardIterator', at)).body
    records.push(...(await ask<{ Records: typeof records }>('GetRecords', { ShardIterator })).body.Records)
  }
  const seen = records.map(({ eventName, dynamodb }) => `${eventName} ${dynamodb.Keys.sk.N}`)
  expect(seen.sort()).toEqual(['INSERT 1', 'INSERT 2', 'INSERT 3', 'MODIFY 1', 'MODIFY 3', 'REMOVE 2'])
})
