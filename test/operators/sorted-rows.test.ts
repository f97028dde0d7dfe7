import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type KeptRow, SortedRows, type SortedState } from '../../src/operators/sorted-rows.js'
import type { KeyedContext, KeyedOperator, Row } from '../../src/operators/task/keyed-operator.js'
import { OperatorHarness } from './operator-harness.js'

const numRuns = process.env.MILLRACE_LONG === undefined ? 100 : 10_000

type Command =
  | { readonly kind: 'insert'; readonly time: number; readonly id: number }
  | { readonly kind: 'take' | 'visit' | 'last'; readonly time: number }
  | { readonly kind: 'shift' }

const times = fc.integer({ min: 0, max: 60 })
const commands = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.record({ kind: fc.constant('insert' as const), time: times, id: fc.nat() }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('visit' as const, 'last' as const), time: times }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('take' as const), time: fc.integer({ min: 0, max: 15 }) }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: 'shift' as const }) },
  ),
  { maxLength: 250, size: 'max' },
)

/** Does one thing to the rows of a key, with the cells that the rows themselves ask for and no other. */
const operator: KeyedOperator = {
  onRow(row: Row, _input: number, context: KeyedContext) {
    const command = row.value as Command
    const rows = new SortedRows('r', context.get() as SortedState | undefined, context)
    const bring = (names: readonly (string | number)[]) => {
      if (names.length > 0) void context.bring(names)
      rows.brought(names)
    }
    switch (command.kind) {
      case 'insert':
        bring(rows.namesFor(command.time, row.sequence))
        rows.insert([command.time, row.sequence, command.id])
        break
      case 'take':
        bring(rows.namesIn(Number.NEGATIVE_INFINITY, command.time))
        context.emit(rows.takeUpTo(command.time).map(([, , id]) => id))
        break
      case 'visit': {
        bring(rows.namesIn(command.time, command.time + 10))
        const seen: unknown[] = []
        rows.visit(command.time, command.time + 10, (each) => {
          seen.push([each[2], each[3] ?? 0])
          each[3] = (each[3] ?? 0) + 1
          return true
        })
        context.emit(seen)
        break
      }
      case 'last':
        bring(rows.namesIn(command.time, command.time))
        context.emit(rows.last(command.time)?.[2])
        break
      case 'shift':
        bring(rows.namesOfFirst())
        context.emit([rows.firstTime, rows.secondTime, rows.shift()?.[2]])
    }
    const { count } = rows
    context.put(rows.save())
    context.emit(count)
  },
}

describe('rows in the order of their times', () => {
  it('are those of a sorted list, however many cells they are in', async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (all) => {
        const harness = new OperatorHarness(operator)
        const list: KeptRow[] = []
        const expected: unknown[] = []
        for (const [i, command] of all.entries()) {
          await harness.push('a', command, 0)
          if (command.kind === 'insert') {
            list.push([command.time, i, command.id])
            list.sort((a, b) => a[0] - b[0] || a[1] - b[1])
          } else if (command.kind === 'take') {
            const behind = list.findIndex(([time]) => time > command.time)
            expected.push(list.splice(0, behind < 0 ? list.length : behind).map(([, , id]) => id))
          } else if (command.kind === 'visit') {
            const seen = list.filter(([time]) => time >= command.time && time <= command.time + 10)
            expected.push(seen.map(([, , id, mark]) => [id, mark ?? 0]))
            for (const row of seen) row[3] = (row[3] ?? 0) + 1
          } else if (command.kind === 'last') expected.push(list.filter(([time]) => time <= command.time).at(-1)?.[2])
          else expected.push([list[0]?.[0], list[1]?.[0], list.shift()?.[2]])
          expected.push(list.length)
        }
        expect(harness.values).toEqual(expected)
        // Cells are as few as the rows, and none is left behind.
        expect(harness.cells.size).toBeLessThanOrEqual(list.length === 0 ? 0 : 2 + list.length / 4)
      }),
      { numRuns },
    )
  })

  it('go on where a cell is gone, as state with a time to live may be', async () => {
    const harness = new OperatorHarness(operator)
    for (let time = 0; time < 100; time++) await harness.push('a', { kind: 'insert', time, id: time }, 0)
    const lost = [...harness.cells.keys()].filter((name) => name.includes('string:')).slice(0, 2)
    const gone = lost.flatMap((name) => (harness.cells.get(name) as KeptRow[]).map(([, , id]) => id))
    for (const name of lost) harness.cells.delete(name)
    await harness.push('a', { kind: 'insert', time: 5, id: 1000 }, 0)
    await harness.push('a', { kind: 'take', time: 200 }, 0)
    const left = Array.from({ length: 100 }, (_, id) => id).filter((id) => !gone.includes(id))
    expect(harness.values.at(-2)).toEqual([1000, ...left])
    expect(harness.cells.size).toBe(0)
  })
})
