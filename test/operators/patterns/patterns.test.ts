import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Skip } from '../../../src/operators/patterns/matcher.js'
import { PatternOperator, type PatternOperatorPlan } from '../../../src/operators/patterns/pattern-operator.js'
import { compileStages, type Relation, type StagePlan } from '../../../src/operators/patterns/stages.js'
import { OperatorHarness } from '../operator-harness.js'
import { BruteForce } from './brute-force.js'

const numRuns = process.env.MILLRACE_LONG === undefined ? 800 : 100_000

interface Letter {
  readonly letter: string
  readonly id: number
}

/** The letter is one of these, and (sometimes) it is not the letter of the first row so far. */
const conditionOf = (letters: string, looksBack: boolean): StagePlan['condition'] =>
  ((value: Letter, soFar: Record<string, Letter[]>) => {
    if (!letters.includes(value.letter)) return false
    const first = Object.values(soFar).find((rows) => rows.length > 0)?.[0]
    return !looksBack || first?.letter !== value.letter
  }) as never

const stage = (relation: fc.Arbitrary<Relation>): fc.Arbitrary<Omit<StagePlan, 'name'>> =>
  fc
    .record({
      relation,
      letters: fc.constantFrom('x', 'y', 'xy', 'yz', 'xyz'),
      looksBack: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
      rows: fc.constantFrom([1, 1], [1, 1], [2, 2], [1, 2], [1, 1000]),
      isOptional: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
      isConsecutive: fc.boolean(),
    })
    .map(({ relation, letters, looksBack, rows, isOptional, isConsecutive }) => {
      const takesRows = relation !== 'notNext' && relation !== 'notFollowedBy'
      const [min, max] = (takesRows ? rows : [1, 1]) as [number, number]
      const condition = conditionOf(letters, looksBack)
      return { relation, condition, min, max, isOptional: takesRows && isOptional, isConsecutive }
    })

const isNegative = ({ relation }: { relation: Relation }) => relation === 'notNext' || relation === 'notFollowedBy'

/** Patterns that the builder would take. */
const patterns = fc
  .tuple(
    stage(fc.constant('begin' as const)),
    fc.array(stage(fc.constantFrom('next', 'followedBy', 'followedByAny', 'notNext', 'notFollowedBy')), {
      maxLength: 3,
    }),
    fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
  )
  .map(([first, rest, withinMs]) => ({
    stages: [first, ...rest].map((each, i): StagePlan => ({ name: 'abcd'.charAt(i), ...each })),
    withinMs,
  }))
  .filter(({ stages, withinMs }) => {
    const lastMust = stages.findLastIndex((each) => !isNegative(each) && !each.isOptional)
    const trailing = stages.slice(lastMust + 1)
    if (trailing.some(({ relation }) => relation === 'notNext')) return false
    return lastMust >= 0 && (withinMs !== undefined || !trailing.some(({ relation }) => relation === 'notFollowedBy'))
  })

const skipsOf = (stages: readonly StagePlan[]): fc.Arbitrary<Skip> => {
  const later = stages.filter((each) => !isNegative(each)).slice(1)
  return fc.constantFrom<Skip>('none', 'none', 'pastLast', 'toNext', ...later.map(({ name }) => ({ toFirst: name })))
}

/** Rows in the order of their times, and an order of arrival that the watermark allows for. */
const arrivals = fc
  .array(
    fc.record({ letter: fc.constantFrom('x', 'y', 'z'), step: fc.constantFrom(0, 1, 1, 2, 5), delay: fc.nat(6) }),
    {
      maxLength: 9,
      size: 'max',
    },
  )
  .map((rows) => {
    let time = 0
    const timed = rows.map(({ letter, step, delay }, i) => {
      time += step
      return { letter, time, arrivesAt: time + delay, sequence: i }
    })
    return timed.sort((a, b) => a.arrivesAt - b.arrivesAt || a.sequence - b.sequence)
  })

const planOf = (stages: readonly StagePlan[], rest: Partial<PatternOperatorPlan> = {}): PatternOperatorPlan => ({
  name: 'p',
  pattern: compileStages(stages),
  withinMs: undefined,
  skip: 'none',
  partialMax: 100_000,
  waitingMax: 1000,
  ...rest,
})

const found = (harness: OperatorHarness) =>
  harness.emitted
    .filter(({ output }) => output !== 'late')
    .map(({ value, time, output }) => ({ isMatch: output === undefined, rows: value, time }))

