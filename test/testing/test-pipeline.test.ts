import { describe, expect, it } from 'vitest'
import { type Change, file, files, http, kafka, openSearch, pipeline, sink, stream, table } from '../../src/index.js'
import { testPipeline } from '../../src/testing/index.js'

interface Task {
  readonly ListId: string
  readonly TaskId: string
  readonly done?: boolean
}

const tasks = table<Task>('tasks')
const counts = pipeline('todoCounts')
  .from(tasks)
  .filter((change) => change.type !== 'modify')
  .keyByPartition()
  .sum('tasks', (change) => (change.type === 'insert' ? 1 : -1))
  .to(table('counts', (count, key) => ({ ListId: key.ListId, count })))
const tables = { tasks: { hash: 'ListId', range: 'TaskId' }, counts: { hash: 'ListId' } }

describe('testPipeline', () => {
  it('runs the changes of a table into a table', async () => {
    const test = await testPipeline(counts, { tables })
    const [a, b] = [
      { ListId: 'x', TaskId: '1' },
      { ListId: 'x', TaskId: '2' },
    ]
    await test.push(tasks, { type: 'insert', new: a }, { type: 'insert', new: b })
    await test.push(tasks, { type: 'modify', old: a, new: { ...a, done: true } })
    expect(test.items('counts')).toEqual([{ ListId: 'x', count: 2 }])
    await test.push('tasks', { type: 'remove', old: b })
    expect(test.items('counts')).toEqual([{ ListId: 'x', count: 1 }])
    // Of several items for a key in one commit, the last is written.
    expect(test.results().slice(-1)).toEqual([{ ListId: 'x', count: 1 }])
    expect(test.state('tasks', { ListId: 'x' })).toBe(1)
    expect(test.state('tasks', 'x')).toBe(1)
    expect(test.state('tasks', 'y')).toBeUndefined()
  })

  it('finds the state of a partition key by its value also where partition keys of several sources meet', async () => {
    const from = pipeline('p')
    const both = from
      .from(table('tasks'))
      .map(() => 1)
      .merge(from.from(stream('more')).map(() => 1))
      .keyByPartition()
      .count('both')
      .to(file('out'))
    const test = await testPipeline(both, { tables })
    await test.push('tasks', { type: 'insert', new: { ListId: 'x', TaskId: '1' } })
    await test.push('more', { key: 'y', value: null }, { key: 'y', value: null })
    expect([test.state('both', 'x'), test.state('both', 'y')]).toEqual([1, 2])
    expect([test.state('both', { ListId: 'x' }), test.state('both', { key: 'y' })]).toEqual([1, 2])
    expect(test.state('both', 'z')).toBeUndefined()
  })

  it('finds the state of a partition key that is binary', async () => {
    const id = new Uint8Array([7, 8])
    const flow = pipeline('p').from(table('t')).keyByPartition().count('changes').to(file('out'))
    const test = await testPipeline(flow, { tables: { t: { hash: { name: 'id', type: 'B' } } } })
    await test.push('t', { type: 'insert', new: { id } })
    expect([test.state('changes', id), test.state('changes', { id })]).toEqual([1, 1])
  })

  it('gives what sinks outside and files of any kind would get', async () => {
    const numbers = stream<number>('numbers')
    const flow = pipeline('outside')
      .from(numbers)
      .map(({ value }) => ({ n: value, big: BigInt(value), many: new Set([value]) }))
    const test = await testPipeline([
      flow.to(http('http://a/hook?secret=1', { body: ({ n }) => (n === 2 ? null : { n }) }), 'hook'),
      flow.to(sink({ name: 'own', write: () => {} })),
      flow.to(file('out.csv', undefined, { format: 'csv', columns: ['many', 'n'] })),
    ])
    await test.push(numbers, { key: 'a', value: 1 }, { key: 'a', value: 2 })
    expect(test.results('hook')).toEqual([{ n: 1 }])
    expect(test.results('own')).toEqual([1, 2].map((n) => ({ n, big: BigInt(n), many: new Set([n]) })))
    expect(test.results('out.csv')).toEqual(['[1],1', '[2],2'])
  })

  it('gives images, keys and times as the daemon does, and none of them later', async () => {
    const seen: Change<Task>[] = []
    const flow = pipeline('p')
      .from(tasks)
      .peek((change) => seen.push(change))
      .map((change) => ({
        type: change.type,
        keys: change.keys,
        image: change.new,
        service: change.service,
        time: change.time,
      }))
      .to(file('out'))
    const test = await testPipeline(flow, { tables, now: 5000 })
    await test.push(tasks, { type: 'insert', new: { ListId: 'x', TaskId: '1', done: false } })
    await test.push(tasks, { type: 'remove', old: { ListId: 'x', TaskId: '1' }, service: true, time: 7 })
    const keys = { ListId: 'x', TaskId: '1' }
    expect(test.results()).toEqual([
      { type: 'insert', keys, image: { ...keys, done: false }, service: false, time: 5000 },
      { type: 'remove', keys, service: true, time: 7 },
    ])
    expect(() => seen[1]?.old).toThrow('valid only until the steps of its record are through')
  })

  it('is the same for the same seed, and differs between seeds', async () => {
    const run = async (seed: number) => {
      const test = await testPipeline(
        pipeline('p')
          .from(stream<number>('s'))
          .keyBy((record) => record.value % 3)
          .count('n')
          .to(file('out', (count, key) => [key, count])),
        { seed, shards: 3, faults: { crash: 0.02, split: 0.05, merge: 0.05 } },
      )
      await test.push('s', ...Array.from({ length: 40 }, (_, i) => ({ key: String(i), value: i })))
      return test.results()
    }
    expect(await run(1)).toEqual(await run(1))
    const runs = await Promise.all([1, 2, 3, 4, 5].map(run))
    expect(new Set(runs.map((results) => JSON.stringify(results))).size).toBeGreaterThan(1)
    for (const results of runs) expect(results).toHaveLength(40)
  })

  it('moves virtual time: state that lives for a while goes, timers fire when they are due', async () => {
    const flow = pipeline('p')
      .from(stream<string>('s'))
      .keyBy((record) => record.value)
      .process('remind', {
        onRow(_record, context) {
          context.setTimer(context.now + 60_000, 'remind', 'processing')
        },
        onTimer(timer, context) {
          context.emit(`${context.key} at ${timer.time}, now ${context.now}`)
        },
      })
      .to(file('out'))
    const test = await testPipeline(flow)
    await test.push('s', { key: 'a', value: 'first' })
    await test.advance('30s')
    await test.push('s', { key: 'b', value: 'second' })
    expect(test.results()).toEqual([])
    await test.crash()
    await test.advance('31s')
    expect(test.results()).toEqual(['first at 60000, now 60000'])
    await test.advance('1h')
    expect(test.results()).toEqual(['first at 60000, now 60000', 'second at 90000, now 90000'])
    expect(test.now).toBe(3_661_000)
  })

  it('names the step, the record and the key of an error, and goes on after a crash', async () => {
    let isBroken = true
    const flow = pipeline('p')
      .from(stream<number>('s'))
      .keyBy((record) => `k${record.value}`)
      .aggregate(
        'bad',
        () => 0,
        (state, record) => {
          if (isBroken && record.value === 2) throw new Error('two is too much')
          return state + record.value
        },
      )
      .to(file('out'))
    const test = await testPipeline(flow, { shards: 1, tasks: 1 })
    const failure = {
      code: 'PIPELINE_FAILED',
      message: 'keyed bad failed on record 2 with the key "k2": two is too much',
    }
    await expect(test.push('s', { key: 'a', value: 1 }, { key: 'a', value: 2 })).rejects.toMatchObject(failure)
    await expect(test.advance('1s')).rejects.toMatchObject(failure)
    isBroken = false
    await test.crash()
    await test.push('s', { key: 'a', value: 3 })
    expect(test.results()).toEqual([1, 2, 3])
  })

  it('compares with a reference, in any order or in order', async () => {
    const flow = pipeline('p')
      .from(stream<number>('s'))
      .map((record) => record.value * 2)
      .to(file('out'))
    const test = await testPipeline(flow, { shards: 1 })
    await test.push('s', { key: 'a', value: 2 }, { key: 'a', value: 1 })
    test.expectSameAs((pushed) => pushed.map(({ input }) => 2 * (input as { value: number }).value).reverse())
    test.expectSameAs(() => [4, 2], { isOrdered: true, sink: 'out' })
    expect(() => test.expectSameAs(() => [2, 4], { isOrdered: true })).toThrow(/strictly deep-equal/)
    expect(() => test.expectSameAs(() => [2])).toThrow(/strictly deep-equal/)
  })

  it('reads what goes through a stream, and counts what is late', async () => {
    const flow = pipeline('p')
      .from(stream<{ at: number }>('s'))
      .through('between', (record) => ({ key: 'k', value: record.value }))
      .eventTime((record) => record.value.at)
      .map((record) => record.value.at)
      .to(file('out'))
    const test = await testPipeline(flow)
    await test.push('s', { key: 'a', value: { at: 3 } })
    await test.push('between', { key: 'k', value: { at: 4 } })
    await test.split()
    await test.merge('s')
    await test.end()
    expect(test.results()).toEqual([3, 4])
    expect(test.lateness).toEqual({})
  })

  it('comes to its end however likely crashes are and however many tasks have to commit', async () => {
    const flow = pipeline('p')
      .from(stream<number>('s'))
      .keyBy((record) => record.value % 7)
      .count('a')
      .keyBy((count) => count)
      .count('b')
      .keyBy(() => 'all')
      .count('c')
      .to(file('out'))
    const test = await testPipeline(flow, { tasks: 4, faults: { crash: 1 } })
    const values = Array.from({ length: 20 }, (_, value) => value)
    await test.push('s', ...values.map((value) => ({ key: String(value), value })))
    expect(test.results()).toEqual(values.map((value) => value + 1))
  })

  it('says what it does not know', async () => {
    await expect(testPipeline(counts)).rejects.toMatchObject({ message: 'The key of the table tasks is not known.' })
    await expect(testPipeline({})).rejects.toMatchObject({ code: 'PIPELINE_INVALID' })
    const test = await testPipeline(counts, { tables })
    await expect(test.push('other', { key: 'a', value: 1 })).rejects.toMatchObject({
      message: 'The pipeline reads nothing named other.',
    })
    await expect(test.push('tasks', { type: 'insert', new: { ListId: 'x' } })).rejects.toMatchObject({
      message: 'An item of the table tasks has no key attribute TaskId of type S.',
    })
    expect(() => test.results('other')).toThrow('The pipeline has no sink other.')
    expect(() => test.state('other', 'x')).toThrow('The pipeline has no step other that keeps state.')
  })
})

