import { expect, test } from 'vitest'
import { asking } from './asking.js'

const Key = { pk: { S: 'a' } }
const itemBytesMax = 409_600
/** An item of so many bytes by AWS's count: three for `pk` and its value, and the rest in a list of strings. */
function itemOf(bytes: number) {
  const element = { S: 'x'.repeat(100) }
  const left = bytes - 3 - 'l'.length - 3
  const count = Math.floor(left / 101) - 1
  const rest = left - count * 101 - 1
  return { ...Key, l: { L: [...Array.from({ length: count }, () => element), { S: 'y'.repeat(rest) }] } }
}

test('an item of 409,600 bytes is taken on every way, and one byte more is refused and leaves nothing', async () => {
  const { ask, table } = await asking()
  const TableName = await table({ view: 'NEW_AND_OLD_IMAGES' })
  const put = (bytes: number) => ask('PutItem', { TableName, Item: itemOf(bytes) })
  const batch = (bytes: number) =>
    ask('BatchWriteItem', { RequestItems: { [TableName]: [{ PutRequest: { Item: itemOf(bytes) } }] } })
  const update = (bytes: number) =>
    ask('UpdateItem', {
      TableName,
      Key,
      UpdateExpression: 'SET l = :l',
      ExpressionAttributeValues: { ':l': itemOf(bytes).l },
    })
  const count = async () => (await ask('Scan', { TableName, Select: 'COUNT' })).body.Count
  for (const [write, words] of [
    [put, 'Item size has exceeded the maximum allowed size'],
    [batch, 'Item size has exceeded the maximum allowed size'],
    [update, 'Item size to update has exceeded the maximum allowed size'],
  ] as const) {
    expect(await write(itemBytesMax + 1)).toMatchObject({ error: 'ValidationException', message: words })
    expect(await count()).toBe(0)
    expect((await write(itemBytesMax)).message).toBeUndefined()
    expect((await ask('GetItem', { TableName, Key })).body.Item).toEqual(itemOf(itemBytesMax))
    // By one byte too many: what is there stays as it is.
    const grown = await ask('UpdateItem', { TableName, Key, UpdateExpression: 'SET l[0] = l[0], x = pk' })
    expect(grown.message).toBe('Item size to update has exceeded the maximum allowed size')
    await ask('DeleteItem', { TableName, Key })
  }
  // Of what was refused the stream knows nothing: each way made and removed one item.
  const { body: listed } = await ask<{ Streams: { StreamArn: string }[] }>('ListStreams', { TableName })
  const StreamArn = listed.Streams[0]!.StreamArn
  const { body } = await ask<{ StreamDescription: { Shards: { ShardId: string }[] } }>('DescribeStream', { StreamArn })
  const events: string[] = []
  for (const { ShardId } of body.StreamDescription.Shards) {
    const first = await ask('GetShardIterator', { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' })
    let ShardIterator = first.body.ShardIterator
    // A page ends at 1 MB, so a large record may stand alone.
    for (let pages = 0; pages < 10; pages++) {
      const page = await ask<{ Records: { eventName: string }[]; NextShardIterator: string }>('GetRecords', {
        ShardIterator,
      })
      events.push(...page.body.Records.map(({ eventName }) => eventName))
      ShardIterator = page.body.NextShardIterator
    }
  }
  expect(events).toEqual(['INSERT', 'REMOVE', 'INSERT', 'REMOVE', 'INSERT', 'REMOVE'])
})

test('numbers of a million digits and exponents without end are read once and refused, or are what they say', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const put = (N: string) => ask('PutItem', { TableName, Item: { ...Key, n: { N } } })
  const million = 1_000_000
  for (const [text, words] of [
    ['9'.repeat(million), 'Number overflow'],
    [`0.${'0'.repeat(million)}1`, 'Number underflow'],
    [`1.${'1'.repeat(million)}`, 'more than 38 significant digits'],
    [`1e${'9'.repeat(million)}`, 'cannot be converted to a numeric value'],
    [`${'-'.repeat(million)}1`, 'cannot be converted to a numeric value'],
    [`1${'0'.repeat(million)}e-${million}0`, 'Number underflow'],
  ] as const) {
    const answer = await put(text)
    expect([answer.error, answer.message]).toEqual(['ValidationException', expect.stringContaining(words)])
  }
  expect((await ask('Scan', { TableName })).body.Count).toBe(0)
  for (const [text, value] of [
    [`${'0'.repeat(million)}7.${'0'.repeat(million)}`, '7'],
    [`1${'0'.repeat(million)}e-${million}`, '1'],
    [`0.${'0'.repeat(million)}25e${million + 1}`, '2.5'],
    [`-0.${'0'.repeat(million)}`, '0'],
  ] as const) {
    expect((await put(text)).message).toBeUndefined()
    expect((await ask('GetItem', { TableName, Key })).body.Item).toEqual({ ...Key, n: { N: value } })
  }
})

test('values of no type, of several, of an unknown one, and expressions with too much to carry', async () => {
  const { ask, table } = await asking()
  const TableName = await table()
  const empty = 'Supplied AttributeValue is empty, must contain exactly one of the supported datatypes'
  const several =
    'Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes'
  for (const [value, words] of [
    [{}, empty],
    [{ X: '1' }, empty],
    [{ s: 'x' }, empty],
    [{ S: null }, empty],
    [{ S: 'x', N: '1' }, several],
    [{ L: [{ M: { a: {} } }] }, empty],
    [{ BOOL: true, NULL: true }, several],
  ] as const) {
    const answer = await ask('PutItem', { TableName, Item: { ...Key, a: value } })
    expect(answer.message).toBe(`1 validation error detected: ${words}`)
  }
  const carried = await ask('UpdateItem', {
    TableName,
    Key,
    UpdateExpression: 'SET a = :a',
    ExpressionAttributeValues: { ':a': { S: 'x'.repeat(2 * 1024 * 1024) } },
  })
  expect(carried.message).toContain('Combined size of ExpressionAttributeNames and ExpressionAttributeValues')
  const long = await ask('UpdateItem', {
    TableName,
    Key,
    UpdateExpression: `SET #${'a'.repeat(255)} = :a`,
    ExpressionAttributeNames: { [`#${'a'.repeat(255)}`]: 'a' },
    ExpressionAttributeValues: { ':a': { S: 'x' } },
  })
  expect(long.message).toContain('contains a key that is too long; size of key: 256')
  // Of two members of one name the last one counts, everywhere: what is checked is what is stored.
  const twice = await ask(
    'PutItem',
    `{"TableName":"${TableName}","Item":{"pk":{"S":"x"},"pk":{"S":"a"},"b":{"N":"x","N":"1"}}}`,
  )
  expect(twice.status).toBe(200)
  expect((await ask('Scan', { TableName })).body).toMatchObject({ Count: 1, Items: [{ ...Key, b: { N: '1' } }] })
})
