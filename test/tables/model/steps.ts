import fc from 'fast-check'
import { items, projections, trees, updates } from '../naive/arbitraries.js'
import type { Change, Path, Tree } from '../naive/syntax.js'
import { compareValues, type Item, itemText, type Value } from '../naive/values.js'
import type { Crash } from './backend.js'
import type { RangeTest, Returns, Write } from './table.js'

export type Step =
  | { readonly do: 'write'; readonly write: Write }
  /** The item that is there, once more, its attributes in another order. */
  | { readonly do: 'again'; readonly key: Item; readonly batched: boolean }
  | { readonly do: 'batch'; readonly writes: readonly Write[] }
  | { readonly do: 'get'; readonly key: Item; readonly projection?: readonly Path[] | undefined }
  | { readonly do: 'batchGet'; readonly keys: readonly Item[] }
  | {
      readonly do: 'query'
      readonly pk: Value
      readonly range?: RangeTest | undefined
      readonly filter?: Tree | undefined
      readonly limit?: number | undefined
      readonly reverse: boolean
    }
  | {
      readonly do: 'scan'
      readonly filter?: Tree | undefined
      readonly limit?: number | undefined
      readonly segments: number
    }
  /** Writes of different items, all of them or none; sent twice with one token, or cut off by a crash. */
  | {
      readonly do: 'transact'
      readonly writes: readonly Write[]
      readonly isRepeated: boolean
      readonly crash?: Crash | undefined
    }
  | { readonly do: 'transactGet'; readonly keys: readonly Item[]; readonly projection?: readonly Path[] | undefined }
  | {
      readonly do: 'index'
      /** Which of the table's indexes, counted around. */
      readonly index: number
      /** A hash key for a Query; without one it is a Scan. */
      readonly hash?: Value | undefined
      readonly limit?: number | undefined
      readonly reverse: boolean
    }
  | { readonly do: 'split' }
  | { readonly do: 'crash'; readonly writes: readonly Write[]; readonly how: Crash }

/** Few keys, so that writes meet; sort keys in several spellings of one number. */
const hashes = fc.constantFrom('a', 'b', 'é', 'a\0').map((S): Value => ({ S }))
const ranges = fc
  .constantFrom('0', '-0', '1', '1.0', '2', '10', '-3.5', '1e-130', '1e125', '12345678901234567890123456789012345678')
  .map((N): Value => ({ N }))

const optional = <Each>(of: fc.Arbitrary<Each>) => fc.option(of, { nil: undefined })
const distinct = { selector: ({ key }: { key: Item }) => itemText(key), minLength: 1, maxLength: 5 }

const groups = fc.constantFrom('g1', 'g2', 'é').map((S): Value => ({ S }))
const heights = fc.constantFrom('1', '2.50', '-7', '1e3').map((N): Value => ({ N }))
/** Items with keys of indexes, or without some of them. */
const indexed: fc.Arbitrary<Item> = fc
  .tuple(items, fc.record({ g: groups, h: heights }, { requiredKeys: [] }))
  .map(([item, keys]) => ({ ...item, ...keys }))
const path = (name: 'g' | 'h') => fc.constant<Path>([name])
const keyChanges: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ do: fc.constant('SET' as const), path: path('g'), to: groups.map((value) => ({ value })) }),
  fc.record({ do: fc.constant('SET' as const), path: path('h'), to: heights.map((value) => ({ value })) }),
  fc.record({ do: fc.constant('ADD' as const), path: path('h'), value: heights }),
  fc.record({ do: fc.constant('REMOVE' as const), path: fc.oneof(path('g'), path('h')) }),
)
const indexedUpdates = fc
  .tuple(updates, fc.array(keyChanges, { maxLength: 1 }))
  .map(([changes, more]) => [...changes, ...more])

