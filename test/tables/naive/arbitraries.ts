import fc from 'fast-check'
import type { Change, Operand, Path, Source, Tree } from './syntax.js'
import { canonical, compareValues, type Item, type Type, type Value } from './values.js'

/** Few names and few values, so that expressions and items meet; some that an object of JavaScript has by itself. */
export const plainNames = ['a', 'b', 'c', 'dd', 'e_1'] as const
const oddNames = ['x.y', '__proto__', 'constructor', 'size', 'é', 'a[0]', '#n', ':v', ' '] as const
export const names: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: fc.constantFrom<string>(...plainNames), weight: 6 },
  { arbitrary: fc.constantFrom<string>(...oddNames), weight: 1 },
)

const numbers = fc.constantFrom(
  '0',
  '-0.0',
  '1',
  '1.0',
  '2',
  '10',
  '1e1',
  '-3',
  '0.5',
  '.5',
  '+7',
  '1E-130',
  '9.9999999999999999999999999999999999999E+125',
  '-9.9999999999999999999999999999999999999E+125',
  '12345678901234567890123456789012345678',
  '0.1234567890123456789012345678901234567',
  '99999999999999999999999999999999999999',
)
const texts = fc.constantFrom('', 'a', 'ab', 'abc', 'b', 'é', '\ud83d\ude00', '\uffff', 'a\0b', '10')
const binaries = fc.constantFrom('', 'AA==', 'AAE=', 'AAEC', '/w==', 'AQ==')

/** Members of a set, all of them different by value. */
const setOf = (members: fc.Arbitrary<string>, wrap: (member: string) => Value) =>
  fc.uniqueArray(members, {
    minLength: 1,
    maxLength: 3,
    selector: (member) => JSON.stringify(canonical(wrap(member))),
  })

const scalars: fc.Arbitrary<Value> = fc.oneof(
  texts.map((S) => ({ S })),
  numbers.map((N) => ({ N })),
  binaries.map((B) => ({ B })),
)
export const sets: fc.Arbitrary<Value> = fc.oneof(
  setOf(texts, (S) => ({ S })).map((SS) => ({ SS })),
  setOf(numbers, (N) => ({ N })).map((NS) => ({ NS })),
  setOf(binaries, (B) => ({ B })).map((BS) => ({ BS })),
)
const flat: fc.Arbitrary<Value> = fc.oneof(
  { arbitrary: scalars, weight: 6 },
  { arbitrary: fc.boolean().map((BOOL): Value => ({ BOOL })), weight: 1 },
  { arbitrary: fc.constant<Value>({ NULL: true }), weight: 1 },
  { arbitrary: sets, weight: 3 },
)
const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 3, withCrossShrink: true },
    flat,
    fc.array(tie('value'), { maxLength: 3 }).map((L) => ({ L })),
    membersOf(tie('value')).map((M) => ({ M })),
  ),
}))
export const values = value

/** Every member is the object's own, also one named __proto__. */
function membersOf(of: fc.Arbitrary<Value>): fc.Arbitrary<Item> {
  return fc.array(fc.tuple(names, of), { maxLength: 3 }).map((entries) => Object.fromEntries(entries))
}

const anyItems: fc.Arbitrary<Item> = fc
  .array(fc.tuple(names, values), { maxLength: 5 })
  .map((entries) => Object.fromEntries(entries))
/** Most attributes are of one type each, so that most paths lead somewhere and most updates can be done. */
const familiarItems: fc.Arbitrary<Item> = fc.record(
  {
    a: membersOf(values).map((M): Value => ({ M })),
    b: fc.array(values, { maxLength: 4 }).map((L): Value => ({ L })),
    c: numbers.map((N): Value => ({ N })),
    dd: setOf(texts, (S) => ({ S })).map((SS): Value => ({ SS })),
    e_1: values,
  },
  { requiredKeys: ['a', 'b'] },
)
export const items: fc.Arbitrary<Item> = fc.oneof(
  { arbitrary: familiarItems, weight: 4 },
  { arbitrary: anyItems, weight: 1 },
)

const anyPaths: fc.Arbitrary<Path> = fc
  .tuple(names, fc.array(fc.oneof(names, fc.nat(3)), { maxLength: 2 }))
  .map(([name, steps]) => [name, ...steps])
