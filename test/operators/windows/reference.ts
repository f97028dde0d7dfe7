import { expect } from 'vitest'
import type { WindowResult } from '../../../src/operators/index.js'
import type { OperatorHarness } from '../operator-harness.js'
import type { Arrival, ArrivedRow, TestValue } from './arrivals.js'
import type { Made } from './made.js'

/** A result as plain code finds it: the rows that it is made of. */
export interface Expected {
  readonly key: string
  readonly start: number
  readonly end: number
  readonly kind: 'early' | 'onTime' | 'late'
  readonly rows: readonly ArrivedRow[]
}

export interface Outcome {
  readonly results: readonly Expected[]
  /** Serials of rows that came too late. */
  readonly late: readonly number[]
}

export interface AlignedCase {
  readonly size: number
  readonly step: number
  readonly offset: number
  readonly lateness: number
  readonly early?: { readonly every?: number; readonly count?: number } | undefined
}

interface OpenWindow {
  readonly key: string
  readonly start: number
  readonly rows: ArrivedRow[]
  isFired: boolean
  fresh: number
  earlyAt: number | undefined
}

/** Tumbling and hopping windows by brute force: every window keeps all of its rows, and each is looked at for each row. */
export function alignedOutcome(all: readonly Arrival[], { size, step, offset, lateness, early }: AlignedCase): Outcome {
  const windows: OpenWindow[] = []
  const results: Expected[] = []
  const late: number[] = []
  let watermark = Number.NEGATIVE_INFINITY
  let now = 0
  const give = ({ key, start, rows }: OpenWindow, kind: Expected['kind']): void => {
    results.push({ key, start, end: start + size, kind, rows: [...rows] })
  }
  const take = (row: ArrivedRow, start: number): void => {
    let window = windows.find((each) => each.key === row.key && each.start === start)
    if (!window) {
      const isFired = start + size - 1 <= watermark
      window = { key: row.key, start, rows: [], isFired, fresh: 0, earlyAt: undefined }
      windows.push(window)
    }
    window.rows.push(row)
    if (window.isFired) return give(window, 'late')
    window.fresh++
    if (early?.count !== undefined && window.fresh >= early.count) {
      window.fresh = 0
      return give(window, 'early')
    }
    if (early?.every !== undefined) window.earlyAt ??= now + early.every
  }
  for (const each of all) {
    if (each.kind === 'row') {
      const passed = Math.max(each.stamp, watermark)
      const open = startsAround(each.time, size, step, offset).filter((start) => start + size - 1 + lateness > passed)
      if (open.length === 0) late.push(each.value.serial)
      for (const start of open) take(each, start)
    } else if (each.kind === 'watermark') {
      watermark = Math.max(watermark, each.watermark)
      for (const window of windows) {
        if (window.isFired || window.start + size - 1 > watermark) continue
        window.isFired = true
        give(window, 'onTime')
      }
    } else {
      now = each.now
      for (const window of windows) {
        if (window.isFired || window.earlyAt === undefined || window.earlyAt > now) continue
        window.earlyAt = undefined
        if (window.fresh > 0) give(window, 'early')
        window.fresh = 0
      }
    }
  }
  return { results, late }
}

export interface SessionCase {
  readonly gap: number
  readonly lateness: number
  readonly early?: AlignedCase['early']
}

interface OpenSession {
  readonly key: string
  readonly rows: readonly ArrivedRow[]
  isGiven: boolean
  /** Whether its end is awaited. */
  isOpen: boolean
  fresh: number
  earlyAt: number | undefined
}

const first = (rows: readonly ArrivedRow[]): number => Math.min(...rows.map(({ time }) => time))
const last = (rows: readonly ArrivedRow[]): number => Math.max(...rows.map(({ time }) => time))

const earliest = (times: readonly (number | undefined)[]): number | undefined =>
  times.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined)

