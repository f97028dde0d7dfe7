import { expect, test } from 'vitest'
import { asking } from '../asking.js'

interface Shard {
  readonly ShardId: string
  readonly ParentShardId?: string
  readonly SequenceNumberRange: { readonly StartingSequenceNumber: string; readonly EndingSequenceNumber?: string }
}
interface Page {
  readonly Records: {
    readonly dynamodb: { readonly Keys: { readonly pk: { readonly S: string } }; readonly SequenceNumber: string }
  }[]
  readonly NextShardIterator?: string
}

/** A table whose stream has a closed shard with the items a and b, and two children, one of which has the item c. */
async function splitStream() {
  const { ask, table, url } = await asking()
  const TableName = await table({ view: 'KEYS_ONLY' })
  const put = (pk: string) => ask('PutItem', { TableName, Item: { pk: { S: pk } } })
  const { body: listed } = await ask<{ Streams: { StreamArn: string }[] }>('ListStreams', { TableName })
  const StreamArn = listed.Streams[0]!.StreamArn
  const describe = async (input: object = {}) =>
    (await ask<{ StreamDescription: { Shards: Shard[] } }>('DescribeStream', { StreamArn, ...input })).body
      .StreamDescription.Shards
  await put('a')
  await put('b')
  const headers = { 'content-type': 'application/json', 'x-millrace': '1' }
  const { shards } = (await (await fetch(`${url}/v1/streams/table:${TableName}/shards`, { headers })).json()) as {
    shards: { id: number }[]
  }
  const path = `${url}/v1/streams/table:${TableName}/shards/${shards[0]!.id}/split`
  await fetch(path, { method: 'POST', headers, body: '{}' })
  await put('c')
  const iterator = (shard: Shard, ShardIteratorType: string, SequenceNumber?: string) =>
    ask<{ ShardIterator: string }>('GetShardIterator', {
      StreamArn,
      ShardId: shard.ShardId,
      ShardIteratorType,
      SequenceNumber,
    })
  const read = async (ShardIterator: string) => (await ask<Page>('GetRecords', { ShardIterator })).body
  const from = async (shard: Shard, type: string, sequence?: string) => {
    const answer = await iterator(shard, type, sequence)
    if (answer.status !== 200) return answer.error
    const page = await read(answer.body.ShardIterator)
    return [page.Records.map(({ dynamodb }) => dynamodb.Keys.pk.S).join(''), page.NextShardIterator !== undefined]
  }
  return { ask, TableName, StreamArn, describe, iterator, read, from, put }
}

test('iterators at the first and last records of a closed shard and of an open one', async () => {
  const { describe, iterator, read, from, put } = await splitStream()
  const [parent, ...children] = await describe()
  const { StartingSequenceNumber: start, EndingSequenceNumber: end } = parent!.SequenceNumberRange
  const all = await read((await iterator(parent!, 'TRIM_HORIZON')).body.ShardIterator)
  const [a, b] = all.Records.map(({ dynamodb }) => dynamodb.SequenceNumber) as [string, string]
  // The page with the last record of a closed shard has no further iterator.
  expect(await from(parent!, 'TRIM_HORIZON')).toEqual(['ab', false])
  expect(await from(parent!, 'LATEST')).toEqual(['', false])
  expect(await from(parent!, 'AT_SEQUENCE_NUMBER', start)).toEqual(['ab', false])
  expect(await from(parent!, 'AT_SEQUENCE_NUMBER', a)).toEqual(['ab', false])
  expect(await from(parent!, 'AFTER_SEQUENCE_NUMBER', a)).toEqual(['b', false])
  expect(await from(parent!, 'AT_SEQUENCE_NUMBER', b)).toEqual(['b', false])
  expect(await from(parent!, 'AFTER_SEQUENCE_NUMBER', b)).toEqual(['', false])
  expect(await from(parent!, 'AT_SEQUENCE_NUMBER', end)).toEqual(['', false])
  expect(await from(parent!, 'AFTER_SEQUENCE_NUMBER', end)).toEqual(['', false])
  // A number of another shard is none of this one.
  const [first] = children
  expect(await from(parent!, 'AT_SEQUENCE_NUMBER', first!.SequenceNumberRange.StartingSequenceNumber)).toBe(
    'ValidationException',
  )

  expect(children).toHaveLength(2)
  const seen: string[] = []
  for (const child of children) {
    expect(child.ParentShardId).toBe(parent!.ShardId)
    expect(await from(child, 'LATEST')).toEqual(['', true])
    const [keys, isOpen] = (await from(child, 'TRIM_HORIZON')) as [string, boolean]
    expect(isOpen).toBe(true)
    expect(await from(child, 'AT_SEQUENCE_NUMBER', child.SequenceNumberRange.StartingSequenceNumber)).toEqual([
      keys,
      true,
    ])
    seen.push(keys)
  }
  expect(seen.join('')).toBe('c')
  // What is written right after LATEST is missed by nobody, and the same iterator reads it again.
  const latest = await Promise.all(children.map(async (child) => (await iterator(child, 'LATEST')).body.ShardIterator))
  expect(new Set(latest).size).toBe(2)
  for (const pk of ['d', 'e', 'f', 'g']) await put(pk)
  for (let time = 0; time < 2; time++) {
    const pages = await Promise.all(latest.map(read))
    const keys = pages.flatMap((page) => page.Records.map(({ dynamodb }) => dynamodb.Keys.pk.S))
    expect(keys.sort()).toEqual(['d', 'e', 'f', 'g'])
  }
})

