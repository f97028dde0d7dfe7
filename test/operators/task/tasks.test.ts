import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type CellKey,
  type ChannelMessage,
  openKeyedTask,
  openSourceTask,
  type Poison,
  packState,
  type Row,
  type StageBarrier,
  type StageTaskOptions,
  StepError,
  stagesOf,
  type TaskHost,
  unpackState,
} from '../../../src/operators/task/index.js'
import { decodeKey } from '../../../src/operators/task/key-codec.js'
import { streamRecord } from '../../../src/testing/entries.js'
import { chunkOf } from '../../../src/testing/memory-log.js'
import { counting, PlanBuilder, summing } from './plans.js'

interface Sent {
  readonly exit: number
  readonly task: number
  readonly message: ChannelMessage
}

/** A host that remembers what it was given. */
function hostOf(sent: Sent[], passed: [number, StageBarrier][], own: Partial<TaskHost> = {}): TaskHost {
  return {
    fetchCells: async (cells) => cells.map(() => undefined),
    fetchTimers: async () => ({ timers: [], next: undefined }),
    send: (exit, task, message) => {
      sent.push({ exit, task, message })
      return undefined
    },
    taken: () => {},
    passed: (number, result) => passed.push([number, result]),
    mark: () => {},
    pause: () => {},
    align: () => undefined,
    turn: () => undefined,
    now: () => 0,
    setTimeout: () => ({ cancel: () => {} }),
    pack: packState,
    unpack: unpackState,
    ...own,
  }
}

function optionsOf(builder: PlanBuilder, stage: number, host: TaskHost, tasks = 1): StageTaskOptions {
  return {
    plan: builder.plan,
    stages: stagesOf(builder.nodes),
    stage,
    task: 0,
    tasksOf: () => tasks,
    hashKeyName: undefined,
    sinkKeys: {},
    isNew: true,
    bounds: { stateBytesMax: () => 1 << 20, timersMax: 100, messageRowsMax: 2 },
    host,
  }
}

const chunk = (...values: readonly unknown[]): Buffer =>
  chunkOf(values.map((value, i) => ({ sequence: i + 1, record: streamRecord(`k${i}`, JSON.stringify(value), 10 * i) })))

const rowsOf = (...values: readonly number[]): ChannelMessage => ({
  kind: 'rows',
  keys: values.map(() => 'all'),
  rows: values.map((value, i) => ({ value, time: 0, stamp: Number.NEGATIVE_INFINITY, sequence: i })),
})

describe('a keyed task', () => {
  const opened = () => {
    const plan = new PlanBuilder()
    const keyed = plan.step('keyBy', plan.source(), () => 'all')
    const sink = plan.sink(plan.keyed('sum', [keyed], () => summing((value) => value as number)))
    const passed: [number, StageBarrier][] = []
    const taken: [number, number][] = []
    const host = hostOf([], passed, { taken: (channel, rows) => taken.push([channel, rows]) })
    const task = openKeyedTask(optionsOf(plan, 1, host))
    for (const channel of [1, 2]) task.open(channel, keyed)
    const lines = () => passed.map(([, result]) => result.outputs.find((output) => output.sink === sink)?.entries)
    return { task, passed, taken, lines }
  }

  it('holds what comes behind a barrier until all channels have brought it', async () => {
    const { task, passed, taken, lines } = opened()
    await task.receive(1, rowsOf(1))
    await task.receive(1, { kind: 'barrier', number: 1 })
    await task.receive(1, rowsOf(10, 20))
    expect(taken).toEqual([[1, 1]])
    await task.receive(2, rowsOf(2))
    expect(passed).toEqual([])
    await task.receive(2, { kind: 'barrier', number: 1 })
    expect(lines()).toEqual([['["all",1]', '["all",3]']])
    expect(taken).toEqual([
      [1, 1],
      [2, 1],
      [1, 2],
    ])
    await task.receive(1, { kind: 'barrier', number: 2 })
    await task.receive(2, { kind: 'barrier', number: 2 })
    expect(lines()[1]).toEqual(['["all",13]', '["all",33]'])
    expect(unpackState(passed[1]?.[1].cells[0]?.cell?.value as Buffer)).toBe(33)
  })

  it('takes rows in their order, also where some of them have to wait for the store', async () => {
    const plan = new PlanBuilder()
    const keyed = plan.step('keyBy', plan.source(), () => 'all')
    const order: unknown[] = []
    plan.keyed('order', [keyed], () => ({
      cellsOf: (row) => (row.value === 2 ? ['cell of 2'] : [undefined]),
      onRow: (row) => {
        order.push(row.value)
      },
    }))
    const asked: (string | number | undefined)[][] = []
    const host = hostOf([], [], {
      fetchCells: async (cells) => {
        asked.push(cells.map(({ name }) => name))
        return cells.map(() => undefined)
      },
    })
    const task = openKeyedTask({ ...optionsOf(plan, 1, host), isNew: false })
    task.open(1, keyed)
    await task.receive(1, rowsOf(1))
    await task.receive(1, rowsOf(2, 3, 2))
    expect(order).toEqual([1, 2, 3, 2])
    expect(asked).toEqual([[undefined], ['cell of 2']])
  })

  it('counts rows and events since they were asked for', async () => {
    const { task } = opened()
    await task.receive(1, rowsOf(1, 2))
    expect(task.counters().rowsIn).toEqual([0, 0, 2, 2])
    expect(task.counters().rowsIn).toEqual([0, 0, 0, 0])
  })
})

