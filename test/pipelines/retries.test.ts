import { describe, expect, it } from 'vitest'
import { Family } from '../../src/commit/index.js'
import { stagesOf } from '../../src/operators/task/index.js'
import { ParkedControl } from '../../src/pipelines/parked-control.js'
import { ParkedIndex } from '../../src/pipelines/parked-index.js'
import { ParkedRows } from '../../src/pipelines/parked-list.js'
import { Retries } from '../../src/pipelines/retries.js'
import { numbered, type PipelineRow } from '../../src/pipelines/rows.js'
import { type CarefulRun, RunParking } from '../../src/pipelines/run-parking.js'
import { parkedKey, parkedValue } from '../../src/workers/rows/parked-rows.js'
import { RowBuffer } from '../../src/workers/rows/row-buffer.js'
import { PlanBuilder } from '../operators/task/plans.js'
import { failedRow } from './parked-value.js'

const halves = {
  lower: { low: { hi: 0, lo: 0 }, high: { hi: 2 ** 31 - 1, lo: 2 ** 32 - 1 } },
  upper: { low: { hi: 2 ** 31, lo: 0 }, high: { hi: 2 ** 32 - 1, lo: 2 ** 32 - 1 } },
}

/** A plan whose map has rows of two keys parked, one in each half of the keys, all of one size. */
function parked(rowsOfKey: number) {
  const plan = new PlanBuilder()
  plan.sink(plan.step('map', plan.source(), () => 0))
  const stages = stagesOf(plan.nodes)
  const row = { id: 1, plan: { ...plan.plan, nodes: plan.nodes }, steps: { '0-map': 0 } } as unknown as PipelineRow
  const index = new ParkedIndex({ parkedMax: 1000, parkedBytesMax: 1 << 20 })
  const stored = new Map<string, Buffer>()
  const keyOf = (key: string, hashHi: number, number: number) =>
    parkedKey(numbered(Family.parked, 1), { step: 0, hashHi, hashLo: 0, key: Buffer.from(key), number })
  const value = parkedValue(failedRow)
  for (const [key, hashHi] of [['low', 1] as const, ['top', 2 ** 31] as const])
    for (let number = 0; number < rowsOfKey; number++) {
      const name = keyOf(key, hashHi, number)
      stored.set(name.toString('hex'), value)
      index.take(name, value)
    }
  const storage = { get: async (key: Buffer) => stored.get(key.toString('hex')) }
  const rows = new ParkedRows(storage as never, row, [], index)
  let reached = 0
  const retries = new Retries()
  const run = (careful: CarefulRun | undefined) =>
    new RunParking({
      row,
      stages,
      index,
      careful,
      attemptsMax: 2,
      awaitMsMax: 1000,
      later: retries,
      onReached: () => {
        reached++
      },
    })
  const careful = async (bytesMax: number): Promise<CarefulRun> => ({
    until: -1,
    poison: [],
    recordsMax: undefined,
    retries: await retries.next(rows, bytesMax * 4),
  })
  const rowBytes = index.bytes / index.count
  /** What a task of keys gives the rows that a run gives it: the numbers of those, by key. */
  const given = (parking: RunParking, half: keyof typeof halves) =>
    (parking.ofTask(0, halves[half])?.retries ?? []).map(({ key, rows: its }) => [
      Buffer.from(key).toString(),
      its.map(({ number }) => number),
    ])
  const through = (key: string, hashHi: number, number: number) => index.take(keyOf(key, hashHi, number), undefined)
  /** A commit in which a row was parked behind those of its key: since it waits for them, or by a failure of its own. */
  const joined = (parking: RunParking, key: string, hashHi: number, number: number, value: Buffer) => {
    const name = keyOf(key, hashHi, number)
    stored.set(name.toString('hex'), value)
    const parked = new RowBuffer()
    parked.add(name, value)
    parking.committed([{ result: { parked: parked.take() } } as never])
  }
  const waiting = parkedValue({ ...failedRow, attempts: 0 })
  return {
    index,
    rows,
    row,
    retries,
    run,
    careful,
    given,
    through,
    joined,
    waiting,
    failed: value,
    rowBytes,
    reached: () => reached,
  }
}

