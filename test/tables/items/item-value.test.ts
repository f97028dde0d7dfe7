import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeItem, decodeText, encodeItem, stampCounterMax } from '../../../src/tables/items/item-value.js'
import { readItems } from '../../../src/tables/reads/stored-range.js'
import { MemoryStorage } from '../../memory-storage.js'
import { asking } from '../asking.js'

const stamp = fc.record({
  ms: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  counter: fc.integer({ min: 0, max: stampCounterMax }),
})
const size = fc.integer({ min: 1, max: 400 * 1024 })

/** As versions before the second form wrote it. */
function oldValue(json: string, bytes: number): Buffer {
  const head = Buffer.alloc(16, 0xff)
  head[0] = 1
  head[11] = 1
  head.writeUInt32BE(bytes, 12)
  return Buffer.concat([head, Buffer.from(json)])
}

describe('the value of an item', () => {
  it('is UTF-8 from its first byte on and says the same as text and as bytes', () => {
    fc.assert(
      fc.property(stamp, size, fc.string({ unit: 'grapheme' }), (when, bytes, text) => {
        const json = JSON.stringify({ a: { S: text } })
        const value = encodeItem(Buffer.from(json), bytes, when)
        expect(Buffer.from(value.toString())).toEqual(value)
        expect(decodeText(value.toString())).toEqual({ json, size: bytes })
        expect(decodeItem(value)).toEqual({ json: Buffer.from(json), size: bytes })
      }),
    )
  })

  it('sorts by its stamp', () => {
    fc.assert(
      fc.property(stamp, stamp, (a, b) => {
        const [first, second] = [a, b].map((when) => encodeItem(Buffer.from('{}'), 1, when))
        const order = Math.sign(a.ms - b.ms || a.counter - b.counter)
        expect(Math.sign(Buffer.compare(first as Buffer, second as Buffer))).toBe(order)
      }),
    )
  })

  it('of an older version is read, and one of a newer version refused', () => {
    const json = '{"a":{"S":"ü"}}'
    expect(decodeItem(oldValue(json, 200))).toEqual({ json: Buffer.from(json), size: 200 })
    expect(decodeText(oldValue(json, 200).toString())).toBeUndefined()
    const newer = encodeItem(Buffer.from(json), 4, { ms: 1, counter: 1 })
    newer[0] = 3
    expect(() => decodeItem(newer)).toThrow(expect.objectContaining({ code: 'DATA_DIR_NEWER' }))
    expect(() => decodeText(newer.toString())).toThrow(expect.objectContaining({ code: 'DATA_DIR_NEWER' }))
  })

  it('has the bytes that docs/formats.md shows', () => {
    const shown = /```item\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))![1]!.replace(/\s/g, '')
    const json = Buffer.from('{"id":{"S":"a"}}')
    expect(encodeItem(json, 300, { ms: 1_700_000_000_000, counter: 129 }).toString('hex')).toBe(shown)
  })
})

it('a range with items of both forms is read whole, in order, within its limit', async () => {
  const storage = new MemoryStorage()
  const wanted = [1, 2, 3, 4].map((n) => ({ json: `{"n":{"N":"${n}"},"t":{"S":"ß${n}"}}`, size: 200 + n }))
  await storage.write((batch) => {
    wanted.forEach(({ json, size }, i) => {
      const value = i === 2 ? oldValue(json, size) : encodeItem(Buffer.from(json), size, { ms: 1, counter: i })
      batch.put(Buffer.from([8, i]), value)
    })
  }, true)
  const read = (limit: number | undefined, reverse = false) =>
    readItems(storage, { gte: Buffer.from([8]), lt: Buffer.from([9]), limit, reverse }, async (pages) => {
      const items = []
      for await (const page of pages) items.push(...page)
      return items
    })
  expect(await read(undefined)).toEqual(wanted)
  expect(await read(3)).toEqual(wanted.slice(0, 3))
  expect(await read(2)).toEqual(wanted.slice(0, 2))
  expect(await read(undefined, true)).toEqual([...wanted].reverse())
})

it('every answer gives text back as it was put, whatever its characters', async () => {
  const { ask, table } = await asking()
  const TableName = await table({ range: true, view: 'NEW_AND_OLD_IMAGES' })
  const texts = ['plain', 'Größe é ÿ', '漢字', '😀 \u2028 \u0000 \\ "', '\ufffd']
  const items = texts.map((text, i) => ({ pk: { S: 'p' }, sk: { N: `${i}` }, [`n${text}`]: { S: text } }))
  for (const Item of items) {
    await ask('PutItem', { TableName, Item: { ...Item, first: { BOOL: true } } })
    await ask('PutItem', { TableName, Item })
    const { body } = await ask('GetItem', { TableName, Key: { pk: Item.pk, sk: Item.sk } })
    expect(body).toEqual({ Item })
  }
  const query = {
    TableName,
    KeyConditionExpression: 'pk = :p',
    ExpressionAttributeValues: { ':p': { S: 'p' } },
  }
  expect((await ask('Query', query)).body).toEqual({ Items: items, Count: items.length, ScannedCount: items.length })
  expect((await ask('Query', { ...query, ScanIndexForward: false, Limit: 2 })).body).toEqual({
    Items: [...items].reverse().slice(0, 2),
    Count: 2,
    ScannedCount: 2,
    LastEvaluatedKey: { pk: { S: 'p' }, sk: { N: `${items.length - 2}` } },
  })
  expect((await ask<{ Items: unknown[] }>('Scan', { TableName })).body.Items).toEqual(items)

  const { Streams } = (await ask<{ Streams: { StreamArn: string }[] }>('ListStreams', { TableName })).body
  const StreamArn = Streams[0]!.StreamArn
  const described = await ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', { StreamArn })
  const { ShardId } = described.body.StreamDescription.Shards[0]!
  const iterator = await ask('GetShardIterator', { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' })
  const read = await ask<{ Records: { dynamodb: Record<string, unknown> }[] }>('GetRecords', iterator.body)
  expect(read.body.Records.map(({ dynamodb }) => [dynamodb.OldImage, dynamodb.NewImage])).toEqual(
    items.flatMap((item) => [
      [undefined, { ...item, first: { BOOL: true } }],
      [{ ...item, first: { BOOL: true } }, item],
    ]),
  )
})
