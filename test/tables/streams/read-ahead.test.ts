import { expect, test } from 'vitest'
import type { LogPage, Sequence, ShardedLog, ShardId } from '../../../src/log/index.js'
import { ReadAhead } from '../../../src/tables/streams/read-ahead.js'
import { ManualClock } from '../../manual-clock.js'
import { temporaryFolder } from '../../temporary-folder.js'
import { openTables } from '../open-tables.js'

const shard = 1 as ShardId
const at = (sequence: number) => sequence as Sequence

/** A log of chunks of ten records and 100 bytes, up to 1000; it counts its reads. */
function openAhead() {
  const reads: number[] = []
  const state = { lowWatermark: 0, released: 0, cached: false }
  const log = {
    shard: () => ({ lowWatermark: at(state.lowWatermark) }),
    lastSequence: () => at(1000),
    read: async (_: ShardId, from: Sequence): Promise<LogPage> => {
      reads.push(from)
      const release = () => void state.released++
      return { chunks: [chunk], next: at(from + 10), ended: false, ...(state.cached ? { release } : {}) }
    },
  } as unknown as ShardedLog
  const clock = new ManualClock()
  return { reads, state, clock, ahead: new ReadAhead(log, clock) }
}

const chunk = Buffer.alloc(100)
const rest = (next: number, chunks = [chunk]): LogPage => ({ chunks, next: at(next), ended: false })

test('what is left of a page is not read again, and the page behind it is read before it is asked for', async () => {
  const { reads, ahead } = openAhead()
  const left = rest(20)
  ahead.keep(shard, at(13), left, 1000)
  expect(reads).toEqual([20])
  expect(await ahead.read(shard, at(13), 1000)).toBe(left)
  expect((await ahead.read(shard, at(20), 1000)).next).toBe(30)
  expect(reads).toEqual([20])
  // Each is given once: another reader at that place reads for itself.
  await ahead.read(shard, at(13), 1000)
  expect(reads).toEqual([20, 13])
})

test('nothing is read ahead of a rest that is a page, at the end of the log, or twice', () => {
  const { reads, ahead } = openAhead()
  ahead.keep(shard, at(13), rest(20), 100)
  ahead.keep(shard, at(995), rest(1001), 1000)
  ahead.keep(shard, at(1001), { ...rest(1001, []), ended: true }, 1000)
  expect(reads).toEqual([])
  ahead.keep(shard, at(14), rest(20), 1000)
  ahead.keep(shard, at(15), rest(20), 1000)
  expect(reads).toEqual([20])
})

test('what was trimmed meanwhile is asked of the log, which knows', async () => {
  const { reads, state, ahead } = openAhead()
  ahead.keep(shard, at(13), rest(20), 100)
  state.lowWatermark = 14
  await ahead.read(shard, at(13), 1000)
  expect(reads).toEqual([13])
})

test('a page goes when nobody asked for it within five seconds, and the oldest when there are more than sixteen', async () => {
  const { reads, clock, ahead } = openAhead()
  ahead.keep(shard, at(13), rest(20), 100)
  clock.advance(5000)
  await ahead.read(shard, at(13), 1000)
  expect(reads).toEqual([13])
  for (let i = 0; i < 17; i++) ahead.keep(shard, at(100 + i), rest(200), 100)
  await ahead.read(shard, at(101), 1000)
  await ahead.read(shard, at(100), 1000)
  expect(reads).toEqual([13, 100])
})

test('a page of the tail cache that nobody asked for is released', async () => {
  const { state, clock, ahead } = openAhead()
  state.cached = true
  ahead.keep(shard, at(20), rest(20, []), 1000)
  clock.advance(5000)
  await Promise.resolve()
  await Promise.resolve()
  expect(state.released).toBe(1)
})

test('GetRecords of any limit gives every record once and in order, from the store', async () => {
  const clock = new ManualClock()
  const folder = temporaryFolder()
  const { run, tables, close } = await openTables({ clock, folder, tailCacheBytesMax: 0 })
  const TableName = 'changes'
  await run('CreateTable', {
    TableName,
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' },
  })
  const count = 200
  for (let i = 0; i < count; i += 25) {
    const puts = Array.from({ length: 25 }, (_, j) => ({ PutRequest: { Item: { pk: { S: `${i + j}` } } } }))
    await run('BatchWriteItem', { RequestItems: { [TableName]: puts } })
  }
  const ask = async <Body>(operation: string, input: object): Promise<Body> => {
    const asked = { host: 'localhost' }
    const body = Buffer.from(JSON.stringify(input))
    return JSON.parse((await tables.execute('DynamoDBStreams_20120810', operation, body, asked)).toString()) as Body
  }
  const { Streams } = await ask<{ Streams: { StreamArn: string }[] }>('ListStreams', { TableName })
  const StreamArn = Streams[0]!.StreamArn
  const { StreamDescription } = await ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', {
    StreamArn,
  })
  const ShardId = StreamDescription.Shards[0]!.ShardId
  for (const Limit of [1, 7, 25, 60, 1000]) {
    let { ShardIterator } = await ask<{ ShardIterator: string }>('GetShardIterator', {
      StreamArn,
      ShardId,
      ShardIteratorType: 'TRIM_HORIZON',
    })
    const keys: string[] = []
    while (keys.length < count) {
      const page = await ask<{
        Records: { dynamodb: { Keys: { pk: { S: string } } } }[]
        NextShardIterator: string
      }>('GetRecords', { ShardIterator, Limit })
      expect(page.Records.length).toBeGreaterThan(0)
      for (const { dynamodb } of page.Records) keys.push(dynamodb.Keys.pk.S)
      ShardIterator = page.NextShardIterator
    }
    expect(keys).toEqual(Array.from({ length: count }, (_, i) => `${i}`))
  }
  await close()
})
