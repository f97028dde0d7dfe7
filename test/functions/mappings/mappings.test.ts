/** Mappings over a table's stream, in memory and in virtual time: delivery, failures, destinations, splits, restarts. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Codec, forEachRecord, type Sequence } from '../../../src/log/index.js'
import { type EventShape, World } from './world.js'

let world: World | undefined
afterEach(async () => {
  await world?.close()
  world = undefined
})

async function open(options: Parameters<typeof World.open>[0] = {}): Promise<World> {
  world = await World.open(options)
  return world
}

const nothing = () => null
const fails = () => {
  throw new Error('no')
}

describe('delivery', () => {
  it('calls the function with what is written, at once, as AWS writes it', async () => {
    const world = await open()
    const arn = await world.table()
    await world.mapping(arn, nothing)
    await world.put('one', 'a', { n: { N: '1' } })
    await world.settle()
    expect(world.invoker.events).toEqual([
      {
        Records: [
          {
            eventID: expect.stringMatching(/^e{16}[0-9a-f]{16}$/),
            eventName: 'INSERT',
            eventVersion: '1.1',
            eventSource: 'aws:dynamodb',
            awsRegion: 'here-1',
            dynamodb: {
              ApproximateCreationDateTime: world.clock.now() / 1000,
              Keys: { pk: { S: 'one' }, sk: { S: 'a' } },
              NewImage: { pk: { S: 'one' }, sk: { S: 'a' }, n: { N: '1' } },
              SequenceNumber: expect.stringMatching(/^1\d{20}$/),
              SizeBytes: 8 + 11,
              StreamViewType: 'NEW_AND_OLD_IMAGES',
            },
            eventSourceARN: arn,
          },
        ],
      },
    ])
  })

  it('begins at the oldest record, or behind the newest', async () => {
    const world = await open()
    const arn = await world.table()
    await world.put('before')
    world.invoker.handlers.set('late', nothing)
    await world.mappings.create({ EventSourceArn: arn, FunctionName: 'late', StartingPosition: 'LATEST' })
    await world.settle()
    expect(world.calls).toEqual([])
    await world.put('after')
    await world.settle()
    expect(world.calls).toEqual([['after']])
    await world.mapping(arn, nothing)
    await world.settle()
    expect(world.calls).toEqual([['after'], ['before', 'after']])
  })

  it('waits for a full batch, or for the end of its window', async () => {
    const world = await open()
    const arn = await world.table()
    await world.mapping(arn, nothing, { BatchSize: 3, MaximumBatchingWindowInSeconds: 10 })
    for (const key of ['a', 'b']) await world.put(key)
    await world.pass(9999)
    expect(world.calls).toEqual([])
    await world.pass(1)
    expect(world.calls).toEqual([['a', 'b']])
    for (const key of ['c', 'd', 'e', 'f']) await world.put(key)
    await world.settle()
    expect(world.calls).toEqual([
      ['a', 'b'],
      ['c', 'd', 'e'],
    ])
  })

  it('waits no longer when what all mappings may read ahead is spent, and reads on when it is done', async () => {
    const world = await open({ bufferBytesMax: 1 })
    const arn = await world.table()
    await world.mapping(arn, nothing, { MaximumBatchingWindowInSeconds: 300 })
    for (const key of ['a', 'b', 'c']) {
      await world.put(key)
      await world.settle()
    }
    expect(world.calls).toEqual([['a'], ['b'], ['c']])
  })

  it('takes what its filters take, and passes over the rest', async () => {
    const world = await open()
    const arn = await world.table()
    const { UUID } = await world.mapping(arn, nothing, {
      FilterCriteria: {
        Filters: [{ Pattern: '{"eventName":["REMOVE"]}' }, { Pattern: '{"dynamodb":{"NewImage":{"n":{"N":["7"]}}}}' }],
      },
    })
    await world.put('a')
    await world.put('b', 'a', { n: { N: '7' } })
    await world.put('a', 'a', { n: { N: '8' } })
    await world.run('DeleteItem', { TableName: 'todo', Key: { pk: { S: 'a' }, sk: { S: 'a' } } })
    await world.put('c')
    await world.pass(100)
    expect(world.calls).toEqual([['b'], ['a']])
    expect(world.mappings.get(UUID).counts).toMatchObject({ records: 2, filtered: 3 })
    expect(world.mappings.get(UUID).lagRecords).toBe(0)
  })

  it('has several batches of a shard under way at a time, and each item in its order', async () => {
    const world = await open()
    world.invoker.threads = 3
    const arn = await world.table()
    const seen = new Map<string, number[]>()
    const waiting: (() => void)[] = []
    await world.mapping(
      arn,
      async ({ Records }) => {
        await new Promise<void>((resolve) => waiting.push(resolve))
        for (const { dynamodb } of Records) {
          const { pk, sk } = dynamodb.Keys as Record<string, { S: string }>
          const key = `${pk?.S} ${sk?.S}`
          seen.set(key, [...(seen.get(key) ?? []), Number((dynamodb.NewImage as { n: { N: string } }).n.N)])
        }
      },
      { BatchSize: 5, ParallelizationFactor: 10 },
    )
    // One partition key: what keeps an order is the item, not the partition.
    for (let n = 1; n <= 12; n++)
      for (const sk of ['a', 'b', 'c', 'd', 'e', 'f']) await world.put('same', sk, { n: { N: String(n) } })
    for (let i = 0; i < 200 && [...seen.values()].flat().length < 72; i++) {
      await world.settle()
      for (const go of waiting.splice(Math.floor(i % 3), 1)) go()
      for (const go of i % 5 === 0 ? waiting.splice(0) : []) go()
      await world.pass(100)
    }
    expect(world.invoker.mostRunning).toBe(3)
    for (const [key, numbers] of seen) expect(numbers, key).toEqual(Array.from({ length: 12 }, (_, i) => i + 1))
    expect(seen.size).toBe(6)
  })

  it('waits for a thread of a busy function, and counts no attempt', async () => {
    const world = await open()
    const arn = await world.table()
    world.invoker.threads = 0
    const { UUID } = await world.mapping(arn, nothing, { MaximumRetryAttempts: 0 })
    await world.put('a')
    await world.pass(5000, 100)
    expect(world.calls).toEqual([])
    world.invoker.threads = 1
    await world.pass(300, 100)
    expect(world.calls).toEqual([['a']])
    expect(world.mappings.get(UUID).counts).toMatchObject({ records: 1, failures: 0, discarded: 0 })
  })

  it('tells of a function that is gone, loses nothing, and goes on when it is back', async () => {
    const world = await open()
    const arn = await world.table()
    const { UUID } = await world.mapping(arn, nothing, { MaximumRetryAttempts: 0 })
    world.invoker.handlers.delete('count')
    await world.put('a')
    await world.pass(1000, 100)
    expect(world.description(UUID).LastProcessingResult).toBe('PROBLEM: There is no function count.')
    world.invoker.handlers.set('count', nothing)
    await world.pass(60_000, 5000)
    expect(world.calls).toEqual([['a']])
    expect(world.description(UUID).LastProcessingResult).toBe('OK')
  })

  it('reads on through splits, parents before their children', async () => {
    const world = await open()
    const arn = await world.table()
    let isOpen = false
    await world.mapping(arn, () => {
      if (!isOpen) throw new Error('not yet')
    })
    const stream = world.tables.awsStream(arn)!.stream
    for (let n = 0; n < 4; n++) await world.put('k', 'a', { n: { N: String(n) } })
    const [shard] = world.log.openShards(stream)
    await world.log.split(shard!.shard.id)
    for (let n = 4; n < 8; n++) {
      await world.put('k', 'a', { n: { N: String(n) } })
      await world.put(`other-${n}`)
    }
    await world.pass(2000, 100)
    isOpen = true
    world.invoker.events.length = 0
    await world.pass(120_000, 5000)
    const ofItem = world.invoker.events
      .flatMap(({ Records }) => Records)
      .filter(({ dynamodb }) => dynamodb.Keys.pk?.S === 'k')
      .map(({ dynamodb }) => (dynamodb.NewImage as { n: { N: string } }).n.N)
    expect(ofItem).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
    expect(new Set(world.calls.flat()).size).toBe(5)
  })
})

describe('failures', () => {
  it('are tried again with growing waits until they succeed, and nothing behind them goes ahead', async () => {
    const world = await open()
    const arn = await world.table()
    let left = 5
    const { UUID } = await world.mapping(
      arn,
      () => {
        if (left-- > 0) throw new Error('no')
      },
      { BatchSize: 1 },
    )
    await world.put('a')
    await world.put('b')
    await world.settle()
    expect(world.description(UUID).LastProcessingResult).toBe('PROBLEM: Function call failed')
    const at: number[] = []
    for (let ms = 0; ms < 4000; ms += 50) {
      await world.pass(50)
      while (at.length < world.invoker.events.length) at.push(ms)
    }
    expect(world.calls).toEqual([['a'], ['a'], ['a'], ['a'], ['a'], ['a'], ['b']])
    const waits = at.slice(1, 6).map((ms, i) => ms - (at[i] as number))
    expect([...waits].sort((a, b) => a - b)).toEqual(waits)
    expect(world.description(UUID).LastProcessingResult).toBe('OK')
  })

  it('are halved until the record at fault is alone', async () => {
    const world = await open()
    const arn = await world.table()
    await world.run('CreateTable', {
      TableName: 'failed',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    for (const key of ['a', 'b', 'c', 'd', 'poison', 'f']) await world.put(key)
    await world.mapping(
      arn,
      ({ Records }) => {
        if (Records.some(({ dynamodb }) => dynamodb.Keys.pk?.S === 'poison')) throw new Error('no')
      },
      {
        BisectBatchOnFunctionError: true,
        MaximumRetryAttempts: 1,
        DestinationConfig: { OnFailure: { Destination: 'table:failed' } },
      },
    )
    await world.pass(1000, 100)
    expect(world.calls).toEqual([
      ['a', 'b', 'c', 'd', 'poison', 'f'],
      ['a', 'b', 'c'],
      ['d', 'poison', 'f'],
      ['d', 'poison'],
      ['d'],
      ['poison'],
      ['poison'],
      ['f'],
    ])
    const { Items } = await world.run<{ Items: Record<string, { S: string }>[] }>('Scan', { TableName: 'failed' })
    expect(Items).toHaveLength(1)
    expect(Items[0]).toMatchObject({
      id: { S: expect.stringMatching(/^[0-9a-f-]{36}:shardId-\d{20}-[0-9a-f]{8}:1\d{20}-1\d{20}$/) },
      condition: { S: 'RetryAttemptsExhausted' },
      functionArn: { S: `arn:aws:lambda:here-1:123456789012:function:count` },
    })
    const document = JSON.parse(Items[0]?.document?.S as string)
    expect(document.DDBStreamBatchInfo.batchSize).toBe(1)
    expect(document.payload.Records[0].dynamodb.Keys.pk.S).toBe('poison')
  })

  it('give up records that are too old, also such that were never tried', async () => {
    const world = await open()
    const arn = await world.table()
    await world.put('old')
    await world.pass(70_000)
    await world.put('young')
    mkdirSync(join(world.folder, 'files'))
    writeFileSync(join(world.folder, 'files', 'old.ndjson'), '{"cut')
    await world.mapping(arn, fails, {
      MaximumRecordAgeInSeconds: 60,
      DestinationConfig: { OnFailure: { Destination: 'file:old.ndjson' } },
    })
    // A file is written in its own time.
    await vi.waitFor(() => expect(world.calls).toEqual([['young']]), 120_000)
    await world.pass(62_000, 500)
    const lines = () => readFileSync(join(world.folder, 'files', 'old.ndjson'), 'utf8').split('\n')
    await vi.waitFor(() => expect(lines()).toHaveLength(4), 120_000)
    const [cut, first, second, end] = lines()
    expect([cut, end]).toEqual(['{"cut', ''])
    const [never, tried] = [JSON.parse(first as string), JSON.parse(second as string)]
    expect(never.requestContext).toMatchObject({ condition: 'RecordAgeExceeded', approximateInvokeCount: 0 })
    expect(never.responseContext).toBeUndefined()
    expect(never.payload.Records[0].dynamodb.Keys.pk.S).toBe('old')
    expect(tried.requestContext.condition).toBe('RecordAgeExceeded')
    expect(tried.responseContext).toEqual({ statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' })
  })

  it('keep the document until its destination takes it, and the position before it', async () => {
    const world = await open()
    const arn = await world.table()
    const stream = await world.log.createStream({
      name: 'dead',
      kind: 'plain',
      shards: 1,
      images: { old: false, new: false },
    })
    const { UUID } = await world.mapping(
      arn,
      ({ Records }) => {
        if (Records[0]?.dynamodb.Keys.pk?.S === 'a') throw new Error('no')
      },
      { MaximumRetryAttempts: 0, BatchSize: 1, DestinationConfig: { OnFailure: { Destination: 'stream:dead' } } },
    )
    await world.log.closeStream(stream.id)
    await world.put('a')
    await world.put('b')
    await world.pass(3000, 200)
    expect(world.description(UUID).LastProcessingResult).toBe('PROBLEM: The on-failure destination cannot be reached')
    expect(world.calls).toEqual([['a']])
    expect(world.mappings.get(UUID).lagRecords).toBeGreaterThan(0)
    // It is forgotten how often it was tried, and not that it was not brought.
    await world.kill()
    await world.log.closeStream(stream.id).catch(() => {})
    await world.mappings.update(UUID, { DestinationConfig: { OnFailure: { Destination: 'kafka:dead' } } })
    await world.pass(60_000, 2000)
    expect(world.calls).toEqual([['a'], ['a'], ['a'], ['b']].slice(-world.calls.length))
    expect(world.description(UUID).LastProcessingResult).toBe('OK')
    expect(world.sent.map(({ topic }) => topic)).toEqual(['dead'])
    expect(JSON.parse(world.sent[0]?.value as string).payload.Records[0].dynamodb.Keys.pk.S).toBe('a')
  })

  it('say so no longer when the destination is there again', async () => {
    const world = await open()
    const arn = await world.table()
    const isAway = { now: true }
    world.refuses = () => isAway.now
    const { UUID } = await world.mapping(arn, fails, {
      MaximumRetryAttempts: 0,
      DestinationConfig: { OnFailure: { Destination: 'kafka:dead' } },
    })
    await world.put('a')
    await world.pass(3000, 200)
    expect(world.description(UUID).LastProcessingResult).toBe('PROBLEM: The on-failure destination cannot be reached')
    isAway.now = false
    await world.pass(60_000, 2000)
    expect(world.sent).toHaveLength(1)
    expect(world.description(UUID).LastProcessingResult).toBe('PROBLEM: Function call failed')
  })

  it('put documents into a plain stream', async () => {
    const world = await open()
    const arn = await world.table()
    const stream = await world.log.createStream({
      name: 'dead',
      kind: 'plain',
      shards: 1,
      images: { old: false, new: false },
    })
    await world.mapping(arn, fails, {
      MaximumRetryAttempts: 1,
      DestinationConfig: { OnFailure: { Destination: 'stream:dead' } },
    })
    await world.put('a')
    await world.pass(1000, 100)
    const [shard] = world.log.shards(stream.id)
    const page = await world.log.read(shard!.id, shard!.lowWatermark, { bytesMax: 1 << 20 })
    const bodies: { codec: number; body: string }[] = []
    for (const chunk of page.chunks)
      forEachRecord(chunk, 0 as Sequence, ({ codec, body }) => {
        bodies.push({ codec, body: body.toString() })
        return true
      })
    expect(bodies).toHaveLength(1)
    expect(bodies[0]?.codec).toBe(Codec.json)
    expect(JSON.parse(bodies[0]?.body as string).requestContext.approximateInvokeCount).toBe(2)
  })
})

describe('random histories', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'with splits, failures, kills: every change arrives, in the order of its item (seed %i)',
    async (seed) => {
      const world = await open()
      let state = seed * 7919
      const chance = (below: number): number => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
        return (state >>> 8) % below
      }
      const arn = await world.table()
      const written = new Map<string, number>()
      /** Of each item the newest change that this life of the daemon has delivered. */
      let delivered = new Map<string, number>()
      const done = new Set<string>()
      const faults: string[] = []
      await world.mapping(
        arn,
        ({ Records }) => {
          const failing = chance(4) === 0 ? chance(Records.length) : Records.length
          Records.slice(0, failing).forEach(({ dynamodb }) => {
            const item = `${dynamodb.Keys.pk?.S} ${dynamodb.Keys.sk?.S}`
            const n = Number((dynamodb.NewImage as { n: { N: string } }).n.N)
            if (n <= (delivered.get(item) ?? 0)) faults.push(`${item} ${n} behind ${delivered.get(item)}`)
            delivered.set(item, n)
            done.add(`${item} ${n}`)
          })
          const first = Records[failing]
          return { batchItemFailures: first ? [{ itemIdentifier: first.dynamodb.SequenceNumber }] : [] }
        },
        {
          BatchSize: 1 + chance(6),
          ParallelizationFactor: 1 + chance(4),
          MaximumBatchingWindowInSeconds: chance(2),
          BisectBatchOnFunctionError: chance(2) === 0,
          FunctionResponseTypes: ['ReportBatchItemFailures'],
        },
      )
      for (let step = 0; step < 120; step++) {
        const what = chance(20)
        if (what < 13) {
          const [pk, sk] = [`p${chance(5)}`, `s${chance(3)}`]
          const n = (written.get(`${pk} ${sk}`) ?? 0) + 1
          written.set(`${pk} ${sk}`, n)
          await world.put(pk, sk, { n: { N: String(n) } })
        } else if (what < 17) await world.pass(chance(400))
        else if (what < 19) {
          const open = world.log.openShards(world.tables.awsStream(arn)!.stream)
          await world.log.split(open[chance(open.length)]!.shard.id)
        } else {
          await world.kill()
          delivered = new Map()
        }
      }
      await world.pass(300_000, 3000)
      const expected = [...written].flatMap(([item, count]) =>
        Array.from({ length: count }, (_, i) => `${item} ${i + 1}`),
      )
      expect(faults).toEqual([])
      expect([...done].sort()).toEqual(expected.sort())
      expect(world.mappings.all()[0]?.lagRecords).toBe(0)
    },
  )
})

