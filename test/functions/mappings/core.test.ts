/** What is done next with the records of a shard, in virtual time: against a plain model, and over random histories. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type DeliverySettings,
  type LastAnswer,
  type Outcome,
  type PendingRecord,
  ShardCore,
  type Step,
} from '../../../src/functions/mappings/core/index.js'

const plain: DeliverySettings = {
  batchSize: 100,
  windowMs: 0,
  lanes: 1,
  attemptsMax: Number.POSITIVE_INFINITY,
  ageMsMax: Number.POSITIVE_INFINITY,
  bisects: false,
  tumblingMs: 0,
  payloadBytesMax: 6_000_000,
  backOff: (failures) => 100 * failures,
}

class TestRecord implements PendingRecord {
  isDone = false
  readonly sequence: number
  readonly hash: number
  readonly time: number
  readonly bytes: number

  done(): void {
    this.isDone = true
  }

  constructor(sequence: number, hash = 0, time = 0, bytes = 10) {
    this.sequence = sequence
    this.hash = hash
    this.time = time
    this.bytes = bytes
  }
}

const last: LastAnswer = { requestId: 'request', functionError: 'Unhandled' }
const failed: Outcome = { kind: 'failed', last }
const succeeded: Outcome = { kind: 'succeeded' }

function coreOf(settings: Partial<DeliverySettings>, records: readonly TestRecord[] = [], isAtEnd = false) {
  const core = new ShardCore<TestRecord>({ ...plain, ...settings }, { next: 1 })
  for (const record of records) core.add(record, 0)
  const newest = records[records.length - 1]
  core.read((newest?.sequence ?? 0) + 1, isAtEnd)
  return core
}

const records = (count: number, time = 0): TestRecord[] =>
  Array.from({ length: count }, (_, i) => new TestRecord(i + 1, 0, time))

const numbers = (step: Step<TestRecord> | undefined): number[] =>
  step?.work.records.map(({ sequence }) => sequence) ?? []

describe('batches of a shard', () => {
  it('go at once without a window, and when one is full, due, or at the end of the shard', () => {
    expect(numbers(coreOf({}, records(1)).take(0))).toEqual([1])
    const waiting = coreOf({ windowMs: 1000, batchSize: 3 }, records(2))
    expect(waiting.take(999)).toBeUndefined()
    expect(waiting.dueAt).toBe(1000)
    expect(numbers(waiting.take(1000))).toEqual([1, 2])
    const full = coreOf({ windowMs: 1000, batchSize: 3 }, records(4))
    const step = full.take(0)!
    expect(numbers(step)).toEqual([1, 2, 3])
    full.answered(step.work, succeeded, 500)
    // The rest waits anew.
    expect(full.take(999)).toBeUndefined()
    full.read(5, true)
    expect(numbers(full.take(600))).toEqual([4])
    expect(numbers(coreOf({ windowMs: 1000, batchSize: 3 }, records(2)).take(0, true))).toEqual([1, 2])
  })

  it('have no more bytes than a function takes, and one record whatever it has', () => {
    const core = coreOf({ payloadBytesMax: 25 }, [
      new TestRecord(1, 0, 0, 10),
      new TestRecord(2, 0, 0, 10),
      new TestRecord(3, 0, 0, 40),
    ])
    const first = core.take(0)!
    expect(numbers(first)).toEqual([1, 2])
    core.answered(first.work, succeeded, 0)
    expect(numbers(core.take(0))).toEqual([3])
  })

  it('are tried again until they are given up, and a throttled one has not been tried', () => {
    const core = coreOf({ attemptsMax: 3 }, records(2))
    const tries: number[] = []
    let now = 0
    for (let i = 0; i < 4; i++) {
      const step = core.take(now)!
      expect(step.kind).toBe('invoke')
      tries.push(now)
      core.answered(step.work, i === 1 ? { kind: 'throttled' } : failed, now)
      expect(core.checkpoint.next).toBe(1)
      now = core.dueAt!
      expect(core.take(now - 1)?.kind === 'invoke').toBe(false)
      if (i === 3) break
    }
    const given = core.take(now)
    // A record that is given up is not done before it is where it belongs.
    expect(core.checkpoint.next).toBe(1)
    expect(tries).toHaveLength(4)
    expect(given).toBeUndefined()
  })

  it('say how often they were tried, and why they are given up', () => {
    const core = coreOf({ attemptsMax: 2 }, records(3))
    let step = core.take(0)!
    core.answered(step.work, failed, 0)
    step = core.take(100)!
    core.answered(step.work, failed, 100)
    const discard = core.take(100)!
    expect([discard.kind, discard.work.attempts, discard.work.givenUp, numbers(discard)]).toEqual([
      'discard',
      2,
      'RetryAttemptsExhausted',
      [1, 2, 3],
    ])
    core.discarded(discard.work)
    expect(core.checkpoint.next).toBe(4)
    expect(core.pending).toBe(0)
  })

  it('begin anew behind what succeeded: the poisoned record of three is called five times with three retries', () => {
    const core = coreOf({ attemptsMax: 4 }, records(3))
    const calls: number[][] = []
    let now = 0
    for (;;) {
      const step = core.take(now)
      if (!step) {
        now = core.dueAt!
        continue
      }
      if (step.kind === 'discard') {
        expect(step.work.attempts).toBe(4)
        expect(numbers(step)).toEqual([3])
        break
      }
      calls.push(numbers(step))
      const from = step.work.records.findIndex(({ sequence }) => sequence === 3)
      core.answered(step.work, from > 0 ? { kind: 'partial', from, last } : failed, now)
    }
    expect(calls).toEqual([[1, 2, 3], [3], [3], [3], [3]])
  })

  it('give up what is too old, and go on with the rest', () => {
    const aged = [new TestRecord(1, 0, 0), new TestRecord(2, 0, 0), new TestRecord(3, 0, 5000)]
    const core = coreOf({ ageMsMax: 1000 }, aged)
    const step = core.take(5500)!
    expect([step.kind, step.work.givenUp, numbers(step)]).toEqual(['discard', 'RecordAgeExceeded', [1, 2]])
    core.discarded(step.work)
    const rest = core.take(5500)!
    expect([rest.kind, numbers(rest)]).toEqual(['invoke', [3]])
    core.answered(rest.work, failed, 5900)
    // It is looked at when it becomes too old, before its next attempt would be due.
    const late = coreOf({ ageMsMax: 1000, backOff: () => 60_000 }, [new TestRecord(1, 0, 0)])
    late.answered(late.take(10)!.work, failed, 10)
    expect(late.dueAt).toBe(1001)
    expect(late.take(1001)?.kind).toBe('discard')
  })

  it('of other items go on behind one that is stuck, and the position waits', () => {
    const core = coreOf(
      { lanes: 2, batchSize: 1 },
      [1, 2, 3, 4, 5].map((n) => new TestRecord(n, n === 1 ? 0 : 1)),
    )
    const stuck = core.take(0)!
    expect(numbers(stuck)).toEqual([1])
    for (const number of [2, 3, 4, 5]) {
      const step = core.take(0)!
      expect(numbers(step)).toEqual([number])
      core.answered(step.work, succeeded, 0)
      expect(core.checkpoint.next).toBe(1)
    }
    core.answered(stuck.work, succeeded, 0)
    expect(core.checkpoint.next).toBe(6)
  })
})

/** What befalls records: how often a call with one of them fails yet. */
type Poison = Map<number, number>

