import { describe, expect, it } from 'vitest'
import { file, pipeline, stream, table } from '../../../src/index.js'
import { describePlan as describe1, describedFromVersion1, planOf as planOf1 } from '../../../src/operators/index.js'
import { describePlan, planOf } from '../../../src/operators/plan/index.js'
import { type Plan, planMark } from '../../../src/operators/types.js'

const linear = () =>
  pipeline('p')
    .from(table('t'))
    .filter(() => true)
    .map((change) => change.type)
    .flatMap((type) => [type])
    .to(stream('s', (type) => ({ key: type, value: 1 })))
    .keyByPartition()
    .count('n')
    .sum('s', (n) => n)
    .reduce('r', (a) => a)
    .aggregate(
      'a',
      () => 0,
      (state) => state,
    )
    .to(table('u', () => ({ id: 1 })))
    .to(file('f'))

describe('a plan of version 1', () => {
  it('comes of a line of its steps, and goes back to the same graph', () => {
    const old = planOf1(linear())
    expect(old.steps.map(({ kind }) => kind)).toEqual([
      'filter',
      'map',
      'flatMap',
      'sink',
      'keyByPartition',
      'count',
      'sum',
      'reduce',
      'aggregate',
      'sink',
      'sink',
    ])
    const stored: { [planMark]: Plan } = { [planMark]: old }
    expect(describePlan(planOf(stored))).toEqual(describePlan(planOf(linear())))
    // What an earlier deploy stored of it is described as the same graph, too.
    expect(describedFromVersion1(describe1(old))).toEqual(describePlan(planOf(linear())))
    expect(planOf1(stored)).toBe(old)
  })

  it.each<[string, object, string]>([
    [
      'two branches',
      pipeline('p')
        .from(stream('s'))
        .branch(() => true)
        .map((flow) => flow.to(file('f'))),
      'Step 1 of p (branch) is not run yet.',
    ],
    [
      'a key of its own',
      pipeline('p')
        .from(stream('s'))
        .keyBy((record) => record.key)
        .count('n')
        .to(file('f')),
      'Step 1 of p (keyBy) is not run yet.',
    ],
    [
      'a time to live',
      pipeline('p').from(stream('s')).keyByPartition().count('n', { ttl: '1h' }).to(file('f')),
      'Step 2 of p (count) is not run yet.',
    ],
  ])('does not come of %s', (_what, flow, says) => {
    expect(() => planOf1(flow)).toThrow(says)
  })
})