describe('the life of a mapping', () => {
  it('keeps its position while it is disabled, and over restarts', async () => {
    const world = await open()
    const arn = await world.table()
    const { UUID } = await world.mapping(arn, nothing)
    await world.put('a')
    await world.pass(100)
    const disabling = await world.mappings.update(UUID, { Enabled: false })
    expect(disabling.State).toBe('Disabling')
    await world.settle()
    expect(world.description(UUID).State).toBe('Disabled')
    await world.put('b')
    await world.pass(1000)
    expect(world.calls).toEqual([['a']])
    await world.kill()
    expect(world.description(UUID)).toMatchObject({ State: 'Disabled', LastProcessingResult: 'OK' })
    expect((await world.mappings.update(UUID, { Enabled: true })).State).toBe('Enabling')
    await world.settle()
    expect(world.description(UUID).State).toBe('Enabled')
    expect(world.calls).toEqual([['a'], ['b']])
  })

  it('delivers everything at least once over kills, and nothing again that was behind its position', async () => {
    const world = await open()
    const arn = await world.table()
    const done = new Set<string>()
    let calls = 0
    await world.mapping(
      arn,
      ({ Records }) => {
        calls++
        if (calls % 3 === 0) throw new Error('no')
        for (const { dynamodb } of Records) done.add(dynamodb.Keys.pk?.S as string)
      },
      { BatchSize: 4, ParallelizationFactor: 2 },
    )
    for (let round = 0; round < 8; round++) {
      for (let n = 0; n < 10; n++) await world.put(`${round}-${n}`)
      if (round % 2 === 0) await world.pass(60)
      await world.kill()
    }
    await world.pass(5000, 100)
    expect(done.size).toBe(80)
    await world.kill()
    const before = world.invoker.events.length
    await world.pass(1000, 100)
    expect(world.invoker.events.length).toBe(before)
  })

  it('is over when its stream was switched off and all of it is done', async () => {
    const world = await open()
    const arn = await world.table()
    let isOpen = false
    const { UUID } = await world.mapping(arn, () => {
      if (!isOpen) throw new Error('not yet')
    })
    await world.put('a')
    // A pipeline follows the log, which goes on.
    await world.tables.changeLog('todo')
    await world.run('UpdateTable', { TableName: 'todo', StreamSpecification: { StreamEnabled: false } })
    await world.put('behind the end')
    await world.pass(1000, 100)
    expect(world.description(UUID).State).toBe('Enabled')
    isOpen = true
    await world.pass(60_000, 5000)
    expect(world.calls.flat()).not.toContain('behind the end')
    expect(world.description(UUID)).toMatchObject({
      State: 'Disabled',
      StateTransitionReason: 'The event source was disabled or deleted, and all of its records were processed.',
    })
    expect(world.groups.list()).toEqual([])
    await expect(world.mappings.update(UUID, { Enabled: true })).rejects.toThrow(`Stream not found: ${arn}`)
    await world.kill()
    expect(world.description(UUID).State).toBe('Disabled')
    await world.mappings.delete(UUID)
    expect(world.mappings.all()).toEqual([])
  })

  it('ends with a table that is deleted', async () => {
    const world = await open()
    const arn = await world.table()
    const { UUID } = await world.mapping(arn, nothing)
    await world.put('a')
    await world.run('DeleteTable', { TableName: 'todo' })
    await world.pass(5000, 500)
    expect(world.calls).toEqual([['a']])
    expect(world.description(UUID).State).toBe('Disabled')
  })

  it('waits for what is under way when it is changed or deleted, and is in use until then', async () => {
    const world = await open()
    const arn = await world.table()
    let go = (): void => {}
    const { UUID } = await world.mapping(
      arn,
      () =>
        new Promise<void>((resolve) => {
          go = resolve
        }),
    )
    await world.put('a')
    await world.settle()
    const updating = world.mappings.update(UUID, { BatchSize: 7 })
    await world.pass(200)
    expect((await updating).State).toBe('Updating')
    expect(world.description(UUID)).toMatchObject({ State: 'Updating', BatchSize: 100 })
    await expect(world.mappings.update(UUID, { BatchSize: 8 })).rejects.toMatchObject({
      type: 'ResourceInUseException',
      message: 'Cannot update the event source mapping because it is in use.',
    })
    await expect(world.mappings.delete(UUID)).rejects.toMatchObject({ type: 'ResourceInUseException' })
    go()
    await world.pass(200)
    expect(world.description(UUID)).toMatchObject({ State: 'Enabled', BatchSize: 7, LastProcessingResult: 'OK' })
    expect(world.calls).toEqual([['a']])
    expect((await world.mappings.delete(UUID)).State).toBe('Deleting')
    await world.settle()
    expect(() => world.mappings.get(UUID)).toThrow('The resource you requested does not exist.')
    expect(world.groups.list()).toEqual([])
  })
})