/** A function that fails as long as its batch has a poisoned record; each of its failures takes one from the first of them. */
function answerOf(batch: readonly number[], poison: Poison, reports: boolean): { failedAt?: number } {
  const place = batch.findIndex((number) => (poison.get(number) ?? 0) > 0)
  if (place < 0) return {}
  const number = batch[place] as number
  poison.set(number, (poison.get(number) as number) - 1)
  return { failedAt: reports ? place : 0 }
}

/** The rules of AWS, straight from the page, for one batch: what is called, and what is given up. */
function modelOf(
  batch: readonly number[],
  poison: Poison,
  { attemptsMax, bisects, reports }: { attemptsMax: number; bisects: boolean; reports: boolean },
): string[] {
  if (batch.length === 0) return []
  const rules = { attemptsMax, bisects, reports }
  const trace: string[] = []
  for (let attempts = 0; ; ) {
    trace.push(`call ${batch.join()}`)
    const { failedAt } = answerOf(batch, poison, reports)
    if (failedAt === undefined) return trace
    if (failedAt > 0) return [...trace, ...modelOf(batch.slice(failedAt), poison, rules)]
    if (bisects && batch.length > 1) {
      const half = Math.ceil(batch.length / 2)
      return [...trace, ...modelOf(batch.slice(0, half), poison, rules), ...modelOf(batch.slice(half), poison, rules)]
    }
    attempts++
    if (attempts >= attemptsMax) return [...trace, `give up ${batch.join()} after ${attempts}`]
  }
}

