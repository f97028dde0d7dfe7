import {
  file,
  type KeyedFlow,
  pipeline,
  type StreamKey,
  stream,
  type WindowedFlow,
  type WindowOptions,
  type WindowSpec,
} from '../../../src/operators/index.js'
import { planOf } from '../../../src/operators/plan/index.js'
import type { KeyedNode } from '../../../src/operators/plan/nodes.js'
import type { KeyedOperator } from '../../../src/operators/task/keyed-operator.js'
import type { ArrivedRow, TestValue } from './arrivals.js'

export type TestWindows = WindowedFlow<TestValue, StreamKey>

/** The keyed step of a flow, as the engine makes it. */
export function nodeOf(spec: WindowSpec, options: WindowOptions, made: Made): KeyedNode {
  const values = pipeline('p')
    .from(stream<TestValue>('s'))
    .map(({ value }) => value)
    .keyByPartition()
  const flow = made.make(values.window(spec, options)) as KeyedFlow<unknown, StreamKey>
  return planOf(flow.to(file('f'))).nodes.find((node): node is KeyedNode => node.kind === 'keyed') as KeyedNode
}

export const operatorOf =
  (spec: WindowSpec, options: WindowOptions, made: Made): (() => KeyedOperator) =>
  () =>
    nodeOf(spec, options, made).make()

/** What is made of a window, and the same of its rows by plain code. */
export interface Made {
  readonly name: string
  readonly make: (windows: TestWindows) => unknown
  readonly of: (rows: readonly ArrivedRow[]) => unknown
  /** The result in a form in which the order of arrival does not show. */
  readonly shown?: (value: unknown) => unknown
}

const sum = (rows: readonly ArrivedRow[]): number => rows.reduce((all, { value }) => all + value.n, 0)
const byTime = (a: ArrivedRow, b: ArrivedRow): number => a.time - b.time || a.value.serial - b.value.serial
const byScore = (a: ArrivedRow, b: ArrivedRow): number => b.value.n - a.value.n || byTime(a, b)
const serials = (rows: readonly ArrivedRow[]): number[] => rows.map(({ value }) => value.serial)
const sorted = (all: unknown): number[] => [...(all as number[])].sort((a, b) => a - b)
const sortedSerials = (state: unknown): unknown => ({
  ...(state as object),
  serials: sorted((state as Gathered).serials),
})

interface Gathered {
  n: number
  serials: number[]
}

const gathered = (rows: readonly ArrivedRow[]): Gathered => ({ n: sum(rows), serials: sorted(serials(rows)) })
const gatherInto = (state: Gathered, { n, serial }: TestValue): Gathered => {
  state.n += n
  state.serials.push(serial)
  return state
}

export const count: Made = { name: 'count', make: (windows) => windows.count('x'), of: (rows) => rows.length }

export const collected: Made = {
  name: 'process',
  make: (windows) => windows.process('x', (values) => values.map(({ serial }) => serial)),
  of: (rows) => serials([...rows].sort(byTime)),
}

export const folded: Made = {
  name: 'aggregate without a merge',
  make: (windows) => windows.aggregate('x', () => ({ n: 0, serials: [] as number[] }), gatherInto),
  of: gathered,
  shown: sortedSerials,
}

/** Everything that any window can make. */
export const mergeable: readonly Made[] = [
  count,
  collected,
  { name: 'sum', make: (windows) => windows.sum('x', ({ n }) => n), of: sum },
  { name: 'sum of promises', make: (windows) => windows.sum('x', async ({ n }) => n), of: sum },
  {
    name: 'min',
    make: (windows) => windows.min('x', ({ n }) => n),
    of: (rows) => Math.min(...rows.map(({ value }) => value.n)),
  },
  {
    name: 'max',
    make: (windows) => windows.max('x', ({ n }) => n),
    of: (rows) => Math.max(...rows.map(({ value }) => value.n)),
  },
  { name: 'average', make: (windows) => windows.average('x', ({ n }) => n), of: (rows) => sum(rows) / rows.length },
  {
    name: 'distinct',
    make: (windows) => windows.distinct('x', ({ n }) => n % 5),
    of: (rows) => new Set(rows.map(({ value }) => value.n % 5)).size,
  },
  {
    name: 'topN',
    make: (windows) => windows.topN('x', 2, { by: ({ n }) => n }),
    of: (rows) =>
      [...rows]
        .sort(byScore)
        .slice(0, 2)
        .map(({ value }) => value),
  },
  {
    name: 'topN by id',
    make: (windows) => windows.topN('x', 2, { by: async ({ n }) => n, id: ({ n }) => n % 3 }),
    of: (rows) => {
      const latest = new Map([...rows].sort(byTime).map((row) => [row.value.n % 3, row]))
      return [...latest.values()]
        .sort(byScore)
        .slice(0, 2)
        .map(({ value }) => value)
    },
  },
  {
    name: 'reduce',
    make: (windows) => windows.reduce('x', (a, b) => ({ n: a.n + b.n, serial: Math.min(a.serial, b.serial) })),
    of: (rows) => ({ n: sum(rows), serial: Math.min(...serials(rows)) }),
  },
  {
    name: 'reduce with promises',
    make: (windows) => windows.reduce('x', async (a, b) => (b.n > a.n || (b.n === a.n && b.serial < a.serial) ? b : a)),
    of: (rows) => [...rows].sort((a, b) => b.value.n - a.value.n || a.value.serial - b.value.serial)[0]?.value,
  },
  {
    name: 'aggregate',
    make: (windows) =>
      windows.aggregate('x', () => ({ n: 0, serials: [] as number[] }), gatherInto, {
        merge: (a, b) => {
          a.n += b.n
          a.serials.push(...b.serials)
          return a
        },
      }),
    of: gathered,
    shown: sortedSerials,
  },
  {
    name: 'aggregate with promises, one of which gives its second state',
    make: (windows) =>
      windows.aggregate(
        'x',
        () => ({ n: 0, serials: [] as number[] }),
        async (state, value) => gatherInto(state, value),
        {
          merge: async (a, b) => {
            if (a.serials.length === 0) return b
            a.n += b.n
            a.serials.push(...b.serials)
            return a
          },
        },
      ),
    of: gathered,
    shown: sortedSerials,
  },
]
