import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  type Change,
  type Flow,
  file,
  http,
  type ItemKey,
  type ItemValue,
  type KeyedFlow,
  type ListState,
  listState,
  type MapState,
  mapState,
  pipeline,
  type StreamKey,
  type StreamRecord,
  sink,
  stream,
  table,
  typed,
  type ValueState,
  valueState,
} from '../../src/index.js'

interface Click {
  readonly user: string
  readonly n: number
}
type Row = { readonly ListId: number; readonly hours: number }

// What holds here is checked by the compiler (npm run typecheck); an expected error that is none is an error.
describe('the types of a pipeline', () => {
  it('are inferred through every step', () => {
    const flow = pipeline('p')
      .from(table<Row>('tasks'))
      .filter((change) => {
        expectTypeOf(change).toEqualTypeOf<Change<Row>>()
        expectTypeOf(change.keys).toEqualTypeOf<ItemKey>()
        if (change.type === 'insert') expectTypeOf(change.old).toEqualTypeOf<undefined>()
        if (change.type === 'remove') expectTypeOf(change.old).toEqualTypeOf<Row>()
        return true
      })
      .filter((change): change is Change<Row> & { type: 'insert' } => change.type === 'insert')
      .map((change) => {
        expectTypeOf(change.new).toEqualTypeOf<Row>()
        return change.new
      })
      .map(async (row) => row.hours)
      .flatMap((hours) => {
        expectTypeOf(hours).toEqualTypeOf<number>()
        return new Set([String(hours)])
      })
      .to(file('f', (text) => expectTypeOf(text).toEqualTypeOf<string>()))
      .keyByPartition()
      .map((text, key) => {
        expectTypeOf(text).toEqualTypeOf<string>()
        expectTypeOf(key).toEqualTypeOf<ItemKey>()
        return { text }
      })
      .aggregate(
        'a',
        () => ({ all: [] as string[] }),
        (state, { text }, key) => {
          expectTypeOf(key).toEqualTypeOf<ItemKey>()
          return { all: [...state.all, text] }
        },
      )
      .to(
        table('t', (state, key) => {
          expectTypeOf(state).toEqualTypeOf<{ all: string[] }>()
          expectTypeOf(key).toEqualTypeOf<ItemKey>()
          return { ListId: key.ListId, all: state.all }
        }),
      )
      .count('n')
      .sum('s', (n) => {
        expectTypeOf(n).toEqualTypeOf<number>()
        return n
      })
      .reduce('r', (a, b) => {
        expectTypeOf(a).toEqualTypeOf<number>()
        expectTypeOf(b).toEqualTypeOf<number>()
        return Math.max(a, b)
      })
      .to(stream('s', (n, key) => ({ key: String(key.ListId), value: n })))
      .to(file('g'))
    expect(flow).toBeDefined()
  })

  it('know the records and the key of a stream, and a table without a type of its own', () => {
    const clicks = pipeline('p').from(stream<Click>('clicks')).keyByPartition()
    clicks.map((record, key) => {
      expectTypeOf(record.value).toEqualTypeOf<Click>()
      expectTypeOf(key).toEqualTypeOf<StreamKey>()
    })
    pipeline('p')
      .from(stream('raw'))
      .map((record) => expectTypeOf(record.value).toEqualTypeOf<unknown>())
    pipeline('p')
      .from(table('plain'))
      .map((change) => {
        if (change.new) expectTypeOf(change.new.x).toEqualTypeOf<ItemValue | undefined>()
      })
    expect(clicks).toBeDefined()
  })

  it('of a key of its own', () => {
    const clicks = pipeline('p').from(stream<Click>('clicks'))
    const byUser = clicks.keyBy((record) => record.value.user)
    expectTypeOf(byUser).toEqualTypeOf<KeyedFlow<StreamRecord<Click>, string>>()
    const byBoth = byUser.keyBy((record, user) => {
      expectTypeOf(user).toEqualTypeOf<string>()
      return { user, parity: record.value.n % 2 === 0 }
    })
    expectTypeOf(byBoth).toEqualTypeOf<KeyedFlow<StreamRecord<Click>, { user: string; parity: boolean }>>()
    const byList = clicks.keyBy((record) => [record.value.user, record.value.n])
    expectTypeOf(byList).toEqualTypeOf<KeyedFlow<StreamRecord<Click>, (string | number)[]>>()
    expectTypeOf(clicks.keyBy(() => new Uint8Array())).toExtend<KeyedFlow<StreamRecord<Click>, Uint8Array>>()
    const byItem = pipeline('p')
      .from(table('t'))
      .keyBy((change) => change.keys)
    expectTypeOf(byItem).toEqualTypeOf<KeyedFlow<Change, ItemKey>>()
  })

  it('of branches are narrowed by their type guards, and add up again in a merge', () => {
    const changes = pipeline('p').from(table<Row>('tasks'))
    const [inserts, long, rest] = changes.branch(
      (change) => change.type === 'insert',
      (change) => (change.old?.hours ?? 0) > 5,
    )
    expectTypeOf(inserts).toEqualTypeOf<Flow<Extract<Change<Row>, { type: 'insert' }>, ItemKey>>()
    expectTypeOf(long).toEqualTypeOf<Flow<Change<Row>, ItemKey>>()
    expectTypeOf(rest).toEqualTypeOf<Flow<Change<Row>, ItemKey>>()
    const numbers = inserts.map((change) => change.new.hours)
    const texts = rest.map((change) => change.type)
    expectTypeOf(numbers.merge(texts)).toEqualTypeOf<Flow<number | Change<Row>['type'], ItemKey>>()
    const clicks = pipeline('p').from(stream<Click>('clicks'))
    const both = changes.merge(clicks)
    expectTypeOf(both).toEqualTypeOf<Flow<Change<Row> | StreamRecord<Click>, ItemKey | StreamKey>>()
    const keyed = numbers.keyBy((hours) => hours)
    const [small, others] = keyed.branch((hours, key) => hours < key)
    expectTypeOf(small).toEqualTypeOf<KeyedFlow<number, number>>()
    const merged = others.merge(texts.keyBy((text) => text.length))
    expectTypeOf(merged).toEqualTypeOf<KeyedFlow<number | Change<Row>['type'], number>>()
  })

  it('of the other steps', () => {
    const clicks = pipeline('p').from(stream<Click>('clicks'))
    const timed = clicks
      .eventTime((record) => record.value.n, { outOfOrder: '5s' })
      .peek((record) => expectTypeOf(record).toEqualTypeOf<StreamRecord<Click>>())
      .asyncMap(async (record) => record.value, { concurrency: 4 })
    expectTypeOf(timed).toEqualTypeOf<Flow<Click, StreamKey>>()
    const through = timed.through('middle', (click) => ({ key: click.user, value: click.n }))
    expectTypeOf(through).toEqualTypeOf<Flow<StreamRecord<number>, StreamKey>>()
    const keyed = timed.keyBy((click) => click.user)
    expectTypeOf(keyed.min('a', (click) => click.n)).toEqualTypeOf<KeyedFlow<number, string>>()
    expectTypeOf(keyed.max('b', (click) => click.user)).toEqualTypeOf<KeyedFlow<string, string>>()
    expectTypeOf(keyed.count('c').max('d')).toEqualTypeOf<KeyedFlow<number, string>>()
    expectTypeOf(keyed.average('e', async (click) => click.n)).toEqualTypeOf<KeyedFlow<number, string>>()
    expectTypeOf(keyed.distinct('f')).toEqualTypeOf<KeyedFlow<number, string>>()
    const top = keyed.topN('g', 3, { by: (click) => click.n, id: (click) => click.user })
    expectTypeOf(top).toEqualTypeOf<KeyedFlow<readonly Click[], string>>()
    const once = keyed.deduplicate('h', { by: (click) => click.n, within: '1m' })
    expectTypeOf(once.side('late')).toEqualTypeOf<KeyedFlow<Click, string>>()
    expectTypeOf(once.to(file('f')).side('late')).toEqualTypeOf<KeyedFlow<Click, string>>()
    keyed.to(http('http://a', { body: (click, user) => [expectTypeOf(click).toEqualTypeOf<Click>(), user] }))
    keyed.to(
      sink({
        name: 'mine',
        write: (records: readonly { value: Click; key: string; idempotencyKey: string }[]) => records.length,
      }),
    )
    expect(once).toBeDefined()
  })

  it('of a process step, its state, its timers and its outputs', () => {
    const flow = pipeline('p')
      .from(stream<Click>('clicks'))
      .keyBy((record) => record.value.user)
      .process('mine', {
        state: {
          seen: valueState(() => 0),
          last: valueState<Click>(),
          recent: listState<Click>({ max: 10 }),
          pages: mapState<string, number>(),
        },
        emits: typed<{ user: string }>(),
        sides: { refused: typed<Click>() },
        onRow(record, context) {
          expectTypeOf(record).toEqualTypeOf<StreamRecord<Click>>()
          expectTypeOf(context.key).toEqualTypeOf<string>()
          expectTypeOf(context.state.seen).toEqualTypeOf<ValueState<number>>()
          expectTypeOf(context.state.last.get()).toEqualTypeOf<Click | undefined>()
          expectTypeOf(context.state.recent).toEqualTypeOf<ListState<Click>>()
          expectTypeOf(context.state.pages).toEqualTypeOf<MapState<string, number>>()
          context.emit({ user: context.key })
          context.side('refused', record.value)
          context.setTimer(record.time + 5, 'end', 'processing')
          // @ts-expect-error it emits objects with a user
          context.emit(5)
          // @ts-expect-error refused takes clicks
          context.side('refused', 5)
          // @ts-expect-error there is no such output
          context.side('other', record.value)
          // @ts-expect-error there is no such state
          context.state.nothing
          // @ts-expect-error the value is a number
          context.state.seen.set('x')
        },
        onTimer(timer, context) {
          expectTypeOf(timer.time).toEqualTypeOf<number>()
          expectTypeOf(context.state.seen.get()).toEqualTypeOf<number>()
        },
      })
    expectTypeOf(flow).toEqualTypeOf<KeyedFlow<{ user: string }, string, { refused: Click }>>()
    expectTypeOf(flow.side('refused')).toEqualTypeOf<KeyedFlow<Click, string>>()
    const bare = pipeline('p')
      .from(stream<Click>('clicks'))
      .keyByPartition()
      .process('bare', { onRow: (_, context) => context.emit('anything') })
    expectTypeOf(bare).toEqualTypeOf<KeyedFlow<unknown, StreamKey, Record<never, never>>>()
  })

  it('refuse what is wrong in the newer steps', () => {
    const from = () => pipeline('p').from(stream<Click>('clicks'))
    const keyed = () => from().keyBy((record) => record.value.user)
    const wrong = (): void => {
      // @ts-expect-error a key holds no functions
      from().keyBy(() => () => 1)
      // @ts-expect-error a key is no Date
      from().keyBy(() => new Date())
      // @ts-expect-error a key is there at once
      from().keyBy(async (record) => record.value.user)
      // @ts-expect-error a value without an order has no least one
      keyed().min('m')
      // @ts-expect-error objects have no order
      keyed().max('m', (record) => record.value)
      // @ts-expect-error a mean is of numbers
      keyed().average('a', (record) => record.value.user)
      // @ts-expect-error a top wants a score
      keyed().topN('t', 3, {})
      // @ts-expect-error flows of different keys do not merge
      keyed().merge(from().keyBy((record) => record.value.n))
      // @ts-expect-error a flow without a key and one with do not merge
      from().merge(keyed())
      // @ts-expect-error a count has no side output
      keyed().count('n').side('late')
      // @ts-expect-error event time is said before the key
      keyed().eventTime()
      // @ts-expect-error a migrate gives the state of the step
      keyed().count('n', { version: 2, migrate: () => 'text' })
      // @ts-expect-error state wants a key first
      from().process('p', { onRow: () => {} })
    }
    expect(wrong).toBeTypeOf('function')
  })

  it('refuse what is wrong', () => {
    const from = () => pipeline('p').from(stream<Click>('clicks'))
    const wrong = (): void => {
      // @ts-expect-error a sink is no source
      pipeline('p').from(table('t', () => ({ id: 1 })))
      // @ts-expect-error a source is no sink
      from().to(table('t'))
      // @ts-expect-error state wants a key first
      from().count('n')
      // @ts-expect-error no such member
      from().map((record) => record.value.nothing)
      // @ts-expect-error a filter gives true or false
      from().filter((record) => record.value.user)
      // @ts-expect-error flatMap gives several
      from().flatMap((record) => record.value.n)
      const keyed = () => from().keyByPartition()
      // @ts-expect-error state has a name
      keyed().count()
      // @ts-expect-error a sum is of numbers
      keyed().sum('n', (record) => record.value.user)
      // @ts-expect-error a sum is of numbers, not of bigints
      keyed().sum('n', () => 1n)
      // @ts-expect-error a fold gives the state's type
      keyed().reduce('r', (a, b) => a.value.n + b.value.n)
      keyed().aggregate(
        'a',
        () => 0,
        // @ts-expect-error a fold gives what the first state is
        (_, record) => record.value.user,
      )
      // @ts-expect-error a plain flow has no key to give to its sink
      from().to(stream('s', (record, key: StreamKey) => ({ key: key.key, value: record })))
      // @ts-expect-error an attribute cannot be a function
      from().to(table('t', (record) => ({ id: record.key, f: () => 1 })))
      // @ts-expect-error an attribute cannot be a Date
      from().to(table('t', (record) => ({ id: record.key, at: new Date() })))
      // @ts-expect-error a record has a text as its key
      from().to(stream('s', (record) => ({ key: record.value.n, value: 1 })))
      // @ts-expect-error a sink takes what the flow has
      from().to(file('f', (text: string) => text))
      // @ts-expect-error a record is not to be changed
      from().map((record) => (record.key = 'x'))
    }
    expect(wrong).toBeTypeOf('function')
  })
})