describe('the core and a plain model of the rules', () => {
  it('call the same records as often, in the same order, and give up the same', () => {
    fc.assert(
      fc.property(
        fc.record({
          count: fc.integer({ min: 1, max: 24 }),
          batchSize: fc.integer({ min: 1, max: 9 }),
          attemptsMax: fc.integer({ min: 1, max: 4 }),
          bisects: fc.boolean(),
          reports: fc.boolean(),
          poisoned: fc.array(fc.tuple(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 1, max: 12 })), {
            maxLength: 6,
          }),
        }),
        ({ count, batchSize, attemptsMax, bisects, reports, poisoned }) => {
          const all = records(count)
          const core = coreOf({ batchSize, attemptsMax, bisects }, all, true)
          const poison = new Map(poisoned)
          const trace: string[] = []
          for (let now = 0; !core.checkpoint.isEnded; ) {
            const step = core.take(now)
            if (!step) {
              now = core.dueAt as number
              continue
            }
            const batch = numbers(step)
            if (step.kind === 'discard') {
              trace.push(`give up ${batch.join()} after ${step.work.attempts}`)
              core.discarded(step.work)
              continue
            }
            trace.push(`call ${batch.join()}`)
            const { failedAt } = answerOf(batch, poison, reports)
            if (failedAt === undefined) core.answered(step.work, succeeded, now)
            else core.answered(step.work, failedAt > 0 ? { kind: 'partial', from: failedAt, last } : failed, now)
          }
          const expected: string[] = []
          const ofModel = new Map(poisoned)
          for (let at = 0; at < count; at += batchSize) {
            const batch = all.slice(at, at + batchSize).map(({ sequence }) => sequence)
            expected.push(...modelOf(batch, ofModel, { attemptsMax, bisects, reports }))
          }
          expect(trace).toEqual(expected)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('bring every record to the function or give it up, in the order of its item, whatever happens', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer(),
          count: fc.integer({ min: 1, max: 120 }),
          keys: fc.integer({ min: 1, max: 12 }),
          lanes: fc.integer({ min: 1, max: 10 }),
          batchSize: fc.integer({ min: 1, max: 20 }),
          windowMs: fc.constantFrom(0, 500),
          attemptsMax: fc.constantFrom(1, 2, 4, Number.POSITIVE_INFINITY),
          ageMsMax: fc.constantFrom(2000, Number.POSITIVE_INFINITY),
          bisects: fc.boolean(),
        }),
        (wanted) => history(wanted),
      ),
      { numRuns: 300 },
    )
  })
})

interface Wanted
  extends Pick<DeliverySettings, 'lanes' | 'batchSize' | 'windowMs' | 'attemptsMax' | 'ageMsMax' | 'bisects'> {
  readonly seed: number
  readonly count: number
  readonly keys: number
}

/** As `expect`, which takes most of the time of a history. */
function holds(condition: boolean): void {
  if (!condition) throw new Error('what must hold does not')
}

/** Records come in pages, answers in any order and of any kind, time passes. */
function history(wanted: Wanted): void {
  const { seed, count, keys, batchSize, attemptsMax, lanes } = wanted
  let state = seed | 0
  const chance = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return (state >>> 8) % below
  }
  const core = new ShardCore<TestRecord>({ ...plain, ...wanted }, { next: 1 })
  const ends = new Map<number, number[]>()
  const under: Step<TestRecord>[] = []
  let now = 0
  let added = 0
  let next = 1
  let ended = 0
  const end = (batch: readonly TestRecord[]): void => {
    for (const { sequence, hash } of batch) {
      const ofItem = ends.get(hash) ?? []
      // In order, and once: nothing of an item is passed over or done twice.
      holds(sequence > (ofItem[ofItem.length - 1] ?? 0))
      ends.set(hash, [...ofItem, sequence])
      ended++
    }
  }
  for (let step = 0; !core.checkpoint.isEnded; step++) {
    holds(step < 100_000)
    const { checkpoint } = core
    holds(checkpoint.next >= next)
    next = checkpoint.next
    const what = chance(4)
    if (what === 0 && added < count) {
      for (let left = 1 + chance(10); left > 0 && added < count; left--)
        core.add(new TestRecord(++added, chance(keys), now), now)
      core.read(added + 1, added === count)
    } else if (what === 1 && under.length > 0) {
      const [done] = under.splice(chance(under.length), 1) as [Step<TestRecord>]
      const { work } = done
      if (done.kind === 'discard') {
        core.discarded(work)
        end(work.records)
        continue
      }
      // What never succeeds by itself does so after a while.
      const kind = step > 2000 ? 3 : chance(4)
      if (kind === 0) core.answered(work, failed, now)
      else if (kind === 1) core.answered(work, { kind: 'throttled' }, now)
      else if (kind === 2 && work.records.length > 1) {
        const from = 1 + chance(work.records.length - 1)
        core.answered(work, { kind: 'partial', from, last }, now)
        end(work.records.slice(0, from))
      } else {
        core.answered(work, succeeded, now)
        end(work.records)
      }
    } else if (what === 2) now += chance(300)
    else {
      const taken = core.take(now, chance(20) === 0)
      if (!taken) {
        now = Math.max(now, core.dueAt ?? now)
        continue
      }
      const { records: batch, attempts, givenUp } = taken.work
      holds(batch.length > 0)
      holds(batch.length <= batchSize)
      if (givenUp === 'RetryAttemptsExhausted') holds(attempts === attemptsMax)
      else holds(attempts < attemptsMax)
      const items = new Set(batch.map(({ hash }) => hash))
      for (const other of under) for (const { hash } of other.work.records) holds(!items.has(hash))
      under.push(taken)
      holds(under.length <= lanes)
    }
  }
  expect(ended).toBe(count)
  expect(core.pending).toBe(0)
  expect(core.bytes).toBe(0)
}