const familiarPaths: fc.Arbitrary<Path> = fc.oneof(
  names.map((name): Path => [name]),
  names.map((name): Path => ['a', name]),
  fc.nat(5).map((place): Path => ['b', place]),
)
export const paths: fc.Arbitrary<Path> = fc.oneof(
  { arbitrary: familiarPaths, weight: 6 },
  { arbitrary: anyPaths, weight: 1 },
)

const pathOperands: fc.Arbitrary<Operand> = paths.map((path) => ({ path }))
const anyOperands: fc.Arbitrary<Operand> = fc.oneof(
  pathOperands,
  values.map((value) => ({ value })),
  paths.map((size) => ({ size })),
)
const orderedOperands: fc.Arbitrary<Operand> = fc.oneof(
  pathOperands,
  scalars.map((value) => ({ value })),
  paths.map((size) => ({ size })),
)
const prefixOperands: fc.Arbitrary<Operand> = fc.oneof(
  pathOperands,
  fc.oneof(
    texts.map((S) => ({ value: { S } })),
    binaries.map((B) => ({ value: { B } })),
  ),
)

const samePath = (one: Operand, two: Operand): boolean =>
  'path' in one && 'path' in two && JSON.stringify(one.path) === JSON.stringify(two.path)

const types: readonly Type[] = ['S', 'N', 'B', 'BOOL', 'NULL', 'M', 'L', 'SS', 'NS', 'BS']
const leaves: fc.Arbitrary<Tree> = fc.oneof(
  fc
    .record({
      is: fc.constant('compare' as const),
      operator: fc.constantFrom('=', '<>'),
      left: anyOperands,
      right: anyOperands,
    })
    .filter(({ left, right }) => !samePath(left, right)),
  fc
    .record({
      is: fc.constant('compare' as const),
      operator: fc.constantFrom('<', '<=', '>', '>='),
      left: orderedOperands,
      right: orderedOperands,
    })
    .filter(({ left, right }) => !samePath(left, right)),
  fc
    .record({
      is: fc.constant('between' as const),
      value: orderedOperands,
      low: orderedOperands,
      high: orderedOperands,
    })
    .filter(({ value, low, high }) => !samePath(value, low) && !samePath(value, high) && isInOrder(low, high)),
  fc
    .record({
      is: fc.constant('in' as const),
      value: anyOperands,
      options: fc.array(anyOperands, { minLength: 1, maxLength: 4 }),
    })
    .filter(({ value, options }) => !options.some((option) => samePath(value, option))),
  fc.record({ is: fc.constantFrom('exists' as const, 'missing' as const), path: paths }),
  fc.record({ is: fc.constant('type' as const), path: paths, type: fc.constantFrom(...types) }),
  fc
    .record({ is: fc.constant('begins' as const), path: paths, part: prefixOperands })
    .filter(({ path, part }) => !samePath({ path }, part)),
  fc
    .record({ is: fc.constant('contains' as const), path: paths, part: anyOperands })
    .filter(({ path, part }) => !samePath({ path }, part)),
)

/** Bounds that are both in the text must be of one type and in their order. */
function isInOrder(low: Operand, high: Operand): boolean {
  if (!('value' in low) || !('value' in high)) return true
  return (compareValues(low.value, high.value) ?? 1) <= 0
}

/** Conditions that the daemon must take. */
export const { tree: trees } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', maxDepth: 4, withCrossShrink: true },
    leaves,
    fc.record({ is: fc.constant('not' as const), item: tie('tree') }),
    fc.record({ is: fc.constantFrom('and' as const, 'or' as const), left: tie('tree'), right: tie('tree') }),
  ),
}))

