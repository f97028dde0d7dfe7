import fc from 'fast-check'
import { items, projections, trees, updates } from '../naive/arbitraries.js'
import type { Path, Tree } from '../naive/syntax.js'
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
  | { readonly do: 'split' }
  | { readonly do: 'crash'; readonly writes: readonly Write[]; readonly how: Crash }

/** Few keys, so that writes meet; sort keys in several spellings of one number. */
const hashes = fc.constantFrom('a', 'b', 'é', 'a\0').map((S): Value => ({ S }))
const ranges = fc
  .constantFrom('0', '-0', '1', '1.0', '2', '10', '-3.5', '1e-130', '1e125', '12345678901234567890123456789012345678')
  .map((N): Value => ({ N }))

const optional = <Each>(of: fc.Arbitrary<Each>) => fc.option(of, { nil: undefined })
const distinct = { selector: ({ key }: { key: Item }) => itemText(key), minLength: 1, maxLength: 5 }

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
    attributes: items,
  })
  const deletes: fc.Arbitrary<Write> = fc.record({ do: fc.constant('delete' as const), ...common, returns: oldOrNone })
  const changes: fc.Arbitrary<Write> = fc.record({
    do: fc.constant('update' as const),
    ...common,
    returns: anyReturns,
    changes: fc.oneof({ arbitrary: updates, weight: 9 }, { arbitrary: fc.constant([]), weight: 1 }),
  })
  const writes = fc.oneof(
    { arbitrary: puts, weight: 4 },
    { arbitrary: changes, weight: 6 },
    { arbitrary: deletes, weight: 2 },
  )
  const plain = fc
    .oneof(puts, deletes)
    .map((write): Write => ({ ...write, condition: undefined, returns: 'NONE', shows: false }))
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
    { arbitrary: fc.constant<Step>({ do: 'split' }), weight: 1 },
    {
      arbitrary: fc.record({
        do: fc.constant('crash' as const),
        writes: fc.uniqueArray(writes, distinct),
        how: fc.record({ writes: fc.nat(1), reached: fc.boolean() }),
      }),
      weight: 2,
    },
  )
  return fc.array(step, { minLength: 10, maxLength: 40, size: 'max' })
}