describe('tumbling windows', () => {
  const settings = { tumblingMs: 1000, lanes: 4, batchSize: 2 }
  const at = (sequence: number, time: number) => new TestRecord(sequence, sequence, time)

  it('carry their state from batch to batch, end with an invocation of their own, and begin empty', () => {
    const core = coreOf(settings, [at(1, 1000), at(2, 1500), at(3, 1999), at(4, 2000)])
    const seen: unknown[] = []
    const go = (now: number, state?: string): void => {
      const step = core.take(now)
      if (!step) return void seen.push('nothing')
      seen.push([numbers(step), step.window?.start, step.window?.state, step.work.isFinal])
      core.answered(step.work, state === undefined ? failed : { kind: 'succeeded', state }, now)
    }
    go(2000, '{"n":2}')
    expect(core.checkpoint).toEqual({
      next: 3,
      isEnded: false,
      window: { start: 1000, state: '{"n":2}', isEarly: false },
    })
    go(2000, '{"n":3}')
    // What is left is of the next window: the one before is closed first, as often as it takes.
    go(2000)
    go(2000)
    go(2100, '{}')
    go(2100, '{"n":1}')
    go(2900)
    expect(core.windowEnd).toBe(3000)
    core.completeTo(3000)
    go(3000, '{}')
    expect(core.checkpoint).toEqual({ next: 5, isEnded: false, window: undefined })
    expect(seen).toEqual([
      [[1, 2], 1000, '{}', false],
      [[3], 1000, '{"n":2}', false],
      [[], 1000, '{"n":3}', true],
      'nothing',
      [[], 1000, '{"n":3}', true],
      [[4], 2000, '{}', false],
      'nothing',
      [[], 2000, '{"n":1}', true],
    ])
  })

  it('end before their time when their state is too large, and with their shard', () => {
    const core = coreOf(settings, [at(1, 1000), at(2, 1100), at(3, 1200)], true)
    const large = JSON.stringify({ text: 'x'.repeat(1024 * 1024) })
    const first = core.take(1300)!
    core.answered(first.work, { kind: 'succeeded', state: large }, 1300)
    const early = core.take(1300)!
    expect([early.work.isFinal, early.window?.isEarly, early.window?.state === large]).toEqual([true, true, true])
    core.answered(early.work, succeeded, 1300)
    const rest = core.take(1300)!
    expect([numbers(rest), rest.window?.state, rest.window?.start]).toEqual([[3], '{}', 1000])
    core.answered(rest.work, { kind: 'succeeded', state: '{"n":1}' }, 1300)
    // The shard is at its end: nothing more can come into the window.
    const end = core.take(1300)!
    expect([end.work.isFinal, end.window?.isEarly]).toEqual([true, false])
    expect(core.checkpoint.isEnded).toBe(false)
    core.answered(end.work, succeeded, 1300)
    expect(core.checkpoint.isEnded).toBe(true)
  })

  it('keep the state of before where a batch is given up, and are given up themselves', () => {
    const core = coreOf({ ...settings, attemptsMax: 1 }, [at(1, 1000)], true)
    core.answered(core.take(1000)!.work, failed, 1000)
    core.discarded(core.take(1000)!.work)
    const final = core.take(1000)!
    expect([final.work.isFinal, final.window?.state]).toEqual([true, '{}'])
    core.answered(final.work, failed, 1000)
    const given = core.take(1000)!
    expect([given.kind, given.work.isFinal, given.work.givenUp]).toEqual(['discard', true, 'RetryAttemptsExhausted'])
    core.discarded(given.work)
    expect(core.checkpoint.isEnded).toBe(true)
  })
})