describe('patterns', () => {
  it('are found as their definition says, in whatever order rows arrive', async () => {
    let matches = 0
    let timeouts = 0
    await fc.assert(
      fc.asyncProperty(
        patterns.chain((pattern) => fc.record({ pattern: fc.constant(pattern), skip: skipsOf(pattern.stages) })),
        arrivals,
        fc.boolean(),
        async ({ pattern: { stages, withinMs }, skip }, rows, isHasty) => {
          const harness = new OperatorHarness(new PatternOperator(planOf(stages, { withinMs, skip })))
          const fed: { time: number; value: Letter }[] = []
          for (const [id, { letter, time, arrivesAt }] of rows.entries()) {
            await harness.push('a', { letter, id }, time)
            fed.push({ time, value: { letter, id } })
            // A row arrives up to 6 behind, so what is 7 behind has arrived.
            if (isHasty) await harness.advance(arrivesAt - 7)
          }
          await harness.advance(Number.POSITIVE_INFINITY)
          // The harness gives sequence numbers as rows arrive.
          const inOrder = fed.sort((a, b) => a.time - b.time || a.value.id - b.value.id)
          const expected = new BruteForce(stages, withinMs, inOrder).find(skip)
          expect(found(harness)).toEqual(expected)
          matches += expected.filter(({ isMatch }) => isMatch).length
          timeouts += expected.filter(({ isMatch }) => !isMatch).length
          expect(harness.counts.get('late') ?? 0).toBe(0)
          if (withinMs !== undefined) expect([harness.cells.size, harness.timerCount]).toEqual([0, 0])
        },
      ),
      { numRuns },
    )
    // The inputs are not such that nothing is ever found.
    expect(matches).toBeGreaterThan(numRuns)
    expect(timeouts).toBeGreaterThan(numRuns / 10)
  })

  const letters = (...names: string[]): StagePlan[] =>
    names.map((name, i) => ({
      name,
      relation: i === 0 ? 'begin' : 'followedBy',
      condition: conditionOf(name, false),
      min: 1,
      max: 1,
      isOptional: false,
      isConsecutive: false,
    }))
  const run = async (plan: PatternOperatorPlan, text: string): Promise<OperatorHarness> => {
    const harness = new OperatorHarness(new PatternOperator(plan))
    for (const [id, letter] of [...text].entries()) {
      await harness.push('a', { letter, id }, id)
      await harness.advance(id)
    }
    return harness
  }
  const ids = (harness: OperatorHarness) =>
    harness.values.map((value) =>
      Object.values(value as Record<string, Letter[]>).map((rows) => rows.map(({ id }) => id)),
    )

  it('keep no more than partialMax partial matches of a key; the oldest goes and is counted', async () => {
    const harness = await run(planOf(letters('x', 'y'), { partialMax: 3 }), 'xxxxxy')
    expect(ids(harness)).toEqual([
      [[2], [5]],
      [[3], [5]],
      [[4], [5]],
    ])
    expect(harness.counts.get('dropped')).toBe(2)
    expect(harness.cells.size).toBe(0)
    const many = await run(planOf(letters('x', 'y'), { partialMax: 3 }), 'x'.repeat(200))
    expect(many.counts.get('dropped')).toBe(197)
    expect(JSON.stringify([...many.cells.values()]).length).toBeLessThan(500)
  })

  it('do not wait for more than waitingMax rows: the earliest is taken before its time, and what comes behind it is late', async () => {
    const harness = new OperatorHarness(new PatternOperator(planOf(letters('x', 'y'), { waitingMax: 40 })))
    for (let id = 0; id < 100; id++) await harness.push('a', { letter: id % 2 ? 'y' : 'x', id }, id * 2)
    expect(harness.counts.get('early')).toBe(60)
    expect(harness.values).toHaveLength(30)
    await harness.push('a', { letter: 'z', id: 100 }, 3)
    expect(harness.emitted.at(-1)).toEqual({ key: 'a', value: { letter: 'z', id: 100 }, time: 3, output: 'late' })
    await harness.advance(1000)
    expect(harness.values).toHaveLength(50)
    expect([harness.cells.size, harness.timerCount]).toEqual([0, 0])
  })

  it('give a late row to the side output, by the watermark of its own source', async () => {
    const harness = new OperatorHarness(new PatternOperator(planOf(letters('x', 'y'))))
    await harness.push('a', { letter: 'x', id: 1 }, 10, 0, 10)
    await harness.push('a', { letter: 'x', id: 2 }, 11, 0, 10)
    await harness.push('a', { letter: 'y', id: 3 }, 12, 0, 10)
    await harness.advance(20)
    expect(ids(harness)).toEqual([[[2], [3]]])
    expect(harness.emitted[0]).toEqual({ key: 'a', value: { letter: 'x', id: 1 }, time: 10, output: 'late' })
    expect(harness.counts.get('late')).toBe(1)
  })

  it('refuse a condition that gives a promise', async () => {
    const stages = letters('x', 'y').map((each) => ({ ...each, condition: async () => false }))
    await expect(run(planOf(stages), 'xy')).rejects.toThrow('A condition of the pattern p gave a promise')
  })
})
