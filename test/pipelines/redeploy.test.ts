import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ShardId, StreamId } from '../../src/log/index.js'
import type { NodeDescription, PlanDescription } from '../../src/operators/index.js'
import { redeployedRow, timesOf } from '../../src/pipelines/redeploy.js'
import type { PipelineRow } from '../../src/pipelines/rows.js'
import { decodeTimes, timeKey } from '../../src/pipelines/time-rows.js'

const count = (name: string, input: number): NodeDescription => ({
  kind: 'keyed',
  inputs: [input],
  operator: 'count',
  name,
  sides: [],
  state: { version: 1, canMigrate: false },
})
const source: NodeDescription = { kind: 'source', inputs: [], source: { kind: 'stream', name: 's' } }
const fileSink = (name: string, target: string): NodeDescription => ({
  kind: 'sink',
  inputs: [0],
  name,
  sink: { kind: 'file', target },
})
const plan = (nodes: readonly NodeDescription[]): PlanDescription => ({ version: 2, name: 'p', nodes })
const group = (node: number) => ({ node, group: 'pipeline:p', stream: 1 as StreamId })
const rowOf = (description: PlanDescription, numbers: Partial<PipelineRow> = {}): PipelineRow => ({
  id: 7,
  plan: description,
  module: 'a',
  sources: [group(0)],
  states: {},
  files: {},
  createdAt: 1,
  state: 'running',
  ...numbers,
})

describe('the row of a newer version', () => {
  it('keeps the numbers of names that stay, and gives none that a name had whose rows are still there', () => {
    const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'))
    fc.assert(
      fc.property(fc.array(fc.record({ names, isRemoved: fc.boolean() }), { maxLength: 12 }), (versions) => {
        let row = rowOf(plan([source]))
        // Numbers whose rows are there, by the name that they are of.
        const stored = new Map<number, string>()
        for (const version of versions) {
          const before = row
          const nodes = [
            source,
            { kind: 'keyBy', inputs: [0] } as NodeDescription,
            ...version.names.map((name) => count(name, 1)),
          ]
          row = redeployedRow(row, plan(nodes), 'b', [group(0)])
          for (const [name, number] of Object.entries(row.states)) {
            if (Object.hasOwn(before.states, name)) expect(number).toBe(before.states[name])
            else expect(stored.has(number)).toBe(false)
            stored.set(number, name)
          }
          const kept = new Set(Object.values(row.states))
          expect([...(row.dropped?.states ?? [])].sort()).toEqual(
            [...stored.keys()].filter((each) => !kept.has(each)).sort(),
          )
          if (!version.isRemoved) continue
          for (const number of row.dropped?.states ?? []) stored.delete(number)
          const { dropped: _, ...rest } = row
          row = rest
        }
      }),
    )
  })

  it('goes on with a file under its number, whatever its sink is called; another file has another', () => {
    const older = rowOf(plan([source, fileSink('x', 'x.log'), fileSink('y', 'y.log')]), { files: { x: 0, y: 1 } })
    const newer = plan([source, fileSink('again', 'y.log'), fileSink('x', 'z.log')])
    expect(redeployedRow(older, newer, 'b', [group(0)]).files).toEqual({ again: 1, x: 2 })
  })

  it('stays paused, and forgets a failure', () => {
    const of = (state: PipelineRow['state']) =>
      redeployedRow(
        rowOf(plan([source]), { state, failure: { code: 'x', message: 'x', at: 1 } }),
        plan([source]),
        'b',
        [group(0)],
      )
    expect(of('paused')).toMatchObject({ state: 'paused', revision: 2 })
    expect(of('failed').state).toBe('running')
    expect(of('failed').failure).toBeUndefined()
  })
})

describe('event time of a newer version', () => {
  it('is told in its own numbers of steps and stages', () => {
    const eventTime: NodeDescription = { kind: 'eventTime', inputs: [0], outOfOrderMs: 0, idleMs: 1 }
    const older = rowOf(plan([source, eventTime, { kind: 'keyBy', inputs: [1] }, count('a', 2)]), { states: { a: 0 } })
    const newerPlan = plan([
      source,
      { kind: 'filter', inputs: [0] },
      { ...eventTime, inputs: [1] },
      { kind: 'peek', inputs: [2] },
      { kind: 'keyBy', inputs: [3] },
      count('new', 4),
      count('a', 5),
    ])
    const newer = redeployedRow(older, newerPlan, 'b', [group(0)])
    const at = (node: number, watermark: number) => ({ node, watermark, isIdle: false })
    const shard = { kind: 'shard', root: 0, shard: 5 as ShardId } as const
    const rows = timesOf(older, newer, {
      now: 3,
      times: [
        { owner: shard, watermarks: [at(0, 10), at(1, 20)] },
        { owner: { kind: 'stage', stage: 1 }, watermarks: [at(2, 15), at(3, 15)] },
      ],
    })
    const puts = rows.filter(({ value }) => value !== undefined)
    expect(rows).toHaveLength(2)
    expect(
      decodeTimes(
        puts.map(({ key }) => key as Buffer),
        puts.map(({ value }) => value as Buffer),
      ).times,
    ).toEqual([
      { owner: shard, watermarks: [at(0, 10), at(2, 20)] },
      { owner: { kind: 'stage', stage: 1 }, watermarks: [at(4, 15), at(6, 15)] },
    ])
  })

  it('goes with a source that is read no more', () => {
    const older = rowOf(plan([source]))
    const other: NodeDescription = { kind: 'source', inputs: [], source: { kind: 'stream', name: 't' } }
    const newer = redeployedRow(older, plan([other]), 'b', [{ node: 0, group: 'pipeline:p:t', stream: 2 as StreamId }])
    expect(newer.dropped).toEqual({ states: [], groups: ['pipeline:p'] })
    const owner = { kind: 'shard', root: 0, shard: 5 as ShardId } as const
    const times = [{ owner, watermarks: [{ node: 0, watermark: 10, isIdle: false }] }]
    expect(timesOf(older, newer, { now: 0, times })).toEqual([{ key: timeKey(7, owner), value: undefined }])
  })
})
