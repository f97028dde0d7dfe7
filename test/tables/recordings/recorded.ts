import { expect } from 'vitest'
import type { Answer, Asking } from '../asking.js'

/*
 * What AWS itself answered to these requests (recorded October 2025 and January 2026), in a form that another run can have:
 * times, ids, ARNs and sequence numbers are told apart by what they must look like.
 */

export const aTime = expect.any(Number)
export const aTableId = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
export const tableArn = (name: string) =>
  expect.stringMatching(new RegExp(`^arn:aws:dynamodb:us-east-1:\\d{12}:table/${name}$`))
export const streamArn = (name: string) =>
  expect.stringMatching(
    new RegExp(`^arn:aws:dynamodb:us-east-1:\\d{12}:table/${name}/stream/\\d{4}-\\d\\d-\\d\\dT[\\d:.]+$`),
  )
export const aLabel = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/)
export const aShardId = expect.stringMatching(/^shardId-\d{20}-[0-9a-zA-Z]{1,36}$/)
export const aSequence = expect.stringMatching(/^\d{21,40}$/)

/** A table with the key `id` of 5 units, as most of the recordings have it. */
export function tableOf(TableName: string, view?: string) {
  return {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    ProvisionedThroughput: { ReadCapacityUnits: 5, WriteCapacityUnits: 5 },
    ...(view ? { StreamSpecification: { StreamEnabled: true, StreamViewType: view } } : {}),
  }
}

/** The answer to the CreateTable of such a table: all of its members, and no other. */
export function described(TableName: string, view?: string) {
  return {
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    CreationDateTime: aTime,
    DeletionProtectionEnabled: false,
    ItemCount: 0,
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    ProvisionedThroughput: { NumberOfDecreasesToday: 0, ReadCapacityUnits: 5, WriteCapacityUnits: 5 },
    TableArn: tableArn(TableName),
    TableId: aTableId,
    TableName,
    TableSizeBytes: 0,
    TableStatus: expect.stringMatching(/^(CREATING|ACTIVE)$/),
    ...(view
      ? {
          LatestStreamArn: streamArn(TableName),
          LatestStreamLabel: aLabel,
          StreamSpecification: { StreamEnabled: true, StreamViewType: view },
        }
      : {}),
  }
}

export interface Described {
  readonly StreamArn: string
  readonly Shards: readonly { readonly ShardId: string }[]
}

/** Everything in a stream, by sequence number. */
export async function recordsOf(ask: Asking['ask'], StreamArn: string): Promise<unknown[]> {
  const { body } = await ask<{ StreamDescription: Described }>('DescribeStream', { StreamArn })
  const records: { dynamodb: { SequenceNumber: string } }[] = []
  for (const { ShardId } of body.StreamDescription.Shards) {
    const first = await ask<{ ShardIterator: string }>('GetShardIterator', {
      StreamArn,
      ShardId,
      ShardIteratorType: 'TRIM_HORIZON',
    })
    const page = await ask<{ Records: typeof records }>('GetRecords', first.body)
    records.push(...page.body.Records)
  }
  return records.sort((a, b) => (a.dynamodb.SequenceNumber < b.dynamodb.SequenceNumber ? -1 : 1))
}

/** A record as AWS has it: all of its members, and no other. */
export function recordOf(
  eventName: 'INSERT' | 'MODIFY' | 'REMOVE',
  view: string,
  change: { Keys: object; NewImage?: object; OldImage?: object; SizeBytes: number },
) {
  return {
    eventID: expect.stringMatching(/^[0-9a-f]{32}$/),
    eventName,
    eventVersion: '1.1',
    eventSource: 'aws:dynamodb',
    awsRegion: 'us-east-1',
    dynamodb: { ApproximateCreationDateTime: aTime, SequenceNumber: aSequence, StreamViewType: view, ...change },
  }
}

export function bodyOf<Body>(answer: Answer<Body>): Body {
  if (answer.status !== 200) throw new Error(`${answer.error}: ${answer.message}`)
  return answer.body
}
