import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ShardId } from '../../src/log/index.js'
import type { CellName } from '../../src/operators/task/index.js'
import { decodeTimes, nowKey, nowValue, timeKey, timeValue } from '../../src/pipelines/time-rows.js'
import { timerPage } from '../../src/pipelines/timer-pages.js'
import { hashKey } from '../../src/runtime/index.js'
import {
  cellOfState,
  decodeTimer,
  namedCellsOf,
  nameOfCell,
  stateKey,
  stateValue,
  type TimerKey,
  timerKey,
  timerValue,
} from '../../src/workers/index.js'
import { RowBuffer, rowsIn } from '../../src/workers/rows/row-buffer.js'
import { MemoryStorage } from '../memory-storage.js'

const startOf = (family: number, pipeline = 3): Buffer => Buffer.from([family, 0, 0, 0, pipeline])
const state = startOf(0x0d)
const timer = startOf(0x12)

const key = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes))
const name: fc.Arbitrary<CellName | undefined> = fc.option(
  fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\ud800', 'a\udfff'),
    fc.double({ noNaN: true }).map((each) => each + 0),
  ),
  { nil: undefined },
)

describe('rows of pipelines', () => {
  it('are as docs/formats.md shows them', () => {
    const vectors = /```pipeline rows\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))![1]!
    const { hi, lo } = hashKey(Buffer.from('k'))
    const cell = { state: 2, hashHi: hi, hashLo: lo, key: Buffer.from('k') }
    const watermarks = [{ node: 1, watermark: 1000, isIdle: true }]
    const shown: [string, Buffer][] = [
      ['state', stateKey(state, { ...cell, name: undefined })],
      ['named', stateKey(state, { ...cell, name: 'n' })],
      ['version', stateValue({ value: Buffer.from([7]), version: 5 })],
      ['timer', timerKey(timer, { ...cell, domain: 'processing', time: -1, tag: 2 })],
      ['shard', timeKey(3, { kind: 'shard', root: 0, shard: 9 as ShardId })],
      ['stage', timeKey(3, { kind: 'stage', stage: 1 })],
      ['time', timeValue(watermarks)],
      ['now', Buffer.concat([nowKey(3), nowValue(1)])],
    ]
    const lines = vectors.trim().split('\n')
    expect(shown.map(([what, bytes]) => [what, bytes.toString('hex')])).toEqual(
      lines.map((line) => [line.split(' ')[0], line.replace(/^\w+/, '').replace(/ /g, '')]),
    )
  })

  it('of cells are told apart by step, key and name, and come back', () => {
    const cell = fc.record({ state: fc.nat(5), key, name })
    fc.assert(
      fc.property(cell, cell, (a, b) => {
        const row = (each: typeof a) => stateKey(state, { ...each, hashHi: 1, hashLo: 2 })
        const isSame = a.state === b.state && a.key.equals(b.key) && Object.is(a.name, b.name)
        expect(row(a).equals(row(b))).toBe(isSame)
        if (a.name === undefined) return
        const prefix = namedCellsOf(state, { ...a, hashHi: 1, hashLo: 2 })
        expect(row(a).subarray(0, prefix.length)).toEqual(prefix)
        expect(nameOfCell(row(a), prefix.length)).toBe(a.name)
      }),
    )
  })

  it('hold values of each version of a state, and those of the first as they were', () => {
    const value = Buffer.from([1, 2])
    expect(stateValue({ value, version: 1 })).toEqual(Buffer.from([1, 1, 2]))
    for (const version of [1, 2, 70_000])
      expect(cellOfState(stateValue({ value, version }))).toEqual({ value, version })
  })

  it('of event time come back', () => {
    const watermarks = [
      { node: 0, watermark: -Infinity, isIdle: false },
      { node: 300, watermark: 1.7e12, isIdle: true },
    ]
    const owners = [
      { kind: 'shard', root: 7, shard: (2 ** 31) as ShardId } as const,
      { kind: 'stage', stage: 2 } as const,
    ]
    const keys = [nowKey(3), ...owners.map((owner) => timeKey(3, owner))]
    const values = [nowValue(5), timeValue(watermarks), timeValue([])]
    expect(decodeTimes(keys, values)).toEqual({
      now: 5,
      times: [
        { owner: owners[0], watermarks },
        { owner: owners[1], watermarks: [] },
      ],
    })
  })

  it('between threads are what was put in', () => {
    const row = fc.tuple(key, fc.option(fc.uint8Array({ maxLength: 9000 }).map(Buffer.from), { nil: undefined }))
    fc.assert(
      fc.property(fc.array(row, { maxLength: 20 }), (rows) => {
        const buffer = new RowBuffer()
        for (let round = 0; round < 2; round++) {
          for (const [each, value] of rows) buffer.add(each, value)
          expect([...rowsIn(buffer.take())].map((found) => [found.key, found.value])).toEqual(rows)
        }
      }),
    )
  })
})

describe('timers', () => {
  const time = fc.oneof(fc.integer({ min: -5, max: 5 }), fc.maxSafeInteger())
  const anyTimer = fc
    .record({ state: fc.nat(2), hash: fc.nat(2 ** 32 - 1), lo: fc.nat(2), key, time, tag: name, isEvent: fc.boolean() })
    .map(
      ({ hash, lo, isEvent, ...rest }): TimerKey => ({
        ...rest,
        hashHi: hash,
        hashLo: lo,
        domain: isEvent ? 'event' : 'processing',
      }),
    )

  it('come back from their rows, which sort by their times', () => {
    fc.assert(
      fc.property(anyTimer, time, (each, other) => {
        expect(decodeTimer(timerKey(timer, each))).toEqual(each)
        const row = timerKey(timer, each)
        const later = timerKey(timer, { ...each, time: other })
        expect(Math.sign(Buffer.compare(row, later))).toBe(Math.sign(each.time - other))
      }),
    )
  })

  it.each([1000, 3])('of the keys of a task come in order, each once, however many a page has (%i)', async (limit) => {
    const hash = fc.oneof(fc.nat(2 ** 32 - 1), fc.nat(2 ** 25))
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyTimer, { maxLength: 60 }),
        hash,
        hash,
        fc.oneof(time, fc.constant(-Infinity)),
        async (timers, a, b, from) => {
          const range = { low: { hi: Math.min(a, b), lo: 1 }, high: { hi: Math.max(a, b), lo: 1 } }
          const storage = new MemoryStorage()
          for (const each of timers) storage.rows.set(timerKey(timer, each).toString('latin1'), timerValue)
          // What is of another pipeline is none of these.
          for (const each of timers) storage.rows.set(timerKey(startOf(0x12, 4), each).toString('latin1'), timerValue)
          const found: TimerKey[] = []
          for (let after: unknown; ; ) {
            const wanted = { start: timer, state: 1, domain: 'event', from, after, limit } as const
            const page = await timerPage(storage, wanted, range)
            expect(page.timers.length).toBeLessThanOrEqual(limit)
            found.push(...page.timers)
            // As it crosses threads.
            after = structuredClone(page.next)
            if (after === undefined) break
          }
          const { low, high } = range
          const isOwn = ({ hashHi: hi, hashLo: lo }: TimerKey) =>
            (hi > low.hi || (hi === low.hi && lo >= low.lo)) && (hi < high.hi || (hi === high.hi && lo <= high.lo))
          const rows = new Map(timers.map((each) => [timerKey(timer, each).toString('hex'), each]))
          const own = [...rows.values()].filter(
            (each) => each.state === 1 && each.domain === 'event' && each.time >= from && isOwn(each),
          )
          expect(found.map((each) => each.time)).toEqual(own.map((each) => each.time).sort((x, y) => x - y))
          expect(found.map((each) => timerKey(timer, each).toString('hex')).sort()).toEqual(
            own.map((each) => timerKey(timer, each).toString('hex')).sort(),
          )
        },
      ),
      { numRuns: 60 },
    )
  })
})