export function stepsOf(hasRange: boolean): fc.Arbitrary<readonly Step[]> {
  const keys: fc.Arbitrary<Item> = hasRange ? fc.record({ pk: hashes, sk: ranges }) : fc.record({ pk: hashes })
  const conditions = fc.oneof({ arbitrary: fc.constant(undefined), weight: 2 }, { arbitrary: trees, weight: 1 })
  const oldOrNone = fc.constantFrom<Returns>('NONE', 'ALL_OLD')
  const anyReturns = fc.constantFrom<Returns>('NONE', 'ALL_OLD', 'ALL_NEW', 'UPDATED_OLD', 'UPDATED_NEW')
  const common = { key: keys, condition: conditions, shows: fc.boolean() }
  const puts: fc.Arbitrary<Write> = fc.record({
    do: fc.constant('put' as const),
    ...common,
    returns: oldOrNone,
    attributes: indexed,
  })
  const deletes: fc.Arbitrary<Write> = fc.record({ do: fc.constant('delete' as const), ...common, returns: oldOrNone })
  const changes: fc.Arbitrary<Write> = fc.record({
    do: fc.constant('update' as const),
    ...common,
    returns: anyReturns,
    changes: fc.oneof({ arbitrary: indexedUpdates, weight: 9 }, { arbitrary: fc.constant([]), weight: 1 }),
  })
  const writes = fc.oneof(
    { arbitrary: puts, weight: 4 },
    { arbitrary: changes, weight: 6 },
    { arbitrary: deletes, weight: 2 },
  )
  const plain = fc
    .oneof(puts, deletes)
    .map((write): Write => ({ ...write, condition: undefined, returns: 'NONE', shows: false }))
  const checks: fc.Arbitrary<Write> = fc.record({
    do: fc.constant('check' as const),
    ...common,
    condition: trees,
    returns: fc.constant<Returns>('NONE'),
  })
  const how = fc.record({ writes: fc.nat(1), reached: fc.boolean() })
  const actions = fc
    .oneof({ arbitrary: writes, weight: 5 }, { arbitrary: checks, weight: 1 })
    .filter((write) => write.do !== 'update' || write.changes.length > 0)
    .map((write): Write => ({ ...write, returns: 'NONE' }))
  const tests: fc.Arbitrary<RangeTest> = fc.oneof(
    fc.record({ operator: fc.constantFrom('=', '<', '<=', '>', '>='), values: fc.tuple(ranges) }),
    fc
      .record({ operator: fc.constant('BETWEEN' as const), values: fc.tuple(ranges, ranges) })
      .filter(({ values: [low, high] }) => (compareValues(low, high) as number) <= 0),
  )
  const step: fc.Arbitrary<Step> = fc.oneof(
    { arbitrary: fc.record({ do: fc.constant('write' as const), write: writes }), weight: 20 },
    {
      arbitrary: fc.record({ do: fc.constant('again' as const), key: keys, batched: fc.boolean() }),
      weight: 3,
    },
    {
      arbitrary: fc.record({ do: fc.constant('batch' as const), writes: fc.uniqueArray(plain, distinct) }),
      weight: 3,
    },
    {
      arbitrary: fc.record({ do: fc.constant('get' as const), key: keys, projection: optional(projections) }),
      weight: 3,
    },
    {
      arbitrary: fc.record({
        do: fc.constant('batchGet' as const),
        keys: fc.uniqueArray(keys, { minLength: 1, maxLength: 4, selector: itemText }),
      }),
      weight: 1,
    },
    {
      arbitrary: fc.record({
        do: fc.constant('query' as const),
        pk: hashes,
        range: hasRange ? optional(tests) : fc.constant(undefined),
        filter: optional(trees),
        limit: optional(fc.integer({ min: 1, max: 5 })),
        reverse: fc.boolean(),
      }),
      weight: 4,
    },
    {
      arbitrary: fc.record({
        do: fc.constant('scan' as const),
        filter: optional(trees),
        limit: optional(fc.integer({ min: 1, max: 5 })),
        segments: fc.integer({ min: 1, max: 3 }),
      }),
      weight: 2,
    },
    {
      arbitrary: fc.record({
        do: fc.constant('transact' as const),
        writes: fc.uniqueArray(actions, distinct),
        isRepeated: fc.boolean(),
        crash: fc.oneof({ arbitrary: fc.constant(undefined), weight: 4 }, { arbitrary: how, weight: 1 }),
      }),
      weight: 5,
    },
    {
      arbitrary: fc.record({
        do: fc.constant('transactGet' as const),
        keys: fc.uniqueArray(keys, { minLength: 1, maxLength: 4, selector: itemText }),
        projection: optional(projections),
      }),
      weight: 1,
    },
    {
      arbitrary: fc.record({
        do: fc.constant('index' as const),
        index: fc.nat(2),
        hash: optional(fc.oneof(groups, hashes)),
        limit: optional(fc.integer({ min: 1, max: 5 })),
        reverse: fc.boolean(),
      }),
      weight: 3,
    },
    { arbitrary: fc.constant<Step>({ do: 'split' }), weight: 1 },
    {
      arbitrary: fc.record({
        do: fc.constant('crash' as const),
        writes: fc.uniqueArray(writes, distinct),
        how,
      }),
      weight: 2,
    },
  )
  return fc.array(step, { minLength: 10, maxLength: 40, size: 'max' })
}
