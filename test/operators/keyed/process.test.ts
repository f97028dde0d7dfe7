import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { listState, mapState, Process, type StateDeclarations, valueState } from '../../../src/operators/keyed/index.js'
import type { TimeDomain } from '../../../src/operators/task/keyed-operator.js'
import { OperatorHarness } from '../operator-harness.js'
import { keys, runs } from './rows.js'

type Context = Parameters<ConstructorParameters<typeof Process>[1]['onRow']>[1]
type Pieces = {
  deadline: { get(): number; set(value: number): void; clear(): void }
  values: { all(): readonly number[]; push(...values: number[]): void; clear(): void }
  perValue: { get(name: number): number | undefined; set(name: number, value: number): void; clear(): void }
}

const gap = 10

/** Gathers the values of a key until none came for `gap`, in event or processing time; odd ones go to a side output. */
function gathering(domain: TimeDomain, isAsync: boolean): Process {
  const state: StateDeclarations = {
    deadline: valueState(() => -1),
    values: listState<number>(),
    perValue: mapState<number, number>(),
  }
  return new Process('gather', {
    state,
    sides: ['odd'],
    onRow: (value, context) => {
      const pieces = context.state as Pieces
      const run = () => {
        const number = value as number
        if (number % 2 === 1) context.side('odd', number)
        context.clearTimer(pieces.deadline.get(), 'end', domain)
        pieces.deadline.set((domain === 'event' ? context.time : context.now) + gap)
        context.setTimer(pieces.deadline.get(), 'end', domain)
        pieces.values.push(number)
        pieces.perValue.set(number, (pieces.perValue.get(number) ?? 0) + 1)
      }
      return isAsync ? Promise.resolve().then(run) : run()
    },
    onTimer: (timer, context: Context) => {
      const pieces = context.state as Pieces
      context.emit({ at: timer.time, tag: timer.tag, values: [...pieces.values.all()], ones: pieces.perValue.get(1) })
      pieces.deadline.clear()
      pieces.values.clear()
      pieces.perValue.clear()
    },
  })
}

const events = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        key: keys,
        value: fc.integer({ min: 0, max: 3 }),
        time: fc.integer({ min: 0, max: 120 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ until: fc.integer({ min: 0, max: 120 }) }) },
  ),
  { maxLength: 50 },
)

interface Gathered {
  deadline: number
  readonly values: number[]
}

describe('process', () => {
  it.each<[TimeDomain, boolean]>([
    ['event', false],
    ['event', true],
    ['processing', false],
    ['processing', true],
  ])(
    'with state, side outputs and timers in %s time equals a plain simulation (promises: %s)',
    async (domain, isAsync) => {
      await fc.assert(
        fc.asyncProperty(events, async (history) => {
          const harness = new OperatorHarness(gathering(domain, isAsync))
          const pending = new Map<string, Gathered>()
          const expected: unknown[] = []
          let clock = domain === 'event' ? Number.NEGATIVE_INFINITY : 0
          const fire = () => {
            const due = [...pending].filter(([, { deadline }]) => deadline <= clock)
            for (const [key, { deadline, values }] of due) {
              const ones = values.filter((value) => value === 1).length
              const value = { at: deadline, tag: 'end', values, ones: ones === 0 ? undefined : ones }
              expected.push({ key, value, time: deadline, output: undefined })
              pending.delete(key)
            }
          }
          for (const event of history) {
            if ('until' in event) {
              clock = Math.max(clock, event.until)
              fire()
              await (domain === 'event' ? harness.advance(event.until) : harness.pass(event.until))
              continue
            }
            const { key, value, time } = event
            if (value % 2 === 1) expected.push({ key, value, time, output: 'odd' })
            const { values } = pending.get(key) ?? { values: [] }
            pending.set(key, { deadline: (domain === 'event' ? time : clock) + gap, values: [...values, value] })
            fire()
            await harness.push(key, value, time)
          }
          // Timers of several keys that are due at once fire in the order of their times.
          const order = (emitted: readonly unknown[]) => emitted.map((each) => JSON.stringify(each)).sort()
          expect(order(harness.emitted)).toEqual(order(expected))
          expect(harness.timerCount).toBe(pending.size)
        }),
        runs(250),
      )
    },
  )

  const used = (run: (context: Context) => unknown) =>
    new OperatorHarness(
      new Process('p', {
        state: { n: valueState<number>() },
        sides: [],
        onRow: (_, context) => run(context),
        onTimer: undefined,
      }),
    )

  it.each<[string, (context: Context) => unknown, string]>([
    ['a timer for no time', (context) => context.setTimer(Number.NaN), 'set a timer for NaN'],
    ['a timer for half a millisecond', (context) => context.setTimer(0.5), 'set a timer for 0.5'],
    ['a reserved tag', (context) => context.setTimer(5, '\u0000x'), 'U+0000'],
    ['a side output that is not declared', (context) => context.side('x' as never, 1 as never), 'no side output x'],
  ])('refuses %s', async (_what, run, says) => {
    await expect(used(run).push('a', 1, 0)).rejects.toThrow(says)
  })

  it('takes no use of its context after the value is done, also where user code failed', async () => {
    let kept: Context | undefined
    const harness = used((context) => {
      kept = context
      if (harness.emitted.length === 0) context.emit(1)
      else throw new Error('mine')
    })
    await harness.push('a', 1, 0)
    expect(() => kept?.emit(2)).toThrow('after its value or timer was done')
    await expect(harness.push('a', 1, 0)).rejects.toThrow('mine')
    expect(() => kept?.emit(2)).toThrow('after its value or timer was done')
    const slow = used(async (context) => {
      kept = context
      await Promise.resolve()
      context.emit('in time')
    })
    await slow.push('a', 1, 0)
    expect(slow.values).toEqual(['in time'])
    expect(() => kept?.key).toThrow('after its value or timer was done')
  })
})