const numberSources: fc.Arbitrary<Source> = fc.oneof(
  paths.map((path) => ({ path })),
  numbers.map((N) => ({ value: { N } })),
  fc.record({ ifMissing: paths, otherwise: numbers.map((N): Source => ({ value: { N } })) }),
)
const listSources: fc.Arbitrary<Source> = fc.oneof(
  paths.map((path) => ({ path })),
  fc.array(values, { maxLength: 2 }).map((L) => ({ value: { L } })),
  fc.record({ ifMissing: paths, otherwise: fc.array(values, { maxLength: 2 }).map((L): Source => ({ value: { L } })) }),
)
const sources: fc.Arbitrary<Source> = fc.oneof(
  values.map((value) => ({ value })),
  paths.map((path) => ({ path })),
  fc.record({ ifMissing: paths, otherwise: values.map((value): Source => ({ value })) }),
  // One path twice is refused.
  fc
    .tuple(paths, paths)
    .filter(([one, other]) => JSON.stringify(one) !== JSON.stringify(other))
    .map(([ifMissing, path]) => ({ ifMissing, otherwise: { path } })),
  fc.record({ first: listSources, second: listSources }),
)

/** Both steps of two paths at one place must be names, or both numbers, and neither path may begin the other. */
const canStandTogether = (one: Path, two: Path): boolean => {
  for (let depth = 0; ; depth++) {
    const [a, b] = [one[depth], two[depth]]
    if (a === undefined || b === undefined) return false
    if (typeof a !== typeof b) return false
    if (a !== b) return true
  }
}

export const fitting = <Each extends { readonly path: Path }>(list: readonly Each[]): readonly Each[] =>
  list.filter((each, i) => list.slice(0, i).every((other) => canStandTogether(other.path, each.path)))

export const projections: fc.Arbitrary<readonly Path[]> = fc
  .array(
    paths.map((path) => ({ path })),
    { minLength: 1, maxLength: 4 },
  )
  .map((list) => fitting(list).map(({ path }) => path))

const number: fc.Arbitrary<Value> = fc.constantFrom('1', '-3', '0.5', '1e1').map((N) => ({ N }))
const list: fc.Arbitrary<Value> = fc.array(values, { maxLength: 2 }).map((L) => ({ L }))
const some = (path: Path) => fc.constant(path)
/** What fits the types of familiar items. */
const familiarChanges: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    do: fc.constant('SET' as const),
    path: familiarPaths,
    left: fc.record({ ifMissing: some(['c']), otherwise: number.map((value): Source => ({ value })) }),
    sign: fc.constantFrom('+' as const, '-' as const),
    right: number.map((value) => ({ value })),
  }),
  fc.record({
    do: fc.constant('SET' as const),
    path: familiarPaths,
    to: fc.oneof(
      values.map((value): Source => ({ value })),
      some(['b']).map((path): Source => ({ path })),
      fc.record({
        first: list.map((value): Source => ({ value })),
        second: fc.constant<Source>({ path: ['b'] }),
      }),
    ),
  }),
  fc.record({ do: fc.constant('REMOVE' as const), path: familiarPaths }),
  fc.record({ do: fc.constant('ADD' as const), path: some(['c']), value: number }),
  fc.record({
    do: fc.constantFrom('ADD' as const, 'DELETE' as const),
    path: some(['dd']),
    value: setOf(texts, (S) => ({ S })).map((SS): Value => ({ SS })),
  }),
)
const anyChanges: fc.Arbitrary<Change> = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant('SET' as const), path: paths, to: sources }), weight: 4 },
  {
    arbitrary: fc.record({
      do: fc.constant('SET' as const),
      path: paths,
      left: numberSources,
      sign: fc.constantFrom('+' as const, '-' as const),
      right: numberSources,
    }),
    weight: 2,
  },
  { arbitrary: fc.record({ do: fc.constant('REMOVE' as const), path: paths }), weight: 3 },
  {
    arbitrary: fc.record({
      do: fc.constant('ADD' as const),
      path: paths,
      value: fc.oneof(
        numbers.map((N): Value => ({ N })),
        sets,
      ),
    }),
    weight: 2,
  },
  { arbitrary: fc.record({ do: fc.constant('DELETE' as const), path: paths, value: sets }), weight: 2 },
)

/** Changes that can be one update of the daemon's. */
export const updates: fc.Arbitrary<readonly Change[]> = fc
  .array(fc.oneof({ arbitrary: familiarChanges, weight: 6 }, { arbitrary: anyChanges, weight: 1 }), {
    minLength: 1,
    maxLength: 4,
  })
  .map((list) => fitting(list))
