import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KeyedOperator } from '../../../src/operators/task/keyed-operator.js'
import type { MemoryPipeline } from '../../../src/testing/memory-pipeline.js'
import { type Event, type History, histories, pushed } from './histories.js'
import { linesOf, PlanBuilder, pipelineOf, push } from './plans.js'

// Records that fail at any step, some for a while, over crashes, splits and merges, in careful runs, in ones that lead aside
// what waits, and with what waits tried again in between. At last nothing fails any more, and all must have come out.
const runs = process.env.MILLRACE_LONG ? 20_000 : 60

interface Counted {
  readonly key: string
  readonly value: number
  readonly sequence: number
}

const stepsThatFail = ['map', 'keyBy', 'count', 'timer', 'flatMap', 'branch', 'sink', 'nothing'] as const
type FailingStep = (typeof stepsThatFail)[number]

/** What fails at the moment: values of a step. */
interface Fault {
  step: FailingStep
  value: number
}

const faults = fc.array(fc.record({ step: fc.constantFrom(...stepsThatFail), value: fc.integer({ min: 0, max: 9 }) }), {
  minLength: 1,
  maxLength: 12,
})

/** Counts, changes its state in place before it fails, and gives each row on twice: at once, and by a timer. */
function counting(fail: (step: FailingStep, value: number) => void): KeyedOperator {
  return {
    cellsOf: () => [undefined, 'late'],
    cellsOfTimer: () => [undefined, 'late'],
    onRow(row, _input, context) {
      const { value, key, sequence } = row.value as Counted
      const state = (context.get() as { seen: number[] } | undefined) ?? { seen: [] }
      state.seen.push(sequence)
      context.put(state)
      context.setTimer(row.time, `${sequence}`)
      context.emit({ kind: 'row', key, value, sequence, place: state.seen.length })
      const late = (context.get('late') as Map<string, Counted> | undefined) ?? new Map()
      late.set(`${sequence}`, { key, value, sequence })
      context.put(late, 'late')
      fail('count', value)
    },
    onTimer(timer, context) {
      const late = context.get('late') as Map<string, Counted>
      const { key, value, sequence } = late.get(timer.tag as string) as Counted
      late.delete(timer.tag as string)
      context.put(late.size === 0 ? undefined : late, 'late')
      context.emit({ kind: 'timer', key, value, sequence, place: 0 })
      fail('timer', value)
    },
  }
}

function planOf(isInPlace: boolean, fail: (step: FailingStep, value: number) => void) {
  const builder = new PlanBuilder()
  const source = builder.source()
  const mapped = builder.step('map', source, (record: never) => {
    const { key, sequence, value } = record as { key: string; sequence: number; value: { value: number } }
    fail('map', value.value)
    return { key, sequence, value: value.value }
  })
  const timed = builder.eventTime(mapped, (row: never) => (row as Counted).sequence)
  const keyed = isInPlace
    ? builder.keyByPartition(timed)
    : builder.step('keyBy', timed, (row: never) => {
        fail('keyBy', (row as Counted).value)
        return (row as Counted).value
      })
  const counted = builder.keyed('count', [keyed], () => counting(fail))
  const flat = builder.step('flatMap', counted, function* (row: never) {
    yield row
    fail('flatMap', (row as Counted).value)
  })
  const branch = builder.branch(flat, (row: never) => {
    fail('branch', (row as Counted).value)
    return true
  })
  const sink = builder.sink(
    builder.step('map', builder.output(branch, '0'), (row: never) => {
      fail('sink', (row as Counted).value)
      return row
    }),
  )
  return { builder, source, sink }
}

type Kind = 'careful' | 'aside' | 'retry'
const parkingOf = (kind: Kind) => ({ isCareful: kind !== 'aside', attemptsMax: 2, isRetrying: kind === 'retry' })

/** Does something; where it fails, as it may in a run that is not careful, a careful one takes its place. */
async function guarded(pipeline: MemoryPipeline, run: () => Promise<unknown>): Promise<void> {
  try {
    await run()
  } catch {
    await pipeline.crash(parkingOf('careful'))
  }
}

