import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type ListState,
  listState,
  type MapState,
  mapState,
  Process,
  valueState,
} from '../../../src/operators/keyed/index.js'
import type { StateDeclarations } from '../../../src/operators/keyed/process.js'
import { OperatorHarness } from '../operator-harness.js'
import { runs } from './rows.js'

/** A process step whose rows are what is to be done with its one piece of state. */
function doing(state: StateDeclarations): OperatorHarness {
  const definition = {
    state,
    sides: [],
    onRow: (run: unknown, context: { state: object; emit(value: unknown): void }) =>
      context.emit((run as (pieces: object) => unknown)(context.state)),
    onTimer: undefined,
  }
  return new OperatorHarness(new Process('p', definition))
}

const entry = fc.integer({ min: 0, max: 9 })
const max = 4

describe('state of a process step', () => {
  it('a list does what an array does, and loses its oldest entries past the bound', async () => {
    const action = fc.oneof(
      fc.record({ push: fc.array(entry, { maxLength: 6 }) }),
      fc.record({ replace: fc.array(entry, { maxLength: 6 }) }),
      fc.constant({ clear: true }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 20 }), async (actions) => {
        const harness = doing({ list: listState<number>({ max }) })
        let model: number[] = []
        let evicted = 0
        for (const action of actions) {
          await harness.push(
            'a',
            ({ list }: { list: ListState<number> }) => {
              if ('push' in action) list.push(...action.push)
              else if ('replace' in action) list.replace(action.replace)
              else list.clear()
              return [list.length, [...list.all()]]
            },
            0,
          )
          model = 'push' in action ? [...model, ...action.push] : 'replace' in action ? [...action.replace] : []
          evicted += Math.max(0, model.length - max)
          model = model.slice(-max)
          expect(harness.values.at(-1)).toEqual([model.length, model])
          // An empty list leaves no cell behind.
          expect(harness.cells.size).toBe(model.length > 0 ? 1 : 0)
        }
        expect(harness.counts.get('evicted') ?? 0).toBe(evicted)
      }),
      runs(200),
    )
  })

  it('a map does what a Map does, and loses what was set first past the bound', async () => {
    const action = fc.oneof(
      fc.record({ set: fc.tuple(entry, entry) }),
      fc.record({ delete: entry }),
      fc.constant({ clear: true }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 30 }), async (actions) => {
        const harness = doing({ map: mapState<number, number>({ max }) })
        const model = new Map<number, number>()
        for (const action of actions) {
          await harness.push(
            'a',
            ({ map }: { map: MapState<number, number> }) => {
              if ('set' in action) map.set(...action.set)
              else if ('delete' in action) map.delete(action.delete)
              else map.clear()
              return [[...map.entries()], [...map.keys()], [...map.values()], map.size, map.has(5), map.get(5)]
            },
            0,
          )
          if ('set' in action) model.set(...action.set)
          else if ('delete' in action) model.delete(action.delete)
          else model.clear()
          if (model.size > max) model.delete(model.keys().next().value as number)
          const expected = [[...model], [...model.keys()], [...model.values()], model.size, model.has(5), model.get(5)]
          expect(harness.values.at(-1)).toEqual(expected)
          expect(harness.cells.size).toBe(model.size > 0 ? 1 : 0)
        }
      }),
      runs(200),
    )
  })

  it('a value is what it was declared with until it is set, and again when it is cleared', async () => {
    const harness = doing({ value: valueState(() => 7), bare: valueState<number>() })
    const run = async (
      what: (pieces: { value: { get(): number; set(n: number): void; clear(): void } }) => unknown,
    ) => {
      await harness.push('a', what, 0)
      return harness.values.at(-1)
    }
    expect(await run(({ value }) => value.get())).toBe(7)
    expect(await run(({ value }) => value.set(0))).toBe(undefined)
    expect(await run(({ value }) => value.get())).toBe(0)
    expect(await run(({ value }) => value.clear())).toBe(undefined)
    expect(await run(({ value }) => value.get())).toBe(7)
    expect(await run((pieces) => (pieces as unknown as { bare: { get(): unknown } }).bare.get())).toBe(undefined)
  })
})
