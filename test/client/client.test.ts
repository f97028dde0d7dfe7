import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { beforeAll, describe, expect, expectTypeOf, it, onTestFinished } from 'vitest'
import { type Client, type ClientRecord, connect } from '../../src/client/index.js'
import type { Change } from '../../src/operators/index.js'
import { ensureBuilt } from '../built.js'
import { type Serving, serve } from '../server/serving.js'

beforeAll(ensureBuilt)

async function connected(config: Parameters<typeof serve>[0] = {}): Promise<{ serving: Serving; client: Client }> {
  const serving = await serve(config)
  const client = connect({ url: serving.url })
  onTestFinished(() => client.close())
  return { serving, client }
}

/** Resolves when a condition holds that the daemon or the client brings about by itself. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5))
}

const numbers = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ key: `k${(from + i) % 7}`, value: from + i }))

interface GroupShown {
  readonly lag: number
  readonly positions: readonly { readonly next: number }[]
  readonly members: readonly { readonly shards: readonly number[] }[]
}
const groupOf = async ({ v1 }: Serving, name: string) =>
  (await v1('GET', `groups/${name}`)).json as unknown as GroupShown

describe('append', () => {
  it('gathers what one turn brings into batches, and stores all of it in order', async () => {
    const { serving, client } = await connected()
    expect(await client.createStream('s', { shards: 1 })).toBe(true)
    expect(await client.createStream('s')).toBe(false)
    await Promise.all(Array.from({ length: 500 }, (_, i) => client.append('s', { key: `k${i % 7}`, value: i })))
    const { records } = (await serving.v1('GET', 'streams/s/records?shard=1')).json as unknown as {
      records: { value: number; commitTime: number }[]
    }
    expect(records.map(({ value }) => value)).toEqual(Array.from({ length: 500 }, (_, i) => i))
    expect(new Set(records.map(({ commitTime }) => commitTime)).size).toBeLessThan(10)
  })

  it('stores bytes as they are, and any JSON', async () => {
    const { client } = await connected()
    await client.createStream('s')
    const values = ['ä\u{1F600}', null, 0, { deep: [true] }, new Uint8Array([0, 255]), 'x'.repeat(100_000)]
    await client.append(
      's',
      values.map((value) => ({ key: 'ключ', value, time: 7 })),
    )
    const found: unknown[] = []
    for await (const record of client.subscribe({ stream: 's', group: 'g' })) {
      expect([record.key, record.time]).toEqual(['ключ', 7])
      found.push(record.value)
      if (found.length === values.length) break
    }
    expect(found).toEqual(values)
  })

  it('takes nothing more when it was closed, and leaves no producer behind that nobody could use', async () => {
    const { serving, client } = await connected({ producers: { producersMax: 1 } })
    await client.createStream('s')
    for (let i = 0; i < 3; i++) {
      const each = connect({ url: serving.url })
      await each.append('s', { key: 'k', value: i })
      await each.close()
      await expect(each.append('s', { key: 'k', value: i })).rejects.toMatchObject({ code: 'NOT_READY' })
      await expect(each.append('other', { key: 'k', value: i })).rejects.toMatchObject({ code: 'NOT_READY' })
    }
  })

  it('takes all of a call or nothing', async () => {
    const { client } = await connected()
    await client.createStream('s')
    const circle: { self?: object } = {}
    circle.self = circle
    const bad = [
      [{ key: 'a', value: undefined }],
      [{ key: 'a', value: 1n }],
      [{ key: 'a', value: circle }],
      [null as unknown as { key: string; value: unknown }],
      [{ key: 5 as unknown as string, value: 1 }],
      [{ key: 'a', value: 1, time: -1 }],
      [{ key: 'x'.repeat(70_000), value: 1 }],
    ]
    for (const records of bad)
      await expect(client.append('s', [{ key: 'before', value: 1 }, ...records])).rejects.toMatchObject({
        code: 'BAD_REQUEST',
      })
    await client.append('s', { key: 'only', value: 1 })
    for await (const { key } of client.subscribe({ stream: 's', group: 'g' })) {
      expect(key).toBe('only')
      break
    }
    await expect(client.append('none', { key: 'a', value: 1 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('one record that the daemon does not take fails alone, whatever it gathered with', async () => {
    const { client } = await connected()
    await client.createStream('s')
    const huge = { key: 'huge', value: 'x'.repeat(20 << 20) }
    const [before, with_, after] = [
      client.append('s', { key: 'before', value: 1 }),
      client.append('s', [{ key: 'first', value: 1 }, huge, { key: 'last', value: 1 }]),
      client.append('s', { key: 'after', value: 1 }),
    ]
    await expect(with_).rejects.toMatchObject({ code: 'TOO_LARGE', outcome: 'notApplied', details: { record: 1 } })
    await Promise.all([before, after])
    const keys: string[] = []
    for await (const { key } of client.subscribe({ stream: 's', group: 'g' })) if (keys.push(key) === 4) break
    expect(keys).toEqual(['before', 'first', 'last', 'after'])
  })

  it('tells of what is tried again, and gives up where no daemon ever answered', async () => {
    const told: string[] = []
    const onError = ({ code }: { code: string }) => void told.push(code)
    const client = connect({ url: 'http://127.0.0.1:9', onError, connectMsMax: 100 })
    const subscription = client.subscribe({ stream: 's', group: 'g' }, () => {})
    await expect(client.createStream('s')).rejects.toMatchObject({ code: 'NO_DAEMON', retryable: false })
    await expect(subscription.closed).rejects.toMatchObject({ code: 'NO_DAEMON' })
    await expect(client.append('s', { key: 'k', value: 1 })).rejects.toMatchObject({ code: 'NO_DAEMON' })
    expect(new Set(told)).toEqual(new Set(['UNREACHABLE']))
    expect(told.length).toBeGreaterThan(2)
    await client.close().catch(() => {})
    // What answers and is no Millrace is no daemon either.
    const other = createServer((_, response) => response.end('hello'))
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    const wrong = connect({ url, connectMsMax: 0 })
    await expect(wrong.createStream('s')).rejects.toMatchObject({ code: 'NO_DAEMON' })
    await wrong.close()
  })

  it('waits while too much is not stored yet', async () => {
    const { client } = await connected()
    await client.createStream('s')
    const producer = await client.producer('s', { bufferBytesMax: 10_000, batchBytes: 5_000 })
    const value = 'x'.repeat(1000)
    let most = 0
    const appends = Array.from({ length: 200 }, () =>
      producer.append({ key: 'k', value }).then(() => {
        most = Math.max(most, producer.bufferedBytes)
      }),
    )
    expect(producer.bufferedBytes).toBeLessThan(12_000)
    await Promise.all(appends)
    expect(most).toBeLessThan(12_000)
    await producer.flush()
    expect(producer.bufferedBytes).toBe(0)
  })

  it('opening a producer again fences who used it before', async () => {
    const { client } = await connected()
    await client.createStream('s')
    const first = await client.producer('s')
    await first.append({ key: 'a', value: 1 })
    const second = await client.producer('s', { id: first.id! })
    await second.append({ key: 'a', value: 2 })
    await expect(first.append({ key: 'a', value: 3 })).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
    await expect(first.append({ key: 'a', value: 4 })).rejects.toMatchObject({ code: 'PRODUCER_FENCED' })
    await expect(client.producer('s', { id: 999 })).rejects.toMatchObject({ code: 'PRODUCER_UNKNOWN' })
    const found: unknown[] = []
    for await (const { value } of client.subscribe({ stream: 's', group: 'g' })) {
      found.push(value)
      if (value === 2) break
    }
    expect(found).toEqual([1, 2])
  })
})

describe('subscribe', () => {
  it('two of one group share the shards, and each record is handled by one of them', async () => {
    const { serving, client } = await connected()
    await client.createStream('s', { shards: 4 })
    const handled = [[], []] as number[][]
    const first = client.subscribe({ stream: 's', group: 'g' }, ({ value }) => handled[0]!.push(value as number))
    await until(() => first.shards.length === 4)
    const second = client.subscribe({ stream: 's', group: 'g' }, ({ value }) => handled[1]!.push(value as number))
    await until(() => first.shards.length === 2 && second.shards.length === 2)
    await client.append('s', numbers(0, 1000))
    await until(() => handled.flat().length === 1000)
    expect(handled.flat().sort((a, b) => a - b)).toEqual(numbers(0, 1000).map(({ value }) => value))
    expect(handled.every((each) => each.length > 0)).toBe(true)
    await second.close()
    await until(() => first.shards.length === 4)
    await first.close()
    expect(await groupOf(serving, 'g')).toMatchObject({ lag: 0, members: [] })
  })

  it('follows splits in order and goes on where the group was left', async () => {
    const { serving, client } = await connected()
    await client.createStream('s')
    const seen: number[] = []
    const options = { stream: 's', group: 'g' } as const
    let subscribed = client.subscribe(options, ({ value }) => void seen.push(value as number))
    for (let round = 0; round < 5; round++) {
      await client.append('s', numbers(round * 100, 100))
      const { shards } = (await serving.v1('GET', 'streams/s/shards')).json as unknown as {
        shards: { id: number; state: string }[]
      }
      const open = shards.filter(({ state }) => state === 'open')
      await serving.v1('POST', `streams/s/shards/${open[round % open.length]!.id}/split`, {})
      if (round === 2) {
        await subscribed.close()
        subscribed = client.subscribe(options, ({ value }) => void seen.push(value as number))
      }
    }
    await until(() => seen.length >= 500)
    await subscribed.close()
    expect(seen).toHaveLength(500)
    for (let key = 0; key < 7; key++) {
      const of = seen.filter((value) => value % 7 === key)
      expect(of).toEqual([...of].sort((a, b) => a - b))
    }
  })

  it('a handler that fails ends it, its record is handled by the next', async () => {
    const { client } = await connected()
    await client.createStream('s')
    await client.append('s', numbers(0, 10))
    const seen: number[] = []
    const failing = client.subscribe({ stream: 's', group: 'g' }, async ({ value }) => {
      await Promise.resolve()
      if (value === 5) throw new Error('no five')
      seen.push(value as number)
    })
    await expect(failing.closed).rejects.toThrow('no five')
    expect(seen).toEqual([0, 1, 2, 3, 4])
    const next = client.subscribe({ stream: 's', group: 'g' }, ({ value }) => void seen.push(value as number))
    await until(() => seen.length === 10)
    await next.close()
    expect(seen).toEqual(numbers(0, 10).map(({ value }) => value))
  })

  it('a slow handler bounds what is in memory, and its shard alone waits', async () => {
    const { client } = await connected({ log: { chunkBytesMax: 16 * 1024 } })
    await client.createStream('s', { shards: 2 })
    const value = 'x'.repeat(1000)
    let let_ = () => {}
    const released = new Promise<void>((resolve) => {
      let_ = resolve
    })
    const perShard = new Map<number, number>()
    let slow: number | undefined
    let most = 0
    const bufferBytesMax = 256 * 1024
    const subscribed = client.subscribe({ stream: 's', group: 'g', bufferBytesMax }, async ({ shard }) => {
      slow ??= shard
      if (shard === slow) await released
      perShard.set(shard, (perShard.get(shard) ?? 0) + 1)
      most = Math.max(most, subscribed.bufferedBytes)
    })
    const total = 3000
    for (let i = 0; i < total; i += 100)
      await client.append(
        's',
        Array.from({ length: 100 }, (_, j) => ({ key: `k${i + j}`, value })),
      )
    // The other shard is read to its end while this one has not handled a record.
    let before = -1
    await until(async () => {
      const others = [...perShard.values()].reduce((sum, each) => sum + each, 0)
      const isSteady = others === before && others > total / 4
      before = others
      await new Promise((resolve) => setTimeout(resolve, 50))
      return isSteady
    })
    expect(perShard.get(slow!)).toBeUndefined()
    expect(most).toBeLessThan(2 * bufferBytesMax)
    let_()
    await until(() => [...perShard.values()].reduce((sum, each) => sum + each, 0) === total)
    expect(most).toBeLessThan(2 * bufferBytesMax)
    await subscribed.close()
  })

  it('what a handler appends is there with its position, once', async () => {
    const { client } = await connected()
    await client.createStream('s', { shards: 2 })
    await client.createStream('doubled')
    await client.append('s', numbers(0, 3000))
    const doubling = client.subscribe({ stream: 's', group: 'g' }, ({ key, value }, context) => {
      context.append('doubled', { key, value: 2 * (value as number) })
    })
    const found: number[] = []
    for await (const { value } of client.subscribe({ stream: 'doubled', group: 'h' })) {
      found.push(value as number)
      if (found.length === 3000) break
    }
    await doubling.close()
    expect(found.sort((a, b) => a - b)).toEqual(numbers(0, 3000).map(({ value }) => 2 * value))
  })

  it('an effect waits for the end of its handler, and goes with it when that fails', async () => {
    const { serving, client } = await connected()
    await client.createStream('s')
    await client.createStream('out')
    await client.append('s', numbers(0, 2))
    const before = (await serving.v1('GET', 'streams/s/shards')).json as unknown as {
      shards: { newestSequence: number }[]
    }
    const last = before.shards[0]!.newestSequence
    let isCommitted = false
    const failing = client.subscribe({ stream: 's', group: 'g', commitMs: 1 }, async ({ value }, context) => {
      context.append('out', { key: 'a', value: `first ${value}` })
      if (value === 0) return
      // The position of the record before is committed while this one is still in the handler.
      await until(async () => (await groupOf(serving, 'g')).positions[0]!.next === last)
      isCommitted = true
      throw new Error('this one cannot be handled')
    })
    await expect(failing.closed).rejects.toThrow('this one cannot be handled')
    expect(isCommitted).toBe(true)
    const again = client.subscribe({ stream: 's', group: 'g' }, ({ value }, context) => {
      context.append('out', { key: 'a', value: `second ${value}` })
      context.append('out', { key: 'b', value: new Uint8Array([0, 255]) })
    })
    const found: unknown[] = []
    for await (const { value } of client.subscribe({ stream: 'out', group: 'h' })) {
      found.push(value)
      if (found.length === 3) break
    }
    await again.close()
    expect(found).toEqual(['first 0', 'second 1', new Uint8Array([0, 255])])
  })

  it('waits for a commit when its effects are large', async () => {
    const { client } = await connected()
    await client.createStream('s')
    await client.createStream('out')
    await client.append('s', numbers(0, 300))
    const value = 'x'.repeat(100_000)
    const copying = client.subscribe({ stream: 's', group: 'g', commitMs: 60_000 }, ({ key }, context) =>
      context.append('out', { key, value }),
    )
    let count = 0
    for await (const _ of client.subscribe({ stream: 'out', group: 'h' })) if (++count === 280) break
    await copying.close()
  })

  it('a loop that ends early reads its last record again, and no other', async () => {
    const { client } = await connected()
    await client.createStream('s')
    await client.append('s', numbers(0, 10))
    const read = async (count: number) => {
      const seen: number[] = []
      for await (const { value } of client.subscribe({ stream: 's', group: 'g' })) {
        seen.push(value as number)
        if (seen.length === count) break
      }
      return seen
    }
    expect(await read(3)).toEqual([0, 1, 2])
    expect(await read(3)).toEqual([2, 3, 4])
  })

  it('gives the changes of a table', async () => {
    const { serving, client } = await connected()
    const aws = (operation: string, body: object) =>
      fetch(serving.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-amz-json-1.0',
          'x-amz-target': `DynamoDB_20120810.${operation}`,
        },
        body: JSON.stringify(body),
      })
    await aws('CreateTable', {
      TableName: 'things',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    })
    await aws('PutItem', { TableName: 'things', Item: { id: { S: 'a' }, n: { N: '1' } } })
    await aws('DeleteItem', { TableName: 'things', Key: { id: { S: 'a' } } })
    const seen: unknown[] = []
    for await (const change of client.subscribe({ stream: 'table:things', group: 'g' })) {
      expectTypeOf(change).toEqualTypeOf<Change>()
      seen.push([change.type, change.keys, change.new ?? change.old])
      if (seen.length === 2) break
    }
    expect(seen).toEqual([
      ['insert', { id: 'a' }, { id: 'a', n: 1 }],
      ['remove', { id: 'a' }, { id: 'a', n: 1 }],
    ])
  })

  it('infers its types', async () => {
    const { client } = await connected()
    await client.createStream('s')
    const decode = (value: unknown) => ({ n: Number(value) })
    const typed = client.subscribe({ stream: 's', group: 'g', decode }, (record) => {
      expectTypeOf(record).toEqualTypeOf<ClientRecord<{ n: number }>>()
    })
    const plain = client.subscribe({ stream: 's', group: 'h' })
    type Looped = typeof plain extends AsyncIterable<infer Each> ? Each : never
    expectTypeOf<Looped>().toEqualTypeOf<ClientRecord<unknown>>()
    const changes = client.subscribe({ stream: 'table:x', group: 'i' }, (change) => {
      expectTypeOf(change).toEqualTypeOf<Change>()
    })
    await expect(changes.closed).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await Promise.all([typed.close(), plain.close()])
  })

  it('a group of another stream, or of a pipeline, is refused', async () => {
    const { client } = await connected()
    await client.createStream('s')
    await client.createStream('t')
    const own = client.subscribe({ stream: 's', group: 'g' }, () => {})
    await until(() => own.shards.length === 1)
    await own.close()
    const other = client.subscribe({ stream: 't', group: 'g' }, () => {})
    await expect(other.closed).rejects.toMatchObject({ code: 'CONFLICT' })
    const taken = client.subscribe({ stream: 's', group: 'pipeline:x' }, () => {})
    await expect(taken.closed).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})
