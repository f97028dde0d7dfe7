import { addExtension, Packr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { BodyReader, type StoredBody } from '../../src/log/bodies.js'
import {
  batchBytes,
  chunkHeaderBytes,
  recordsOfBatch,
  sealChunk,
  stampBatch,
  writeBatch,
} from '../../src/log/format.js'
import { Codec, type NewRecord, type Sequence } from '../../src/log/types.js'
import { type Flow, file, type KeyedFlow, pipeline, planOf, stream, table } from '../../src/operators/index.js'
import {
  type CellKey,
  openSourceTask,
  PackedMap,
  type SourceStageTask,
  type StageBarrier,
  StepError,
  type StoredCell,
  stagesOf,
} from '../../src/operators/task/index.js'
import { hashKey } from '../../src/runtime/index.js'
import { encodeChange } from '../../src/tables/streams/change.js'
import { encodeKeyValue } from '../../src/tables/values/index.js'

const packr = new Packr({ useRecords: false, moreTypes: true, structuredClone: false })
addExtension({
  Class: PackedMap,
  type: 77,
  write: (map: PackedMap) => map.entries,
  read: (entries: [unknown, unknown][]) => new Map(entries),
})

const chunkOf = (records: readonly NewRecord[], first: number): Buffer => {
  const length = batchBytes(records)
  const chunk = Buffer.alloc(chunkHeaderBytes + length)
  writeBatch(chunk, chunkHeaderBytes, records, length)
  stampBatch(chunk, chunkHeaderBytes, first, 1000)
  sealChunk(chunk, {
    commit: 1,
    commitTime: 1000,
    previous: 0 as Sequence,
    first: first as Sequence,
    last: (first + records.length - 1) as Sequence,
    shard: 1,
    batches: 1,
  })
  return chunk
}

const append = (key: string, value: unknown): NewRecord => ({
  hash: hashKey(Buffer.from(key)),
  kind: 0,
  flags: 0,
  codec: Codec.json,
  time: 5,
  key: Buffer.from(key),
  body: Buffer.from(JSON.stringify(value)),
})

const insert = (id: string, image: object): NewRecord => {
  const keys = { json: Buffer.from(JSON.stringify({ id: { S: id } })), size: 3 }
  const item = { json: Buffer.from(JSON.stringify({ id: { S: id }, ...image })), size: 9 }
  const key = encodeKeyValue({ S: id })
  return {
    hash: hashKey(key),
    kind: 1,
    flags: 0,
    codec: Codec.dynamoJsonChange,
    time: 5,
    key,
    body: encodeChange(keys, item, undefined),
  }
}

/** A source task over a store of its own, as the daemon runs it: what was not committed is not found again. */
class Bench {
  readonly store = new Map<string, StoredCell>()
  readonly task: SourceStageTask
  /** What the stream sinks appended. */
  readonly appended: object[] = []
  barriers = 0
  sequence = 1
  #passed: StageBarrier | undefined

  constructor(
    flow: Flow<never, never> | KeyedFlow<never, never> | object,
    stateBytesMax = 1 << 20,
    store?: Map<string, StoredCell>,
  ) {
    if (store) this.store = store
    const plan = planOf(flow)
    this.task = openSourceTask({
      plan,
      stages: stagesOf(plan.nodes),
      stage: 0,
      task: 0,
      tasksOf: () => 1,
      hashKeyName: undefined,
      sinkKeys: new Proxy({}, { get: () => ({ hash: { name: 'id', type: 'S' } }) }),
      isNew: this.store.size === 0,
      bounds: { stateBytesMax: () => stateBytesMax, timersMax: 1000, messageRowsMax: 100 },
      host: {
        fetchCells: async (cells) => cells.map((cell) => this.store.get(name(cell))),
        fetchTimers: async () => ({ timers: [], next: undefined }),
        send: () => undefined,
        taken: () => {},
        passed: (_barrier, result) => {
          this.#passed = result
        },
        mark: () => {},
        pause: () => {},
        align: () => undefined,
        turn: () => undefined,
        now: () => 0,
        setTimeout: () => ({ cancel: () => {} }),
        pack: (value) => Buffer.from(packr.pack(value)),
        unpack: (bytes) => packr.unpack(bytes) as unknown,
      },
    })
  }

  /** Runs records as one chunk, whose buffer is then gone as it is in the daemon. */
  async run(...records: readonly NewRecord[]): Promise<void> {
    const chunk = chunkOf(records, this.sequence)
    const buffer = new ArrayBuffer(chunk.length)
    new Uint8Array(buffer).set(chunk)
    await this.task.process(Buffer.from(buffer), this.sequence)
    structuredClone(buffer, { transfer: [buffer] })
    this.sequence += records.length
  }

  commit(): readonly string[] {
    this.task.barrier(++this.barriers, false)
    const { cells, outputs } = this.#passed as StageBarrier
    for (const { cell, ...key } of cells) {
      if (cell) this.store.set(name(key), { ...cell, value: Buffer.from(cell.value) })
      else this.store.delete(name(key))
    }
    this.task.committed(this.barriers)
    for (const { batch } of outputs) {
      if (!batch) continue
      const bodies = new BodyReader()
      bodies.learn(batch.shapes)
      for (const record of recordsOfBatch(Buffer.from(batch.batch)))
        this.appended.push({
          key: record.key.toString(),
          time: record.time,
          value: bodies.value(record as unknown as StoredBody),
        })
    }
    return outputs.flatMap((output) => output.entries)
  }
}

const name = ({ node, key, name: of }: CellKey): string => `${node} ${of} ${Buffer.from(key).toString('latin1')}`

const keyed = () => pipeline('p').from(stream<number>('s')).keyByPartition()

describe('state', () => {
  it('is right for every key when it is larger than its bound', async () => {
    const bench = new Bench(keyed().count('n').to(file('f')), 2000)
    const expected = new Map<string, number>()
    // Keys that are in memory and keys that are not, in one chunk.
    for (let chunk = 0; chunk < 60; chunk++) {
      const keys = Array.from({ length: 6 }, (_, i) => `k${(chunk * (i + 1)) % 50}`)
      const counts = keys.map((key) => {
        expected.set(key, (expected.get(key) ?? 0) + 1)
        return String(expected.get(key))
      })
      await bench.run(...keys.map((key) => append(key, 1)))
      expect(bench.commit()).toEqual(counts)
    }
  })

  it.each([
    ['a map', () => new Map<unknown, unknown>([['a', new Map([[1, 2]])]])],
    ['a map in an object', () => ({ list: [{ m: new Map([['x', new Date(5)]]) }] })],
    ['a set and a date', () => ({ s: new Set([1, 'a']), d: new Date(7) })],
    ['numbers of every kind', () => [NaN, Infinity, 5n, 2n ** 100n, 1.5, null]],
    ['binary', () => ({ b: new Uint8Array([1, 2, 3]) })],
  ])('comes back from the store as it was: %s', async (_, make) => {
    const seen: unknown[] = []
    const flow = keyed()
      .aggregate<unknown>('s', make, (state) => {
        seen.push(state)
        return state
      })
      .map(() => 1)
      .to(file('f'))
    const first = new Bench(flow)
    await first.run(append('a', 1))
    first.commit()
    await new Bench(flow, 1 << 20, first.store).run(append('a', 1))
    expect(seen).toEqual([make(), make()])
  })

  it.each([
    ['a function', () => ({ f: () => 1 }), 'function'],
    ['an object of a class', () => ({ u: new URL('http://a') }), 'URL'],
    [
      'itself',
      () => {
        const o: Record<string, unknown> = {}
        o.o = o
        return o
      },
      'nested',
    ],
  ])('that holds %s is refused, with step and record', async (_, make, says) => {
    const bench = new Bench(
      keyed()
        .aggregate<unknown>('s', make, (state) => state)
        .map(() => 1)
        .to(file('f')),
    )
    await bench.run(append('a', 1), append('a', 2))
    expect(() => bench.commit()).toThrow(
      expect.objectContaining({ step: 2, sequence: 2, message: expect.stringContaining(says) }),
    )
  })

  it('keeps a change that outlives its chunk', async () => {
    const flow = pipeline('p')
      .from(table('t'))
      .keyByPartition()
      .reduce('last', (a, b) => (Number(b.new!.n) > Number(a.new!.n) ? b : a))
      .map((change) => change.new!.n as number)
      .to(file('f'))
    const first = new Bench(flow)
    await first.run(insert('a', { n: { N: '3' } }))
    await first.run(insert('a', { n: { N: '2' } }), insert('a', { n: { N: '4' } }))
    expect(first.commit()).toEqual(['3', '3', '4'])
    const second = new Bench(flow, 1 << 20, first.store)
    await second.run(insert('a', { n: { N: '1' } }))
    expect(second.commit()).toEqual(['4'])
  })
})

describe('a step that gives what its sink or state cannot take', () => {
  const from = () => pipeline('p').from(stream<never>('s'))
  const cyclic: Record<string, unknown> = {}
  cyclic.self = cyclic
  const thenable = Object.defineProperty({}, 'then', {
    get() {
      throw new Error('then')
    },
  })
  const hostile = {
    get message() {
      throw new Error('no')
    },
  }
  Object.setPrototypeOf(hostile, Error.prototype)
  it.each<[string, object, number, string]>([
    [
      'sum of text',
      keyed()
        .sum('n', () => '1' as never)
        .to(file('f')),
      1,
      "sum('n') was given a string",
    ],
    [
      'sum of NaN',
      keyed()
        .sum('n', () => NaN)
        .to(file('f')),
      1,
      'NaN',
    ],
    [
      'sum of a bigint',
      keyed()
        .sum('n', () => 1n as never)
        .to(file('f')),
      1,
      'bigint',
    ],
    [
      'sum that overflows',
      keyed()
        .sum('n', () => 1e308)
        .to(file('f')),
      1,
      'past the largest number',
    ],
    [
      'aggregate of nothing',
      keyed()
        .aggregate(
          'n',
          () => 1,
          () => undefined as never,
        )
        .to(file('f')),
      1,
      'undefined',
    ],
    [
      'flatMap of a number',
      from()
        .flatMap(() => 1 as never)
        .to(file('f')),
      0,
      'iterable',
    ],
    [
      'an iterator that throws',
      from()
        .flatMap(function* () {
          yield 1
          throw new Error('midway')
        })
        .to(file('f')),
      0,
      'midway',
    ],
    [
      'a cyclic line',
      from()
        .map(() => cyclic)
        .to(file('f')),
      1,
      'circular',
    ],
    [
      'undefined as a line',
      from()
        .map(() => undefined)
        .to(file('f')),
      1,
      'JSON',
    ],
    [
      'a throwing getter',
      from()
        .map(() => ({
          get x() {
            throw new Error('got')
          },
        }))
        .to(file('f')),
      1,
      'got',
    ],
    [
      'a thenable that throws',
      from()
        .map(() => thenable)
        .to(file('f')),
      0,
      'then',
    ],
    [
      'an error without text',
      from()
        .map(() => {
          throw hostile
        })
        .to(file('f')),
      0,
      'no text',
    ],
    [
      'a rejected promise',
      from()
        .map(async () => {
          throw new Error('later')
        })
        .to(file('f')),
      0,
      'later',
    ],
    [
      'nothing thrown',
      from()
        .map(() => {
          throw undefined
        })
        .to(file('f')),
      0,
      'undefined',
    ],
    ['an item without its key', from().to(table('t', () => ({ x: 1 }))), 0, 'Missing the key id'],
    ['an item with a key of another type', from().to(table('t', () => ({ id: 1 }))), 0, 'Type mismatch for key id'],
    ['an item with an empty key', from().to(table('t', () => ({ id: '' }))), 0, 'empty'],
    ['an item that is too large', from().to(table('t', () => ({ id: 'a', x: 'x'.repeat(500_000) }))), 0, '409600'],
    ['an item with NaN', from().to(table('t', () => ({ id: 'a', x: NaN }))), 0, 'attribute x is NaN'],
    ['an item with a Date', from().to(table('t', () => ({ id: 'a', x: new Date() as never }))), 0, 'x is a Date'],
    ['an item with a Map', from().to(table('t', () => ({ id: 'a', x: new Map() as never }))), 0, 'x is a Map'],
    ['an item that is text', from().to(table('t', () => 'text' as never)), 0, 'takes an item'],
    ['a cyclic item', from().to(table('t', () => ({ id: 'a', x: cyclic as never }))), 0, 'stack'],
    ['a record without a key', from().to(stream('s', () => ({ value: 1 }) as never)), 0, 'takes {key, value'],
    [
      'a record with a key that is too long',
      from().to(stream('s', () => ({ key: 'k'.repeat(70_000), value: 1 }))),
      0,
      '65535',
    ],
    ['a record before 1970', from().to(stream('s', () => ({ key: 'k', value: 1, time: -1 }))), 0, 'milliseconds'],
    [
      'results without end',
      from()
        .flatMap(function* () {
          for (;;) yield 'x'.repeat(1 << 20)
        })
        .to(file('f')),
      1,
      'larger than',
    ],
  ])('%s: the error names step and record', async (_, flow, step, says) => {
    const bench = new Bench(flow)
    const failed = bench.run(append('a', 1), append('a', 2))
    await expect(failed).rejects.toBeInstanceOf(StepError)
    // Nodes are counted with the source before them.
    await expect(failed).rejects.toMatchObject({ step: step + 1, message: expect.stringContaining(says) })
  })
})

describe('what sinks write', () => {
  it('JSON with a form for everything that an item may hold, and rows that keep bigints and bytes', async () => {
    const value = { n: 2n ** 70n, b: Buffer.from('hi'), s: new Set([1]), m: new Map([['k', 1]]), d: new Date(0) }
    const bench = new Bench(
      pipeline('p')
        .from(stream('s'))
        .map(() => value)
        .to(file('f'))
        .to(stream('o', (each) => ({ key: 'k', value: each, time: 7 }))),
    )
    await bench.run(append('a', 1))
    const json = '{"n":"1180591620717411303424","b":"aGk=","s":[1],"m":{"k":1},"d":"1970-01-01T00:00:00.000Z"}'
    expect(bench.commit()).toEqual([json])
    const row = { n: 2n ** 70n, b: new Uint8Array([104, 105]), s: [1], m: { k: 1 }, d: '1970-01-01T00:00:00.000Z' }
    expect(bench.appended).toEqual([{ key: 'k', time: 7, value: row }])
  })

  it('a change as a whole', async () => {
    const bench = new Bench(pipeline('p').from(table('t')).to(file('f')))
    await bench.run(insert('a', { __proto__: null, n: { N: '1' } }))
    expect(bench.commit().map((line) => JSON.parse(line) as unknown)).toEqual([
      { type: 'insert', keys: { id: 'a' }, new: { id: 'a', n: 1 }, time: 5, sequence: 1 },
    ])
  })

  it('an attribute of any name', async () => {
    const bench = new Bench(
      pipeline('p')
        .from(table('t'))
        .to(table('u', (change) => change.new)),
    )
    await bench.run(insert('a', JSON.parse('{"__proto__": {"N": "1"}, "constructor": {"S": "c"}}') as object))
    expect(JSON.parse(bench.commit()[0]!)).toEqual(
      JSON.parse('{"id": {"S": "a"}, "__proto__": {"N": "1"}, "constructor": {"S": "c"}}'),
    )
  })
})