describe('a tumbling window', () => {
  const sum = ({ Records, state = {}, isFinalInvokeForWindow }: EventShape, finals: unknown[]) => {
    const total = Number(state.total ?? 0) + Records.length
    if (isFinalInvokeForWindow) finals.push(total)
    return { state: { total } }
  }

  it('counts each record once, over batches, splits and kills, in a state that is durable with the position', async () => {
    const world = await open()
    const arn = await world.table()
    const finals: number[] = []
    const { UUID } = await world.mapping(arn, (event) => sum(event, finals), {
      TumblingWindowInSeconds: 60,
      BatchSize: 2,
    })
    const start = Math.ceil(world.clock.now() / 60_000) * 60_000
    await world.pass(start - world.clock.now())
    for (const key of ['a', 'b', 'c']) await world.put(key)
    await world.pass(1000, 100)
    await world.kill()
    await world.put('d')
    await world.pass(1000, 100)
    expect(world.invoker.events[world.invoker.events.length - 1]).toMatchObject({
      window: {
        start: new Date(start).toISOString().replace('.000', ''),
        end: new Date(start + 60_000).toISOString().replace('.000', ''),
      },
      state: { total: 3 },
      shardId: expect.stringMatching(/^shardId-/),
      isFinalInvokeForWindow: false,
      isWindowTerminatedEarly: false,
    })
    expect(finals).toEqual([])
    await world.pass(58_000, 1000)
    await world.pass(100)
    expect(finals).toEqual([4])
    const last = world.invoker.events[world.invoker.events.length - 1]
    expect(last).toMatchObject({ Records: [], state: { total: 4 }, isFinalInvokeForWindow: true })
    // The next window begins with nothing, and its shard's end is its own.
    await world.put('e')
    await world.pass(100)
    const { stream } = world.tables.awsStream(arn)!
    await world.log.split(world.log.openShards(stream)[0]!.shard.id)
    await world.put('f')
    await world.pass(1000, 100)
    expect(finals).toEqual([4, 1])
    await world.pass(60_000, 1000)
    expect(finals).toEqual([4, 1, 1])
    expect(world.mappings.get(UUID).lagRecords).toBe(0)
  })
})