describe('sources and sinks that a test has without files and brokers', () => {
  it('gives lines of files their key and time, and what a Kafka sink was given', async () => {
    const source = files<{ id: string; at: string }>('in/*.ndjson', { key: 'id', time: 'at' })
    const test = await testPipeline(
      pipeline('lines')
        .from(source)
        .keyByPartition()
        .count('perId')
        .to(
          kafka('out', (count, { key }) => ({
            key: Buffer.from(key),
            value: count === 2 ? null : { count },
            partition: 1,
          })),
        ),
    )
    await test.push(
      source,
      { value: { id: 'a', at: '2026-01-01T00:00:00Z' } },
      { value: { id: 'a', at: '2026-01-02' } },
    )
    expect(test.results('out')).toEqual([
      { key: new Uint8Array(Buffer.from('a')), value: { count: 1 }, partition: 1 },
      { key: new Uint8Array(Buffer.from('a')), value: null, partition: 1 },
    ])
  })

  it('gives what an OpenSearch sink was given, by the name of its index', async () => {
    const test = await testPipeline(
      pipeline('tasks')
        .from(stream<string | null>('in'))
        .to(
          openSearch('tasks', ({ key, value }) => ({ id: key, document: value === null ? null : { value } }), {
            url: 'http://localhost:9200',
          }),
        ),
    )
    await test.push('in', { key: 'a', value: 'x' }, { key: 'a', value: null })
    expect(test.results('tasks')).toEqual([
      { id: 'a', document: { value: 'x' } },
      { id: 'a', document: null },
    ])
    await expect(test.push('in', { key: '', value: 'x' })).rejects.toThrow(/An OpenSearch sink takes as id/)
  })

  it('takes messages of a Kafka topic as it takes records of a stream', async () => {
    const orders = kafka<{ sum: number }>('orders')
    const test = await testPipeline(
      pipeline('sums')
        .from(orders)
        .keyByPartition()
        .sum('sum', ({ value }) => value.sum)
        .to(stream('sums', (sum, { key }) => ({ key, value: sum }))),
    )
    await test.push(
      orders,
      { key: 'a', value: { sum: 1 } },
      { key: 'b', value: { sum: 5 } },
      { key: 'a', value: { sum: 2 } },
    )
    expect(test.results('sums')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ key: 'a', value: 3 }),
        expect.objectContaining({ key: 'b', value: 5 }),
      ]),
    )
  })

  it('fails a step that gives a Kafka sink what no message can hold', async () => {
    for (const record of [
      { value: undefined },
      { key: 5, value: 1 },
      { value: 1, headers: { a: 1 } },
      { value: 1, partition: -1 },
    ]) {
      const test = await testPipeline(
        pipeline('bad')
          .from(stream('in'))
          .to(kafka('out', () => record as never)),
      )
      await expect(test.push('in', { key: 'a', value: 1 })).rejects.toThrow(/A Kafka sink/)
    }
  })

  it('gives the items of a snapshot as the inserts that a test pushes first', async () => {
    const orders = table<{ id: string; amount: number }>('orders', { snapshot: true })
    const test = await testPipeline(
      pipeline('sums')
        .from(orders)
        .keyByPartition()
        .sum('amount', (change) => (change.new?.amount ?? 0) - (change.old?.amount ?? 0))
        .to(file('sums', (sum, { id }) => [id, sum])),
      { tables: { orders: { hash: 'id' } } },
    )
    await test.push(orders, { type: 'insert', new: { id: 'a', amount: 3 } })
    await test.push(orders, { type: 'modify', old: { id: 'a', amount: 3 }, new: { id: 'a', amount: 5 } })
    expect(test.results('sums')).toEqual([
      ['a', 3],
      ['a', 5],
    ])
  })
})