describe('a timer that took its thread down', () => {
  /** Ten keys whose timers have one time; gives what was marked while each of them ran, and which were parked. */
  const fired = async (poison: readonly Poison[]) => {
    const plan = new PlanBuilder()
    const keyed = plan.step('keyBy', plan.source(), () => 'all')
    let marked = 0
    const marks = new Map<unknown, number>()
    const node = plan.keyed('timed', [keyed], () => ({
      onRow: (_row, _input, context) => context.setTimer(100),
      onTimer: (_timer, context) => {
        marks.set(context.key, marked)
      },
    }))
    plan.sink(node)
    const passed: [number, StageBarrier][] = []
    const host = hostOf([], passed, {
      mark: (_node, sequence) => {
        marked = sequence
      },
    })
    const parking = { isCareful: true, attemptsMax: 2, awaitMsMax: 1000, keys: [], poison }
    const task = openKeyedTask({ ...optionsOf(plan, 1, host), parking })
    task.open(1, keyed)
    const keys = Array.from({ length: 10 }, (_, i) => `k${i}`)
    const rows = keys.map((value, sequence) => ({ value, time: 0, stamp: Number.NEGATIVE_INFINITY, sequence }))
    await task.receive(1, { kind: 'rows', keys, rows })
    await task.receive(1, { kind: 'watermark', watermark: 200 })
    await task.receive(1, { kind: 'barrier', number: 1 })
    const parked = passed[0]?.[1].parked.map(({ key }) => decodeKey(key as Buffer))
    return { node, keys, marks, parked }
  }

  it('is parked alone, whatever else was due at its time', async () => {
    const { node, keys, marks } = await fired([])
    expect([...marks.keys()]).toEqual(keys)
    const sequence = marks.get('k3') as number
    const error = { code: 'STEP_TIMEOUT', message: 'too long' }
    const after = await fired([{ stage: 1, place: node, sequence, attempts: 2, error }])
    expect(after.parked).toEqual(['k3'])
    expect([...after.marks.keys()]).toEqual(keys.filter((key) => key !== 'k3'))
  })
})

describe('event time of a keyed task', () => {
  /** Two keyBys meet in a step; channels 0 and 1 come by the first, 2 and 3 by the second. What leaves it is keyed again. */
  const opened = () => {
    const plan = new PlanBuilder()
    const source = plan.source()
    const entries = ['a', 'b'].map((name) => plan.step('keyBy', source, () => name))
    const rows: Row[] = []
    const step = plan.keyed('step', entries, () => ({
      onRow: (row) => {
        rows.push(row)
      },
      onTimer: () => {},
    }))
    const exit = plan.step('keyBy', step, () => 'c')
    plan.sink(exit)
    const sent: Sent[] = []
    const passed: [number, StageBarrier][] = []
    const stage = stagesOf(plan.nodes).stages.findIndex(({ nodes }) => nodes.includes(step))
    const task = openKeyedTask(optionsOf(plan, stage, hostOf(sent, passed)))
    for (let channel = 0; channel < 4; channel++) task.open(channel, entries[channel >> 1] as number)
    const times = () => sent.map(({ message }) => (message.kind === 'watermark' ? message.watermark : message.kind))
    return { task, step, rows, times, passed }
  }

  it('is the highest when all channels are idle, in whatever order they fell silent', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 4, maxLength: 4 }),
        fc.shuffledSubarray([0, 0, 1, 1, 2, 2, 3, 3], { minLength: 8 }),
        async (watermarks, order) => {
          const { task, step, times, passed } = opened()
          const told = new Set<number>()
          for (const channel of order) {
            const isSecond = told.has(channel)
            told.add(channel)
            const watermark = watermarks[channel] as number
            await task.receive(channel, isSecond ? { kind: 'idle' } : { kind: 'watermark', watermark })
          }
          const highest = Math.max(...watermarks)
          expect(times().slice(-2)).toEqual([highest, 'idle'])
          for (let channel = 0; channel < 4; channel++) await task.receive(channel, { kind: 'barrier', number: 1 })
          expect(passed[0]?.[1].watermarks).toContainEqual({ node: step, watermark: highest, isIdle: true })
        },
      ),
      { numRuns: 200 },
    ))

  it('does not go back when a channel wakes, whose rows are late by it; then it follows that one', async () => {
    const { task, rows, times } = opened()
    for (const [channel, watermark] of [10, 40, 20, 30].entries()) {
      await task.receive(channel, { kind: 'watermark', watermark })
      await task.receive(channel, { kind: 'idle' })
    }
    expect(times().slice(-2)).toEqual([40, 'idle'])
    const before = times().length
    await task.receive(0, { kind: 'rows', keys: ['k'], rows: [{ value: 1, time: 11, stamp: 10, sequence: 1 }] })
    expect(rows.map(({ time, stamp }) => [time, stamp])).toEqual([[11, 40]])
    await task.receive(0, { kind: 'watermark', watermark: 11 })
    // No longer idle, and no further than before.
    expect(times().slice(before)).toEqual([40])
    await task.receive(0, { kind: 'watermark', watermark: 41 })
    await task.receive(2, { kind: 'watermark', watermark: 35 })
    await task.receive(0, { kind: 'watermark', watermark: 60 })
    expect(times().slice(before)).toEqual([40, 41])
    await task.receive(2, { kind: 'watermark', watermark: 50 })
    expect(times().slice(before)).toEqual([40, 41, 50])
  })
})

