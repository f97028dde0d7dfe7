import { describe, expect, it } from 'vitest'
import { pattern, pipeline, stream } from '../../../src/index.js'
import { planOf } from '../../../src/operators/plan/index.js'
import type { NodeId, PipelinePlan } from '../../../src/operators/plan/nodes.js'
import type { MemoryLog } from '../../../src/testing/memory-log.js'
import { BruteForce } from '../patterns/brute-force.js'
import { check, end, type History, live, type Pushed } from '../task/histories.js'
import { linesOf } from '../task/plans.js'
import { sorted } from './two-sources.js'

const outOfOrder = 10

/** Rows of a source that are not late, with their sequence numbers: by what each shard holds, in its order, and nothing else. */
function accepted(log: MemoryLog, root: NodeId): (Pushed & { sequence: number })[] {
  const rows: (Pushed & { sequence: number })[] = []
  const ends = new Map<number, number>()
  for (const shard of log.shards) {
    if (shard.root !== root) continue
    let watermark = Math.min(...shard.parents.map((parent) => ends.get(parent) as number))
    if (shard.parents.length === 0) watermark = Number.NEGATIVE_INFINITY
    for (const { record, sequence } of shard.records) {
      const row = JSON.parse(record.body.toString()) as Pushed
      if (row.time > watermark) rows.push({ ...row, sequence })
      watermark = Math.max(watermark, row.time - outOfOrder - 1)
    }
    ends.set(shard.id, watermark)
  }
  return rows
}

const nodesOf = (plan: PipelinePlan, kind: 'source' | 'sink'): NodeId[] =>
  plan.nodes.flatMap((node, id) => (node.kind === kind ? [id] : []))

const withoutTime = (history: History): History => ({
  ...history,
  events: history.events.filter(({ kind }) => kind !== 'time'),
})

const file = { sink: { kind: 'file', path: 'f', run: (value: unknown, key: unknown) => [key, value] } } as never

const read = (name: string) =>
  pipeline('p')
    .from(stream<Pushed>(name))
    .eventTime((record) => record.value.time, { outOfOrder })
    .map(({ value, sequence }) => ({ ...value, sequence }))
    .keyBy((row) => row.value % 4)

describe('in a whole pipeline, over crashes, splits and merges', () => {
  it('a join gives every pair once, and every row without a partner', () =>
    check(async (given) => {
      const joined = read('left').join('pairs', read('right'), { within: 15, type: 'outer' }, (left, right) => [
        left?.sequence ?? null,
        right?.sequence ?? null,
      ])
      const plan = planOf(joined.to(file))
      const [left, right] = nodesOf(plan, 'source') as [NodeId, NodeId]
      const memory = await live(plan, [left, right], withoutTime(given))
      await end(memory)
      const [lefts, rights] = [accepted(memory.log, left), accepted(memory.log, right)]
      const isPair = (l: Pushed, r: Pushed) => l.value % 4 === r.value % 4 && Math.abs(l.time - r.time) <= 15
      const expected = [
        ...lefts.flatMap((l) => {
          const partners = rights.filter((r) => isPair(l, r))
          return (partners.length > 0 ? partners : [undefined]).map((r) => [
            l.value % 4,
            [l.sequence, r?.sequence ?? null],
          ])
        }),
        ...rights.filter((r) => !lefts.some((l) => isPair(l, r))).map((r) => [r.value % 4, [null, r.sequence]]),
      ]
      const [sink] = nodesOf(plan, 'sink') as [NodeId]
      expect(sorted(linesOf(memory, sink))).toEqual(sorted(expected))
      expect([memory.store.cells.size, memory.store.timers.size]).toEqual([0, 0])
    }))

  it('a pattern is found as its definition says', () =>
    check(async (given) => {
      type Seen = Pushed & { sequence: number }
      const wanted = pattern<Seen>()
        .begin('low', (row) => row.key < 12)
        .followedByAny('high', (row, { low }) => row.key > (low[0]?.key ?? 0) + 5)
        .notFollowedBy('top', (row) => row.key > 25)
        .within(12)
      const found = read('rows').pattern('found', wanted)
      const ends = [found.to(file), found.side('timedOut').to(file)]
      const plan = planOf(ends)
      const [source] = nodesOf(plan, 'source') as [NodeId]
      const memory = await live(plan, [source], withoutTime(given))
      await end(memory)
      const rows = accepted(memory.log, source).sort((a, b) => a.time - b.time || a.sequence - b.sequence)
      const expected = [0, 1, 2, 3].flatMap((key) => {
        const own = rows.filter(({ value }) => value % 4 === key).map((value) => ({ time: value.time, value }))
        return new BruteForce(wanted.stages, wanted.withinMs, own).find('none').map((each) => ({ key, ...each }))
      })
      const [matches, timedOut] = nodesOf(plan, 'sink') as [NodeId, NodeId]
      for (const [sink, isMatch] of [
        [matches, true],
        [timedOut, false],
      ] as const) {
        const wantedLines = expected.filter((each) => each.isMatch === isMatch).map(({ key, rows }) => [key, rows])
        const lines = linesOf(memory, sink)
        expect(sorted(lines)).toEqual(sorted(wantedLines))
        // Of one key they come in their order.
        for (const key of [0, 1, 2, 3])
          expect(lines.filter(([own]) => own === key)).toEqual(wantedLines.filter(([own]) => own === key))
      }
      expect([memory.store.cells.size, memory.store.timers.size]).toEqual([0, 0])
    }))
})