/** Sessions by brute force: a row makes one of all sessions of which some row is near. */
export function sessionOutcome(all: readonly Arrival[], { gap, lateness, early }: SessionCase): Outcome {
  let sessions: OpenSession[] = []
  const results: Expected[] = []
  const late: number[] = []
  let watermark = Number.NEGATIVE_INFINITY
  let now = 0
  const give = (session: OpenSession, kind: Expected['kind']): void => {
    const { key, rows } = session
    results.push({ key, start: first(rows), end: last(rows) + gap, kind, rows })
    session.fresh = 0
  }
  const take = (row: ArrivedRow): void => {
    const isNear = ({ key, rows }: OpenSession): boolean =>
      key === row.key && rows.some(({ time }) => Math.abs(time - row.time) <= gap)
    const near = sessions.filter(isNear)
    const rows = [...near.flatMap((each) => each.rows), row]
    const session: OpenSession = {
      key: row.key,
      rows,
      isGiven: near.some(({ isGiven }) => isGiven),
      isOpen: last(rows) + gap > watermark,
      fresh: near.reduce((sum, { fresh }) => sum + fresh, 0) + 1,
      earlyAt: earliest(near.map(({ earlyAt }) => earlyAt)),
    }
    sessions = [...sessions.filter((each) => !near.includes(each)), session]
    if (!session.isOpen) {
      session.isGiven = true
      return give(session, 'late')
    }
    if (early?.count !== undefined && session.fresh >= early.count) return give(session, 'early')
    if (early?.every !== undefined) session.earlyAt ??= now + early.every
  }
  for (const each of all) {
    if (each.kind === 'row') {
      if (Math.max(each.stamp, watermark) >= each.time + gap + lateness) late.push(each.value.serial)
      else take(each)
    } else if (each.kind === 'watermark') {
      watermark = Math.max(watermark, each.watermark)
      for (const session of sessions) {
        if (!session.isOpen || last(session.rows) + gap > watermark) continue
        give(session, session.isGiven ? 'late' : 'onTime')
        session.isGiven = true
        session.isOpen = false
      }
      sessions = sessions.filter(({ rows }) => last(rows) + gap + lateness > watermark)
    } else {
      now = each.now
      for (const session of sessions) {
        if (session.earlyAt === undefined || session.earlyAt > now) continue
        session.earlyAt = undefined
        if (session.fresh > 0) give(session, 'early')
      }
    }
  }
  return { results, late }
}

export interface SlidingCase {
  readonly size: number
  readonly lateness: number
}

/** Sliding windows by brute force: all rows are kept, and looked through for each result. */
export function slidingOutcome(all: readonly Arrival[], { size, lateness }: SlidingCase): Outcome {
  const rows: ArrivedRow[] = []
  const fired = new Set<string>()
  const results: Expected[] = []
  const late: number[] = []
  let watermark = Number.NEGATIVE_INFINITY
  const ends = (key: string): number[] => [...new Set(rows.filter((row) => row.key === key).map(({ time }) => time))]
  const give = (key: string, end: number, kind: Expected['kind']): void => {
    const within = rows.filter((row) => row.key === key && row.time >= end - size && row.time <= end)
    results.push({ key, start: end - size, end, kind, rows: within })
    fired.add(`${key} ${end}`)
  }
  for (const each of all) {
    if (each.kind === 'row') {
      const { key, time } = each
      if (Math.max(each.stamp, watermark) >= time + lateness) {
        late.push(each.value.serial)
        continue
      }
      rows.push(each)
      for (const end of ends(key)) if (end >= time && end <= time + size && end <= watermark) give(key, end, 'late')
    } else if (each.kind === 'watermark') {
      watermark = Math.max(watermark, each.watermark)
      for (const key of ['a', 'b'])
        for (const end of ends(key)) if (end <= watermark && !fired.has(`${key} ${end}`)) give(key, end, 'onTime')
    }
  }
  return { results, late }
}

/** Starts of all windows that hold a time, found by trying. */
export function startsAround(time: number, size: number, step: number, offset: number): number[] {
  const starts: number[] = []
  const low = Math.floor((time - size - offset) / step) - 1
  const high = Math.ceil((time - offset) / step) + 1
  for (let i = low; i <= high; i++) {
    const start = i * step + offset
    if (start <= time && time < start + size) starts.push(start)
  }
  return starts
}

/** That an operator gave what plain code found, for each key and start in the same order, and that nothing is left. */
export function expectOutcome(harness: OperatorHarness, { results, late }: Outcome, made: Made): void {
  const shown = made.shown ?? ((value: unknown) => value)
  const given = harness.emitted
    .filter(({ output }) => output === undefined)
    .map(({ key, value }) => {
      const result = value as WindowResult<unknown, string>
      expect(result.key).toBe(key)
      return { key, start: result.start, end: result.end, kind: result.kind, value: shown(result.value) }
    })
  const expected = results.map(({ rows, ...result }) => ({ ...result, value: made.of(rows) }))
  expect(byWindow(given)).toEqual(byWindow(expected))
  const lateGiven = harness.emitted
    .filter(({ output }) => output === 'late')
    .map(({ value }) => (value as TestValue).serial)
  expect(lateGiven).toEqual(late)
  expect(harness.counts.get('late') ?? 0).toBe(late.length)
  expect([...harness.cells.keys()]).toEqual([])
  expect(harness.timerCount).toBe(0)
}

function byWindow<Result extends { readonly key: string; readonly start: number }>(
  results: readonly Result[],
): Record<string, Result[]> {
  const windows: Record<string, Result[]> = {}
  for (const result of results) {
    const name = `${result.key} ${result.start}`
    windows[name] = [...(windows[name] ?? []), result]
  }
  return windows
}