async function play(history: History, list: readonly Fault[], isInPlace: boolean) {
  let fault: Fault = list[0] as Fault
  let failures = 0
  const fail = (step: FailingStep, value: number): void => {
    if (fault.step !== step || fault.value !== value) return
    failures++
    throw new Error(`${step} of ${value}`)
  }
  const { builder, source, sink } = planOf(isInPlace, fail)
  const { seed, shards, tasks, firedBytes, firesAlone } = history
  const firing = { bytesMax: firedBytes, isAlone: firesAlone }
  const bounds = { stateBytesMax: () => history.stateBytes, timersMax: 4, messageRowsMax: 3, firing }
  const pipeline = pipelineOf(builder.plan, { seed, shards, tasks, bounds, parking: parkingOf('aside') })
  await pipeline.open()
  let crashes = 0
  for (const event of history.events as Event[]) {
    if (event.kind === 'push') push(pipeline, source, `k${event.key % 5}`, event)
    else if (event.kind === 'steps') await guarded(pipeline, () => pipeline.steps(event.steps))
    else if (event.kind === 'barrier') pipeline.wantBarrier()
    else if (event.kind === 'split') pipeline.split(source)
    else if (event.kind === 'merge') pipeline.merge(source)
    else if (event.kind === 'time') pipeline.advance(700)
    else {
      fault = list[++crashes % list.length] as Fault
      await guarded(pipeline, () =>
        pipeline.crash(parkingOf((['retry', 'aside', 'careful'] as const)[crashes % 3] as Kind)),
      )
    }
  }
  await guarded(pipeline, () => pipeline.commitAll())
  fault = { step: 'nothing', value: -1 }
  const waited = pipeline.store.parked.size
  for (let i = 0; i < 3 || pipeline.store.parked.size > 0; i++) {
    await pipeline.crash(parkingOf('retry'))
    await pipeline.end()
    await pipeline.commitAll()
  }
  const lines = linesOf(pipeline, sink).map(([, line]) => line as Counted & { kind: string; place: number })
  return { lines, failures, waited }
}

/** A timer that was parked before two shards were merged, and is tried again before anything else in the task of their child. */
const timerBehindMerge: [History, Fault[]] = [
  {
    seed: 0,
    events: [
      { kind: 'push', key: 0, value: 5, source: 0, time: 0 },
      { kind: 'push', key: 0, value: 0, source: 0, time: 0 },
      { kind: 'steps', steps: 2 },
      { kind: 'merge' },
    ],
    shards: 2,
    tasks: 1,
    stateBytes: 0,
    firedBytes: Number.POSITIVE_INFINITY,
    firesAlone: false,
  },
  [
    { step: 'timer', value: 5 },
    { step: 'map', value: 0 },
  ],
]

/** A timer that waits for the next commit fires before what is parked of its key is tried again, and waits behind that. */
const timerBeforeRetry: [History, Fault[]] = [
  {
    seed: 0,
    events: [
      { kind: 'crash' },
      { kind: 'push', key: 6, value: 2, source: 0, time: 0 },
      { kind: 'push', key: 6, value: 0, source: 0, time: 0 },
      { kind: 'steps', steps: 1 },
      { kind: 'steps', steps: 1 },
      { kind: 'push', key: 0, value: 0, source: 0, time: 0 },
      { kind: 'steps', steps: 6 },
      { kind: 'crash' },
      { kind: 'crash' },
      { kind: 'push', key: 6, value: 0, source: 0, time: 0 },
    ],
    shards: 1,
    tasks: 1,
    stateBytes: 0,
    firedBytes: 1,
    firesAlone: false,
  },
  [{ step: 'timer', value: 2 }],
]

describe('whatever fails', () => {
  it.each([
    ['behind a keyBy', false],
    ['in place', true],
  ])('every row counts once and in order, %s', async (_, isInPlace) => {
    let seen = 0
    await fc.assert(
      fc.asyncProperty(histories, faults, async (history, list) => {
        const { lines, failures } = await play(history, list, isInPlace)
        seen += failures
        const expected = pushed(history).map(({ key, value }) => `k${key % 5} ${value}`)
        for (const kind of ['row', 'timer']) {
          const of = lines.filter((line) => line.kind === kind)
          expect(of.map(({ key, value }) => `${key} ${value}`).sort()).toEqual([...expected].sort())
          expect(new Set(of.map(({ sequence }) => sequence)).size).toBe(of.length)
        }
        const last = new Map<string, number>()
        const places = new Map<string, number>()
        for (const { kind, key, value, sequence, place } of lines) {
          if (kind === 'timer') continue
          // Per partition key up to the keyBy, and per key behind it.
          const name = `${key} ${value}`
          expect(sequence).toBeGreaterThan(last.get(name) ?? -1)
          last.set(name, sequence)
          const owner = isInPlace ? key : String(value)
          expect(place).toBe((places.get(owner) ?? 0) + 1)
          places.set(owner, place)
        }
      }),
      { numRuns: runs, examples: [timerBehindMerge, timerBeforeRetry] },
    )
    expect(seen).toBeGreaterThan(runs)
  })
})
