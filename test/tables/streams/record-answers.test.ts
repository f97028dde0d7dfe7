import { request } from 'node:http'
import { expect, test } from 'vitest'
import { asking } from '../asking.js'

interface StreamRecord {
  readonly eventID: string
  readonly eventName: string
  readonly userIdentity?: object
  readonly dynamodb: Record<string, unknown> & { SequenceNumber: string; SizeBytes: number }
}
interface Page {
  readonly Records: StreamRecord[]
  readonly NextShardIterator?: string
}
type Ask = Awaited<ReturnType<typeof asking>>['ask']

async function start(ask: Ask, TableName: string): Promise<string> {
  const { Streams } = (await ask<{ Streams: { StreamArn: string }[] }>('ListStreams', { TableName })).body
  const StreamArn = Streams[0]!.StreamArn
  const described = await ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', { StreamArn })
  const ShardId = described.body.StreamDescription.Shards[0]!.ShardId
  const ShardIteratorType = 'TRIM_HORIZON'
  return (await ask<{ ShardIterator: string }>('GetShardIterator', { StreamArn, ShardId, ShardIteratorType })).body
    .ShardIterator
}

const itemOf = (n: number) => ({ pk: { S: `item ${n}` }, fill: { S: `é${String(n % 10).repeat(500 + (n % 700))}` } })

test('every view shows of a change what it should, with ids and numbers that grow', async () => {
  const { ask, table } = await asking()
  const [old, now] = [itemOf(1), { ...itemOf(1), more: { N: '1' } }]
  const Keys = { pk: now.pk }
  const sizes = { keys: 2 + 6, old: 2 + 6 + 4 + 503, now: 2 + 6 + 4 + 503 + 4 + 2 }
  for (const view of ['KEYS_ONLY', 'NEW_IMAGE', 'OLD_IMAGE', 'NEW_AND_OLD_IMAGES']) {
    const TableName = await table({ view })
    await ask('PutItem', { TableName, Item: old })
    await ask('PutItem', { TableName, Item: now })
    await ask('DeleteItem', { TableName, Key: Keys })
    const { Records } = (await ask<Page>('GetRecords', { ShardIterator: await start(ask, TableName) })).body
    const [showsNew, showsOld] = [/NEW/.test(view), /OLD/.test(view)]
    const expected = [
      { eventName: 'INSERT', NewImage: old, size: showsNew ? sizes.old : 0 },
      {
        eventName: 'MODIFY',
        NewImage: now,
        OldImage: old,
        size: (showsNew ? sizes.now : 0) + (showsOld ? sizes.old : 0),
      },
      { eventName: 'REMOVE', OldImage: now, size: showsOld ? sizes.now : 0 },
    ]
    Records.forEach(({ eventID, eventName, dynamodb, userIdentity }, i) => {
      const { size, NewImage, OldImage, eventName: name } = expected[i]!
      const shown = { ...(showsNew && NewImage ? { NewImage } : {}), ...(showsOld && OldImage ? { OldImage } : {}) }
      const { ApproximateCreationDateTime, SequenceNumber, ...rest } = dynamodb
      expect(rest).toEqual({ Keys, ...shown, SizeBytes: sizes.keys + size, StreamViewType: view })
      expect(eventName).toBe(name)
      expect(userIdentity).toBeUndefined()
      expect(Math.abs(Date.now() / 1000 - Number(ApproximateCreationDateTime))).toBeLessThan(3600)
      expect(SequenceNumber).toMatch(/^1\d{20}$/)
      expect(eventID).toMatch(/^[0-9a-f]{32}$/)
      expect(Number.parseInt(eventID.slice(16), 16)).toBe(Number(SequenceNumber.slice(1)))
    })
    expect(Records).toHaveLength(3)
    expect(new Set(Records.map(({ eventID }) => eventID.slice(0, 16))).size).toBe(1)
  }
})

test('a record that is larger than a page is answered whole, alone', async () => {
  const { ask, table } = await asking()
  const TableName = await table({ view: 'NEW_AND_OLD_IMAGES' })
  // Each of these bytes is six in JSON.
  const wide = (code: number) => ({ pk: { S: 'wide' }, x: { S: String.fromCharCode(code).repeat(400_000) } })
  await ask('PutItem', { TableName, Item: wide(1) })
  await ask('PutItem', { TableName, Item: wide(2) })
  let ShardIterator = await start(ask, TableName)
  const pages: StreamRecord[][] = []
  for (let i = 0; i < 3; i++) {
    const { body } = await ask<Page>('GetRecords', { ShardIterator })
    pages.push(body.Records)
    ShardIterator = body.NextShardIterator!
  }
  expect(pages.map(({ length }) => length)).toEqual([1, 1, 0])
  expect(pages[0]![0]!.dynamodb.NewImage).toEqual(wide(1))
  expect(pages[1]![0]!.dynamodb).toMatchObject({ NewImage: wide(2), OldImage: wide(1) })
})

test('an answer stays as it is while others are written, however slowly its client takes it', async () => {
  const { ask, table, serving } = await asking()
  const TableName = await table({ view: 'NEW_IMAGE' })
  const count = 1500
  for (let from = 0; from < count; from += 25) {
    const puts = Array.from({ length: 25 }, (_, i) => ({ PutRequest: { Item: itemOf(from + i) } }))
    await ask('BatchWriteItem', { RequestItems: { [TableName]: puts } })
  }
  const first = await start(ask, TableName)
  const second = (await ask<Page>('GetRecords', { ShardIterator: first })).body.NextShardIterator!
  const slowly = (ShardIterator: string) =>
    new Promise<Page>((resolve, reject) => {
      const headers = {
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': 'DynamoDBStreams_20120810.GetRecords',
      }
      const asked = request(`${serving.url}/`, { method: 'POST', headers, agent: false }, async (answer) => {
        const parts: Buffer[] = []
        for await (const part of answer) {
          parts.push(part as Buffer)
          await new Promise((turn) => setImmediate(turn))
        }
        resolve(JSON.parse(Buffer.concat(parts).toString()) as Page)
      })
      asked.on('error', reject)
      asked.end(JSON.stringify({ ShardIterator }))
    })
  const pages = await Promise.all(Array.from({ length: 24 }, (_, i) => slowly(i % 2 === 0 ? first : second)))
  const wanted = Array.from({ length: count }, (_, n) => itemOf(n))
  const edge = pages[0]!.Records.length
  expect(edge).toBeGreaterThan(500)
  pages.forEach(({ Records }, i) => {
    const images = Records.map(({ dynamodb }) => dynamodb.NewImage)
    expect(images).toEqual(i % 2 === 0 ? wanted.slice(0, edge) : wanted.slice(edge, edge + images.length))
    expect(images.length).toBeGreaterThan(100)
  })
})
