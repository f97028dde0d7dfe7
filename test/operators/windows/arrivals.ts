import fc from 'fast-check'
import { vi } from 'vitest'
import type { KeyedOperator } from '../../../src/operators/task/keyed-operator.js'
import { OperatorHarness } from '../operator-harness.js'

const isLong = process.env.MILLRACE_LONG !== undefined
export const numRuns = isLong ? 10_000 : 60
if (isLong) vi.setConfig({ testTimeout: 3_600_000 })

export interface TestValue {
  readonly n: number
  /** Counts the rows in the order of their arrival. */
  readonly serial: number
}

export interface ArrivedRow {
  readonly key: string
  readonly value: TestValue
  readonly time: number
  readonly stamp: number
}

/** What an operator sees, one after the other. */
export type Arrival =
  | ({ readonly kind: 'row' } & ArrivedRow)
  | { readonly kind: 'watermark'; readonly watermark: number }
  | { readonly kind: 'now'; readonly now: number }

interface Shard {
  readonly rows: { readonly key: string; readonly n: number; readonly time: number }[]
  max: number
}

/**
 * The rows of up to three source shards, out of order within each and by more than its bound too, read in any order of the
 * shards; a task that learns of their watermarks now and then; and a clock. At the end all is over.
 */
export const arrivals: fc.Arbitrary<readonly Arrival[]> = fc
  .record({
    begin: fc.constantFrom(-40, 0, 7, 1_700_000_000_000),
    outOfOrder: fc.integer({ min: 0, max: 12 }),
    shards: fc.array(
      fc.array(
        fc.record({
          key: fc.constantFrom('a', 'a', 'b'),
          n: fc.integer({ min: 0, max: 9 }),
          step: fc.oneof(
            { weight: 4, arbitrary: fc.integer({ min: 0, max: 4 }) },
            { weight: 1, arbitrary: fc.integer({ min: -15, max: 15 }) },
          ),
        }),
        { maxLength: 16 },
      ),
      { minLength: 1, maxLength: 3 },
    ),
    turns: fc.array(fc.record({ shard: fc.nat(2), isSeen: fc.boolean(), passed: fc.constantFrom(0, 0, 0, 1, 3, 11) }), {
      minLength: 48,
      maxLength: 48,
    }),
  })
  .map(({ begin, outOfOrder, shards, turns }) => {
    const sources = shards.map((rows): Shard => {
      let time = begin
      return {
        rows: rows.map(({ key, n, step }) => {
          time += step
          return { key, n, time }
        }),
        max: Number.NEGATIVE_INFINITY,
      }
    })
    return arrivalsOf(sources, outOfOrder, turns)
  })

/**
 * The same, with rows whose own source is far behind the task, as when one that was idle wakes up: those are late when
 * their windows are gone, whatever their stamps say.
 */
export const wokenArrivals: fc.Arbitrary<readonly Arrival[]> = fc
  .tuple(arrivals, fc.array(fc.nat(4), { minLength: 48, maxLength: 48 }))
  .map(([all, woken]) =>
    all.map((each, i) => (each.kind === 'row' && woken[i] === 0 ? { ...each, stamp: each.stamp - 30 } : each)),
  )

function arrivalsOf(
  shards: readonly Shard[],
  outOfOrder: number,
  turns: readonly { readonly shard: number; readonly isSeen: boolean; readonly passed: number }[],
): Arrival[] {
  const all: Arrival[] = []
  const watermarkOf = ({ rows, max }: Shard): number =>
    rows.length === 0 ? Number.POSITIVE_INFINITY : max - outOfOrder - 1
  let now = 0
  let serial = 0
  for (const { shard, isSeen, passed } of turns) {
    const left = shards.filter(({ rows }) => rows.length > 0)
    const source = left[shard % left.length]
    if (!source) break
    const { key, n, time } = source.rows[0] as Shard['rows'][number]
    source.max = Math.max(source.max, time)
    all.push({ kind: 'row', key, value: { n, serial: serial++ }, time, stamp: source.max - outOfOrder - 1 })
    source.rows.shift()
    now += passed
    if (passed > 0) all.push({ kind: 'now', now })
    if (isSeen) all.push({ kind: 'watermark', watermark: Math.min(...shards.map(watermarkOf)) })
  }
  all.push({ kind: 'watermark', watermark: Number.POSITIVE_INFINITY }, { kind: 'now', now: 1e9 })
  return all
}

/**
 * Plays arrivals to an operator: with cells in place as in the engine, or with clones of them and a new operator for each
 * call, as after a restart.
 */
export async function played(
  make: () => KeyedOperator,
  all: readonly Arrival[],
  isFresh = false,
): Promise<OperatorHarness> {
  const harness = isFresh ? new OperatorHarness(afreshOf(make)) : new OperatorHarness(make(), 'inPlace')
  for (const each of all) {
    if (each.kind === 'row') await harness.push(each.key, each.value, each.time, 0, each.stamp)
    else if (each.kind === 'watermark') await harness.advance(each.watermark)
    else await harness.pass(each.now)
  }
  return harness
}

/** An operator that remembers nothing but its cells. */
function afreshOf(make: () => KeyedOperator): KeyedOperator {
  const { cellsOf, cellsOfTimer } = make()
  return {
    ...(cellsOf && { cellsOf: (row, input) => make().cellsOf?.(row, input) ?? [undefined] }),
    ...(cellsOfTimer && { cellsOfTimer: (timer) => make().cellsOfTimer?.(timer) ?? [undefined] }),
    onRow: (row, input, context) => make().onRow(row, input, context),
    onTimer: (timer, context) => make().onTimer?.(timer, context),
  }
}