test('children are found as soon as their parent is closed, and behind an unknown shard there is none', async () => {
  const { ask, StreamArn, describe } = await splitStream()
  const all = await describe()
  const [parent, first, second] = all.map(({ ShardId }) => ShardId) as [string, string, string]
  const children = (ShardId: string, more: object = {}) =>
    describe({ ShardFilter: { Type: 'CHILD_SHARDS', ShardId }, ...more })
  expect((await children(parent)).map(({ ShardId }) => ShardId)).toEqual([first, second])
  expect((await children(parent, { ExclusiveStartShardId: first })).map(({ ShardId }) => ShardId)).toEqual([second])
  expect(await children(first)).toEqual([])
  expect(await children(`shardId-${'0'.repeat(20)}-00000000`)).toEqual([])
  for (const id of [second, `shardId-${'0'.repeat(20)}-00000000`, '0'.repeat(28), 'z'.repeat(65), `${parent}0`]) {
    expect([id, await describe({ ExclusiveStartShardId: id })]).toEqual([id, []])
  }
  expect(await describe({ ExclusiveStartShardId: parent })).toHaveLength(2)
  const wrong = await ask('DescribeStream', { StreamArn, ShardFilter: { Type: 'ALL', ShardId: parent } })
  expect([wrong.error, wrong.message]).toEqual(['ValidationException', expect.stringContaining('[CHILD_SHARDS]')])
})

