import { describe, expect, it } from 'vitest'
import { stagesOf } from '../../../src/operators/task/index.js'
import { counting, PlanBuilder } from './plans.js'

const cut = (builder: PlanBuilder) =>
  stagesOf(builder.nodes).stages.map(({ kind, nodes, exits, ...rest }) => ({
    kind,
    nodes,
    exits,
    from: 'root' in rest ? rest.root : rest.entries,
  }))

describe('the stages of a plan', () => {
  it('end at a keyBy, which runs before and leads behind', () => {
    const plan = new PlanBuilder()
    const source = plan.source()
    const keyed = plan.step('keyBy', source, () => 1)
    const count = plan.keyed('count', [keyed], counting)
    const again = plan.step('keyBy', count, () => 2)
    const sink = plan.sink(again)
    expect(cut(plan)).toEqual([
      { kind: 'source', nodes: [source, keyed], exits: [keyed], from: source },
      { kind: 'keyed', nodes: [count, again], exits: [again], from: [keyed] },
      { kind: 'keyed', nodes: [sink], exits: [], from: [again] },
    ])
  })

  it('do not end at the partition key of one source', () => {
    const plan = new PlanBuilder()
    const source = plan.source()
    const mapped = plan.step('map', source, (value) => value)
    const left = plan.keyByPartition(mapped)
    const right = plan.keyByPartition(source)
    const join = plan.keyed('join', [left, right], counting)
    const stages = stagesOf(plan.nodes)
    expect(stages.stages).toEqual([
      { kind: 'source', id: 0, root: source, nodes: [source, mapped, left, right, join], exits: [] },
    ])
    expect([left, right].map(stages.isSent)).toEqual([false, false])
  })

  it('end at partition keys that meet those of another source, or other keys', () => {
    const plan = new PlanBuilder()
    const a = plan.source('a')
    const b = plan.source('b')
    const left = plan.keyByPartition(a)
    const right = plan.keyByPartition(b)
    const join = plan.keyed('join', [left, right], counting)
    const alone = plan.keyByPartition(plan.merge(a, b))
    const count = plan.keyed('count', [alone], counting)
    expect(cut(plan)).toEqual([
      { kind: 'source', nodes: [a, 5, left, alone], exits: [left, alone], from: a },
      { kind: 'source', nodes: [b, 5, right, alone], exits: [right, alone], from: b },
      { kind: 'keyed', nodes: [join], exits: [], from: [left, right] },
      { kind: 'keyed', nodes: [count], exits: [], from: [alone] },
    ])
  })

  it('send rows of a key to where they meet rows that were keyed once more', () => {
    const plan = new PlanBuilder()
    const source = plan.source()
    const keyed = plan.step('keyBy', source, () => 1)
    const count = plan.keyed('count', [keyed], counting)
    const again = plan.step('keyBy', count, () => 1)
    const join = plan.keyed('join', [again, keyed], counting)
    const other = plan.keyed('other', [again, keyed], counting)
    const stages = stagesOf(plan.nodes)
    const sent = plan.nodes.length
    expect(cut(plan)).toEqual([
      { kind: 'source', nodes: [source, keyed], exits: [keyed], from: source },
      { kind: 'keyed', nodes: [count, again, sent], exits: [again, sent], from: [keyed] },
      { kind: 'keyed', nodes: [join, other], exits: [], from: [again, sent] },
    ])
    expect(stages.nodes).toHaveLength(sent + 1)
    expect(stages.stageOfExit.get(sent)).toBe(2)
  })

  it('begin anew behind a through', () => {
    const plan = new PlanBuilder()
    const source = plan.source()
    const through = plan.through(source, 't', () => ({ key: 'k', value: 1 }))
    const sink = plan.sink(through)
    expect(cut(plan)).toEqual([
      { kind: 'source', nodes: [source, through], exits: [], from: source },
      { kind: 'source', nodes: [sink], exits: [], from: through },
    ])
  })

  it('refuse state without keys, and keyed values that meet others', () => {
    const bare = new PlanBuilder()
    bare.keyed('count', [bare.source()], counting)
    expect(() => stagesOf(bare.nodes)).toThrow('keeps state per key, but its values have none')
    const mixed = new PlanBuilder()
    const source = mixed.source()
    mixed.merge(
      source,
      mixed.step('keyBy', source, () => 1),
    )
    expect(() => stagesOf(mixed.nodes)).toThrow('takes values with a key and values without one')
  })
})