describe('a source task', () => {
  it('waits for credit, with its rows in order', async () => {
    const plan = new PlanBuilder()
    plan.sink(plan.step('keyBy', plan.source(), () => 'all'))
    const sent: Sent[] = []
    let release: (() => void) | undefined
    const host = hostOf(sent, [], {
      send: (exit, task, message) => {
        sent.push({ exit, task, message })
        return new Promise((resolve) => {
          release = resolve
        })
      },
    })
    const task = openSourceTask(optionsOf(plan, 0, host))
    let isDone = false
    const done = task.process(chunk(1, 2, 3), 0).then(() => {
      isDone = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent).toHaveLength(1)
    expect(isDone).toBe(false)
    release?.()
    await new Promise((resolve) => setImmediate(resolve))
    expect(sent).toHaveLength(2)
    release?.()
    await done
    const values = sent.flatMap(({ message }) => (message.kind === 'rows' ? message.rows : []))
    expect(values.map(({ value }) => (value as { value: number }).value)).toEqual([1, 2, 3])
  })

  it('takes the records between two sequence numbers, the first of them included', async () => {
    const plan = new PlanBuilder()
    plan.sink(plan.step('keyBy', plan.source(), () => 'all'))
    const sent: Sent[] = []
    const task = openSourceTask(optionsOf(plan, 0, hostOf(sent, [])))
    const all = chunk(1, 2, 3, 4)
    const sequences = async (from: number, to?: number) => {
      const before = sent.length
      await task.process(all, from, to)
      return sent
        .slice(before)
        .flatMap(({ message }) => (message.kind === 'rows' ? message.rows : []))
        .map(({ sequence }) => sequence)
    }
    const [first, second, third, fourth] = (await sequences(0)) as [number, number, number, number]
    expect(await sequences(0, second)).toEqual([first])
    expect(await sequences(second, fourth)).toEqual([second, third])
    expect(await sequences(fourth, fourth + 1)).toEqual([fourth])
    expect(await sequences(fourth)).toEqual([fourth])
  })

  it('has fired what its idleness has fired before it takes the next records', async () => {
    const plan = new PlanBuilder()
    const given = (record: never) => (record as { value: { from: string; time: number } }).value
    const source = plan.source()
    const of = (from: string) =>
      plan.eventTime(
        plan.step('filter', source, (record: never) => given(record).from === from),
        (record: never) => given(record).time,
      )
    const events: string[] = []
    let goOn: () => void = () => {}
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    plan.sink(
      plan.keyed('timed', [plan.keyByPartition(plan.merge(of('fast'), of('slow')))], () => ({
        onRow: (row, _input, context) => {
          events.push(`row ${row.time}`)
          context.setTimer(row.time + 1)
        },
        onTimer: async (timer) => {
          events.push(`timer ${timer.time}`)
          if (timer.time === 1001) await gate
          events.push(`done ${timer.time}`)
        },
      })),
    )
    const task = openSourceTask(optionsOf(plan, 0, hostOf([], [])))
    await task.start()
    let sequence = 0
    const one = (from: string, time: number) =>
      chunkOf([{ sequence: ++sequence, record: streamRecord('k', JSON.stringify({ from, time }), 0) }])
    await task.process(one('fast', 1000), 0)
    await task.process(one('slow', 10), 0)
    await task.process(one('fast', 2000), 0)
    expect(events).toEqual(['row 1000', 'row 10', 'row 2000'])
    const idle = task.idle()
    setImmediate(goOn)
    await idle
    await task.process(one('slow', 20), 0)
    expect(events.slice(3)).toEqual(['timer 11', 'done 11', 'timer 1001', 'done 1001', 'row 20', 'timer 21', 'done 21'])
  })

  it('sends a barrier and event time behind the rows before it', async () => {
    const plan = new PlanBuilder()
    plan.sink(
      plan.step(
        'keyBy',
        plan.eventTime(plan.source(), (record: never) => (record as { time: number }).time, 3),
        () => 'all',
      ),
    )
    const sent: Sent[] = []
    const passed: [number, StageBarrier][] = []
    const task = openSourceTask(optionsOf(plan, 0, hostOf(sent, passed)))
    await task.process(chunk(1, 2), 0)
    task.barrier(7, false)
    task.idle()
    await task.end()
    expect(sent.map(({ message }) => (message.kind === 'watermark' ? message.watermark : message.kind))).toEqual([
      'rows',
      6,
      'barrier',
      'idle',
      Number.POSITIVE_INFINITY,
    ])
    expect(passed[0]?.[1].watermarks).toContainEqual({ node: 1, watermark: 6, isIdle: false })
    const rows = sent[0]?.message.kind === 'rows' ? sent[0].message.rows : []
    expect(rows.map(({ time, stamp }) => [time, stamp])).toEqual([
      [0, Number.NEGATIVE_INFINITY],
      [10, -4],
    ])
  })

  const failing: [string, (plan: PlanBuilder, source: number) => number, unknown][] = [
    ['map', (plan, source) => plan.step('map', source, () => fail()), undefined],
    ['async map', (plan, source) => plan.step('map', source, async () => fail()), undefined],
    ['asyncMap', (plan, source) => plan.asyncMap(source, async () => fail(), 2, true), undefined],
    ['a key', (plan, source) => plan.step('keyBy', source, () => Number.NaN), undefined],
    [
      'a generator',
      (plan, source) =>
        plan.step(
          'flatMap',
          plan.step('map', source, (value) => value),
          function* (value) {
            yield value
            fail()
          },
        ),
      undefined,
    ],
    [
      'a keyed step',
      (plan, source) => plan.keyed('x', [plan.keyByPartition(source)], () => ({ onRow: () => fail() })),
      { key: 'k0' },
    ],
    [
      'a keyed step behind one that emits',
      (plan, source) => {
        const first = plan.keyed('first', [plan.keyByPartition(source)], () => ({
          onRow: (row, _input, context) => {
            context.emit(row.value)
            fail()
          },
        }))
        plan.keyed('second', [first], counting)
        return first
      },
      { key: 'k0' },
    ],
  ]
  it.each(failing)('names the node, record and key of an error in %s', async (_name, build, key) => {
    const plan = new PlanBuilder()
    const node = build(plan, plan.source())
    const task = openSourceTask(optionsOf(plan, 0, hostOf([], [])))
    const error = await task.process(chunk(1, 2), 0).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(StepError)
    expect(error).toMatchObject({ step: node, sequence: 1 })
    expect((error as StepError).key).toEqual(key)
  })

  it('blames no step for what the store does', async () => {
    const plan = new PlanBuilder()
    plan.keyed('count', [plan.keyByPartition(plan.source())], counting)
    const broken = new Error('the store is gone')
    const host = hostOf([], [], { fetchCells: async (_cells: readonly CellKey[]) => Promise.reject(broken) })
    const task = openSourceTask({ ...optionsOf(plan, 0, host), isNew: false })
    await expect(task.process(chunk(1), 0)).rejects.toBe(broken)
  })

  it('gives up on an asyncMap whose promise takes too long', async () => {
    const plan = new PlanBuilder()
    const node = plan.asyncMap(plan.source(), () => new Promise(() => {}), 4, false)
    const host = hostOf([], [], {
      setTimeout: (run) => {
        setImmediate(run)
        return { cancel: () => {} }
      },
    })
    const task = openSourceTask(optionsOf(plan, 0, host))
    const error = await task.process(chunk(1), 0).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ step: node, sequence: 1, message: 'asyncMap had no result after 1000 ms.' })
  })
})

function fail(): never {
  throw new Error('of the user')
}