test('what is asked of a stream in a wrong form, and of one that is not there', async () => {
  const { ask, StreamArn, describe, iterator } = await splitStream()
  const [parent] = await describe()
  const start = parent!.SequenceNumberRange.StartingSequenceNumber
  const ShardId = parent!.ShardId
  const gone = StreamArn.replace(/\d{4}-/, '1999-')
  const wrong: [string, object, string][] = [
    ['ListStreams', { Limit: 0 }, 'ValidationException'],
    ['ListStreams', { Limit: 101 }, 'ValidationException'],
    ['ListStreams', { TableName: 'ab' }, 'ValidationException'],
    ['ListStreams', { TableName: 'a b c' }, 'ValidationException'],
    ['ListStreams', { ExclusiveStartStreamArn: 'x'.repeat(47) }, 'ValidationException'],
    ['DescribeStream', { StreamArn: 'x'.repeat(47) }, 'ValidationException'],
    ['DescribeStream', { StreamArn: gone }, 'ResourceNotFoundException'],
    ['DescribeStream', { StreamArn, Limit: 101 }, 'ValidationException'],
    ['DescribeStream', { StreamArn, ExclusiveStartShardId: 'short' }, 'ValidationException'],
    ['DescribeStream', {}, 'ValidationException'],
    ['GetShardIterator', { StreamArn, ShardIteratorType: 'LATEST' }, 'ValidationException'],
    ['GetShardIterator', { StreamArn, ShardId }, 'ValidationException'],
    ['GetShardIterator', { StreamArn, ShardId, ShardIteratorType: 'AT_TIMESTAMP' }, 'ValidationException'],
    ['GetShardIterator', { StreamArn: 'x'.repeat(47), ShardId, ShardIteratorType: 'LATEST' }, 'ValidationException'],
    ['GetShardIterator', { StreamArn: gone, ShardId, ShardIteratorType: 'LATEST' }, 'ResourceNotFoundException'],
    [
      'GetShardIterator',
      { StreamArn, ShardId: 'x'.repeat(34), ShardIteratorType: 'LATEST' },
      'ResourceNotFoundException',
    ],
    ['GetRecords', {}, 'ValidationException'],
    ['GetRecords', { ShardIterator: '' }, 'ValidationException'],
    ['GetRecords', { ShardIterator: 'x'.repeat(2049) }, 'ValidationException'],
    ['GetRecords', { ShardIterator: 'sdfsdfsgagaddafgagasg' }, 'ValidationException'],
    [
      'GetRecords',
      { ShardIterator: `${StreamArn}|1|${Buffer.from('999.1.1').toString('base64')}` },
      'ExpiredIteratorException',
    ],
  ]
  for (const [operation, input, error] of wrong) {
    expect([operation, input, (await ask(operation, input)).error]).toEqual([operation, input, error])
  }
  for (const [type, sequence] of [
    ['TRIM_HORIZON', start],
    ['LATEST', start],
    ['AT_SEQUENCE_NUMBER', undefined],
    ['AFTER_SEQUENCE_NUMBER', undefined],
    ['AT_SEQUENCE_NUMBER', 'x'.repeat(30)],
    ['AT_SEQUENCE_NUMBER', '1'.repeat(20)],
    ['AT_SEQUENCE_NUMBER', '9'.repeat(41)],
    ['AFTER_SEQUENCE_NUMBER', '9'.repeat(40)],
    ['LATEST', 'sdfsafglldfngjdafnasdflgnaldklkafdsgklna'],
  ] as const) {
    expect([type, sequence, (await iterator(parent!, type, sequence)).error]).toEqual([
      type,
      sequence,
      'ValidationException',
    ])
  }
  expect((await ask('DescribeStream', { StreamArn: gone })).message).toBe(
    `Requested resource not found: Stream: ${gone} not found`,
  )
  expect((await ask('ListStreams', { TableName: 'nowhere' })).body).toEqual({ Streams: [] })
})

test('a stream that is on cannot be switched on again, nor one that is off be switched off', async () => {
  const { ask, table } = await asking()
  const TableName = await table({ view: 'KEYS_ONLY' })
  const turn = async (StreamSpecification: object) => {
    const { error, message } = await ask('UpdateTable', { TableName, StreamSpecification })
    return `${error}: ${message}`
  }
  for (const StreamViewType of ['KEYS_ONLY', 'NEW_IMAGE']) {
    expect(await turn({ StreamEnabled: true, StreamViewType })).toMatch(
      /^ValidationException: .*already has an enabled/,
    )
  }
  expect(await turn({ StreamEnabled: true, StreamViewType: 'Fisk' })).toMatch(/^ValidationException/)
  expect(await turn({ StreamEnabled: true })).toMatch(/^ValidationException/)
  expect(await turn({ StreamEnabled: false, StreamViewType: 'KEYS_ONLY' })).toMatch(/^ValidationException/)
  const arns = new Set<unknown>()
  const label = async () => {
    const { body } = await ask<{ Table: Record<string, unknown> }>('DescribeTable', { TableName })
    arns.add(body.Table.LatestStreamArn)
    return body.Table.StreamSpecification
  }
  expect(await label()).toEqual({ StreamEnabled: true, StreamViewType: 'KEYS_ONLY' })
  expect(await turn({ StreamEnabled: false })).toBe('undefined: undefined')
  // The ARN stays until there is another stream.
  expect(await label()).toBeUndefined()
  expect(arns.size).toBe(1)
  expect(await turn({ StreamEnabled: false })).toMatch(/^ValidationException/)
  expect(await turn({ StreamEnabled: true, StreamViewType: 'OLD_IMAGE' })).toBe('undefined: undefined')
  expect(await label()).toEqual({ StreamEnabled: true, StreamViewType: 'OLD_IMAGE' })
  expect(arns.size).toBe(2)
})
