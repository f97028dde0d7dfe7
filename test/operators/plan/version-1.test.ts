import { expect, it } from 'vitest'
import { file, pipeline, stream, table } from '../../../src/index.js'
import { describePlan, planOf } from '../../../src/operators/plan/index.js'
import { type Plan, planMark } from '../../../src/operators/types.js'
import { decodePipeline } from '../../../src/pipelines/rows.js'

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
    .to(table('u', () => ({ id: 2 })))

const run = () => 1

/** The same as an earlier Millrace exported it. */
const old: Plan = {
  version: 1,
  name: 'p',
  source: { kind: 'table', name: 't' },
  steps: [
    { kind: 'filter', run },
    { kind: 'map', run },
    { kind: 'flatMap', run },
    { kind: 'sink', sink: { kind: 'stream', name: 's', run } },
    { kind: 'keyByPartition' },
    { kind: 'count', name: 'n' },
    { kind: 'sum', name: 's', run },
    { kind: 'reduce', name: 'r', run },
    { kind: 'aggregate', name: 'a', initial: run, run },
    { kind: 'sink', sink: { kind: 'table', name: 'u', run } },
    { kind: 'sink', sink: { kind: 'file', path: 'f', run: undefined } },
    { kind: 'sink', sink: { kind: 'table', name: 'u', run } },
  ],
}

it('a module that an earlier Millrace bundled exports the graph that it would export today', () => {
  expect(describePlan(planOf({ [planMark]: old }))).toEqual(describePlan(planOf(linear())))
})

it('a pipeline that an earlier Millrace stored has the nodes of its module, and its state where it was', () => {
  const steps = old.steps.map((step) => {
    if (step.kind !== 'sink') return 'name' in step ? { kind: step.kind, name: step.name } : { kind: step.kind }
    const { sink } = step
    return { kind: 'sink', sink: { kind: sink.kind, target: sink.kind === 'file' ? sink.path : sink.name } }
  })
  const { name, source } = old
  const stored = { id: 3, plan: { name, source, steps }, module: 'ab', stream: 7, createdAt: 1, state: 'running' }
  const row = decodePipeline(Buffer.concat([Buffer.from([1]), Buffer.from(JSON.stringify(stored))]))
  const known = (node: { kind: string; inputs: readonly number[]; name?: string }) => [
    node.kind,
    node.inputs,
    node.name,
  ]
  expect(row.plan.nodes.map(known)).toEqual(describePlan(planOf(linear())).nodes.map(known))
  expect(row).toMatchObject({
    id: 3,
    sources: [{ node: 0, group: 'pipeline:p', stream: 7 }],
    states: { n: 5, s: 6, r: 7, a: 8 },
    files: { 'file:f': 10 },
  })
})