describe('what is tried again', () => {
  it('goes on in the next run where it was too much for one, but for what failed again', async () => {
    const { rows, retries, run, careful, given, through, rowBytes } = parked(3)
    retries.add(rows.choose({}).names)
    const first = run(await careful(rowBytes * 2))
    expect(given(first, 'lower')).toEqual([['low', [0, 1]]])
    expect(given(first, 'upper')).toEqual([])
    through('low', 1, 0)
    through('low', 1, 1)
    retries.tried(first.takeTried())
    const second = run(await careful(rowBytes * 3))
    expect(given(second, 'lower')).toEqual([['low', [2]]])
    expect(given(second, 'upper')).toEqual([['top', [0, 1]]])
    through('low', 1, 2)
    // The first of the other key failed again.
    retries.tried(second.takeTried())
    expect(await retries.next(rows, rowBytes * 100)).toEqual([])
  })

  it('goes on with what a timer added behind it when the run began, but not behind a failure', async () => {
    const { rows, retries, run, careful, given, through, joined, waiting, failed, rowBytes } = parked(1)
    retries.add(rows.choose({}).names)
    const first = run(await careful(rowBytes * 100))
    expect(given(first, 'lower')).toEqual([['low', [0]]])
    expect(given(first, 'upper')).toEqual([['top', [0]]])
    through('low', 1, 0)
    through('top', 2 ** 31, 0)
    joined(first, 'low', 1, 1, waiting)
    joined(first, 'top', 2 ** 31, 1, failed)
    retries.tried(first.takeTried())
    const second = run(await careful(rowBytes * 100))
    expect(given(second, 'lower')).toEqual([['low', [1]]])
    expect(given(second, 'upper')).toEqual([])
    through('low', 1, 1)
    retries.tried(second.takeTried())
    expect(await retries.next(rows, rowBytes * 100)).toEqual([])
  })

  it('is not forgotten while no task has its key, and is asked for when one comes', async () => {
    const { rows, retries, run, careful, given, through, rowBytes, reached } = parked(1)
    retries.add(rows.choose({}).names)
    const first = run(await careful(rowBytes * 100))
    expect(given(first, 'lower')).toEqual([['low', [0]]])
    through('low', 1, 0)
    retries.tried(first.takeTried())
    retries.leave(first.untried)
    // No run after the other is for it alone while there is nobody to try it.
    expect(await retries.next(rows, rowBytes * 100)).toEqual([])
    const ordinary = run(undefined)
    expect(given(ordinary, 'lower')).toEqual([])
    expect(reached()).toBe(0)
    expect(given(ordinary, 'upper')).toEqual([])
    expect(reached()).toBe(1)
    const last = run(await careful(rowBytes * 100))
    expect(given(last, 'upper')).toEqual([['top', [0]]])
  })

  it('is tried though a commit that was under way when it was asked for has the end of an attempt before', async () => {
    const { index, rows, row, retries, rowBytes } = parked(1)
    const { names } = rows.choose({})
    retries.add(names)
    const control = new ParkedControl(
      {
        pipeline: { row, state: 'running', sources: [] } as never,
        retries,
        hasRun: () => true,
        alone: (run) => run(),
        restart: async (change) => {
          // The run that is ended for it: its last commit.
          retries.tried([...names])
          await change()
        },
      },
      { storage: {}, limits: { parkedMax: 1000, parkedBytesMax: 1 << 20 } } as never,
    )
    control.index = index
    expect(await control.retry({})).toBe(2)
    expect(await retries.next(rows, rowBytes * 100)).toHaveLength(2)
  })
})
