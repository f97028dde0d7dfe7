import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  type Change,
  file,
  type ItemKey,
  type ItemValue,
  pipeline,
  type StreamKey,
  stream,
  table,
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
