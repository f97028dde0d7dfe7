import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Count, Deduplicate, Folding, Process, valueState } from '../../../src/operators/keyed/index.js'
import { withState } from '../../../src/operators/keyed/state.js'
import type { KeyedOperator } from '../../../src/operators/task/keyed-operator.js'
import { OperatorHarness } from '../operator-harness.js'
import { keys, runs } from './rows.js'

const ttlMs = 10
const living = (operator: KeyedOperator, ttl: number | undefined = ttlMs) =>
  withState(operator, { version: 1, migrate: undefined, ttlMs: ttl })

const events = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ key: keys, value: fc.constantFrom('x', 'y') }) },
    { weight: 2, arbitrary: fc.record({ after: fc.integer({ min: 1, max: 15 }) }) },
  ),
  { maxLength: 60 },
)

describe('time to live', () => {
  it('forgets what was not written for so long, and leaves neither cells nor timers behind', async () => {
    await fc.assert(
      fc.asyncProperty(events, async (history) => {
        const harness = new OperatorHarness(living(new Count()))
        const model = new Map<string, { count: number; at: number }>()
        let now = 0
        for (const event of history) {
          if ('after' in event) {
            now += event.after
            await harness.pass(now)
            for (const [key, { at }] of model) if (at + ttlMs <= now) model.delete(key)
            expect(harness.cells.size).toBe(model.size)
            expect(harness.timerCount).toBe(model.size)
            continue
          }
          const count = (model.get(event.key)?.count ?? 0) + 1
          model.set(event.key, { count, at: now })
          await harness.push(event.key, event.value, 0)
          expect(harness.values.at(-1)).toBe(count)
        }
      }),
      runs(300),
    )
  })

  it('counts for each cell of a key alone', async () => {
    await fc.assert(
      fc.asyncProperty(events, async (history) => {
        const harness = new OperatorHarness(living(new Deduplicate((value) => value, undefined)))
        const until = new Map<string, number>()
        let now = 0
        for (const event of history) {
          if ('after' in event) {
            now += event.after
            await harness.pass(now)
            for (const [like, end] of until) if (end <= now) until.delete(like)
            expect(harness.cells.size).toBe(until.size)
            continue
          }
          const like = `${event.key} ${event.value}`
          const given = harness.emitted.length
          await harness.push(event.key, event.value, 0)
          expect(harness.emitted.length - given).toBe(until.has(like) ? 0 : 1)
          // A duplicate writes nothing, so it does not prolong the life of the first.
          if (!until.has(like)) until.set(like, now + ttlMs)
        }
      }),
      runs(300),
    )
  })

  it('is not seen when it is over, before its timer has fired', async () => {
    const operator = living(new Count())
    const harness = new OperatorHarness(operator)
    await harness.push('a', 1, 0)
    harness.now = ttlMs - 1
    await harness.push('a', 1, 0)
    // Within one batch rows may come before the timer that is due.
    harness.now = 2 * ttlMs
    await harness.push('a', 1, 0)
    expect(harness.values).toEqual([1, 2, 1])
  })

  it('may be taken away by a later deploy: state is read as it is, and a timer that is left does nothing', async () => {
    const before = new OperatorHarness(living(new Count()))
    await before.push('a', 1, 0)
    const after = new OperatorHarness(living(new Count(), undefined))
    for (const [name, cell] of before.cells) after.cells.set(name, cell)
    await after.push('a', 1, 0)
    expect(after.values).toEqual([2])
    const timers: unknown[] = []
    const process = new Process('p', { state: {}, sides: [], onRow: () => {}, onTimer: (timer) => timers.push(timer) })
    await process.onTimer({ time: 5, tag: '\u0000ttl', domain: 'processing' }, {} as never)
    expect(timers).toEqual([])
  })

  it('may be given by a later deploy: it counts from the next write', async () => {
    const before = new OperatorHarness(new Count())
    await before.push('a', 1, 0)
    const after = new OperatorHarness(living(new Count()))
    for (const [name, cell] of before.cells) after.cells.set(name, cell)
    after.now = 100
    await after.push('a', 1, 0)
    await after.pass(100 + ttlMs - 1)
    await after.push('a', 1, 0)
    expect(after.values).toEqual([2, 3])
    await after.pass(1000)
    expect(after.cells.size).toBe(0)
  })

  it("lets the step's own timers through", async () => {
    const seen: unknown[] = []
    const process = new Process('p', {
      state: { n: valueState<number>() },
      sides: [],
      onRow: (_, context) => {
        ;(context.state.n as { set(value: number): void }).set(1)
        context.setTimer(5, 'mine')
      },
      onTimer: (timer, context) => seen.push([timer.tag, (context.state.n as { get(): unknown }).get()]),
    })
    const harness = new OperatorHarness(living(process))
    await harness.push('a', 1, 0)
    await harness.advance(5)
    expect(seen).toEqual([['mine', 1]])
  })
})

describe('the version of state', () => {
  const sums = (version: number, migrate?: (state: unknown, from: number) => unknown) => {
    const add = (state: unknown, value: unknown) => {
      if (version === 1) return (state as number) + (value as number)
      return { total: (state as { total: number }).total + (value as number), version }
    }
    const initial = () => (version === 1 ? 0 : { total: 0, version })
    return withState(new Folding('n', initial, add), { version, migrate, ttlMs: undefined })
  }
  const migrate = (state: unknown, from: number) => ({
    total: from === 1 ? state : (state as { total: unknown }).total,
    version: `from ${from}`,
  })

  it('brings what older versions wrote to the new one, once it is read', async () => {
    const first = new OperatorHarness(sums(1))
    await first.push('a', 5, 0)
    const second = new OperatorHarness(sums(2, migrate))
    for (const [name, cell] of first.cells) second.cells.set(name, cell)
    await second.push('a', 1, 0)
    await second.push('b', 1, 0)
    expect(second.values).toEqual([
      { total: 6, version: 2 },
      { total: 1, version: 2 },
    ])
    const seen: number[] = []
    const third = new OperatorHarness(
      sums(3, (state, from) => {
        seen.push(from)
        return migrate(state, from)
      }),
    )
    for (const [name, cell] of second.cells) third.cells.set(name, cell)
    await third.push('a', 1, 0)
    await third.push('a', 1, 0)
    expect(third.values.at(-1)).toEqual({ total: 8, version: 3 })
    expect(seen).toEqual([2])
  })

  it('refuses state that it cannot make its own', async () => {
    const first = new OperatorHarness(sums(2))
    await first.push('a', 5, 0)
    for (const operator of [sums(3), withState(new Count(), { version: 1, migrate: undefined, ttlMs: 5 })]) {
      const later = new OperatorHarness(operator)
      for (const [name, cell] of first.cells) later.cells.set(name, cell)
      await expect(later.push('a', 1, 0)).rejects.toThrow('State of version 2 is there')
    }
  })
})
