import { isThenable } from '../keyed/thenable.js'
import type { DueTimer, KeyedContext, KeyedOperator, Row, RowCombiner } from '../task/keyed-operator.js'
import { after, inOrder } from './after.js'
import type { WindowAggregate } from './aggregates/aggregate.js'
import { type SessionPart, type Stretch, sessionCombiner } from './combined.js'
import { armEarly, type EarlyState, type EarlyTrigger, isEarlyDue, takeEarly } from './early.js'
import { give, giveLate, overTag } from './giving.js'
import type { ResultKind } from './result.js'
import type { WindowClock } from './window-clock.js'

/** Open sessions of one key. Past it the oldest gives what it has as an early result, goes, and is counted as evicted. */
export const sessionsMax = 1000

const earlyTag = 'early'

/** Milliseconds. */
export interface SessionShape {
  readonly gapMs: number
  readonly latenessMs: number
  readonly clock: WindowClock
}

/** Rows of a key of which each is at most the gap behind the one before. */
interface Session extends EarlyState {
  /** Times of the first and the last row. */
  start: number
  last: number
  accumulator: unknown
  /** Moment of the timer that looks at it, never behind its end; undefined when it has fired. */
  timer: number | undefined
  /** Whether a result was given as its end had passed. */
  isGiven: boolean
}

/**
 * Sessions: windows that end when no row came for a gap. The end is `last + gap`, and a row just then still belongs, so a
 * session is over when nothing at or before its end is awaited.
 *
 * All sessions of a key, seldom more than one, lie in its main cell, ascending and more than a gap apart. A session that is
 * prolonged keeps the timer that it has: when that fires too early it is set anew, once in a gap and not for each row.
 */
export class SessionWindows implements KeyedOperator {
  readonly keepsNoValue: boolean
  readonly combiner: RowCombiner | undefined
  readonly #shape: SessionShape
  readonly #aggregate: WindowAggregate
  readonly #early: EarlyTrigger

  constructor(shape: SessionShape, aggregate: WindowAggregate, early: EarlyTrigger) {
    this.#shape = shape
    this.#aggregate = aggregate
    this.keepsNoValue = !aggregate.keepsValues
    this.#early = early
    const isPlain = shape.clock.domain === 'event' && early.everyMs === undefined && early.count === undefined
    this.combiner = aggregate.isCombined && isPlain ? sessionCombiner(shape.gapMs, aggregate) : undefined
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const { clock, gapMs, latenessMs } = this.#shape
    const time = clock.timeOf(row, context)
    const stretch: Stretch = row.parts ? (row.value as SessionPart) : { start: time, last: time }
    if (clock.stampOf(row, context) >= stretch.last + gapMs + latenessMs) return giveLate(row, context)
    const sessions = (context.get() as Session[] | undefined) ?? []
    let i = sessions.length - 1
    while (i >= 0 && (sessions[i] as Session).start > stretch.last + gapMs) i--
    const session = sessions[i]
    if (!session || session.last < stretch.start - gapMs) return this.#begin(i + 1, stretch, row, sessions, context)
    return this.#connect(i, stretch, row, sessions, context)
  }

  /** Adds to a session, after those before it that the row connects with it. */
  #connect(i: number, stretch: Stretch, row: Row, sessions: Session[], context: KeyedContext): void | Promise<void> {
    const session = sessions[i] as Session
    const before = sessions[i - 1]
    if (!before || before.last < stretch.start - this.#shape.gapMs)
      return this.#add(session, stretch, row, sessions, context)
    return after(this.#join(before, session, context), () => {
      sessions.splice(i, 1)
      return this.#connect(i - 1, stretch, row, sessions, context)
    })
  }

  #added(accumulator: unknown, row: Row, context: KeyedContext): unknown {
    const { add, merge } = this.#aggregate
    if (!row.parts || !merge) return add(accumulator, row, context)
    return merge(accumulator, (row.value as SessionPart).accumulator, context)
  }

  onTimer(timer: DueTimer, context: KeyedContext): void | Promise<void> {
    const sessions = context.get() as Session[] | undefined
    if (!sessions) return
    if (timer.tag === earlyTag) return this.#giveEarly(timer.time, sessions, context)
    const moment = this.#shape.clock.momentOf(timer)
    if (timer.tag === overTag) return this.#dropOver(moment, sessions, context)
    const due = sessions.filter((session) => session.timer === moment)
    return after(
      inOrder(due, (session) => this.#look(session, moment, sessions, context)),
      () => {
        if (due.length > 0) store(sessions, context)
      },
    )
  }

  #begin(at: number, stretch: Stretch, row: Row, sessions: Session[], context: KeyedContext): void | Promise<void> {
    const accumulator = this.#added(undefined, row, context)
    if (isThenable(accumulator))
      return Promise.resolve(accumulator).then((given) => this.#insert(at, stretch, given, sessions, context))
    return this.#insert(at, stretch, accumulator, sessions, context)
  }

  #insert(
    at: number,
    { start, last }: Stretch,
    accumulator: unknown,
    sessions: Session[],
    context: KeyedContext,
  ): void | Promise<void> {
    const session: Session = { start, last, accumulator, timer: undefined, isGiven: false, rows: 0, earlyAt: 0 }
    if (sessions.length < sessionsMax) {
      sessions.splice(at, 0, session)
      return this.#afterAdd(session, sessions, context)
    }
    return after(this.#evict(sessions, context), () => {
      sessions.splice(at > 0 ? at - 1 : at, 0, session)
      return this.#afterAdd(session, sessions, context)
    })
  }

  #add(session: Session, stretch: Stretch, row: Row, sessions: Session[], context: KeyedContext): void | Promise<void> {
    const accumulator = this.#added(session.accumulator, row, context)
    if (isThenable(accumulator))
      return Promise.resolve(accumulator).then((given) => this.#prolong(session, stretch, given, sessions, context))
    return this.#prolong(session, stretch, accumulator, sessions, context)
  }

  #prolong(
    session: Session,
    { start, last }: Stretch,
    accumulator: unknown,
    sessions: Session[],
    context: KeyedContext,
  ): void | Promise<void> {
    session.accumulator = accumulator
    if (start < session.start) session.start = start
    if (last > session.last) session.last = last
    return this.#afterAdd(session, sessions, context)
  }

  /**
   * Makes one session of two that a row connects. The timer of the right one will find nothing; and had that one been given,
   * so had the left one, which ended before.
   */
  #join(left: Session, right: Session, context: KeyedContext): void | Promise<void> {
    const merge = this.#aggregate.merge as NonNullable<WindowAggregate['merge']>
    return after(merge(left.accumulator, right.accumulator, context), (accumulator) => {
      left.accumulator = accumulator
      left.last = right.last
      left.rows += right.rows
      if (left.earlyAt === 0 || (right.earlyAt !== 0 && right.earlyAt < left.earlyAt)) left.earlyAt = right.earlyAt
    })
  }

  #afterAdd(session: Session, sessions: Session[], context: KeyedContext): void | Promise<void> {
    const { clock, gapMs } = this.#shape
    const end = session.last + gapMs
    if (end <= clock.passed(context))
      return after(this.#giveOver(session, 'late', context), () => store(sessions, context))
    if (session.timer === undefined) {
      session.timer = end
      clock.set(context, end)
    }
    if (isEarlyDue(session, this.#early))
      return after(this.#give(session, 'early', true, context), () => store(sessions, context))
    armEarly(session, this.#early, earlyTag, context)
    context.put(sessions)
  }

  /** The timer of a session has fired: it is over, or has got a later end meanwhile. */
  #look(session: Session, moment: number, sessions: Session[], context: KeyedContext): void | Promise<void> {
    const { clock, gapMs, latenessMs } = this.#shape
    const end = session.last + gapMs
    if (end > moment) {
      session.timer = end
      clock.set(context, end)
      return
    }
    if (latenessMs === 0) {
      sessions.splice(sessions.indexOf(session), 1)
      disarm(session, sessions, context)
    }
    return this.#giveOver(session, session.isGiven ? 'late' : 'onTime', context)
  }

  /** Gives a session whose end has passed, and sees to it that it goes. */
  #giveOver(session: Session, kind: ResultKind, context: KeyedContext): void | Promise<void> {
    const { clock, gapMs, latenessMs } = this.#shape
    session.timer = undefined
    session.isGiven = true
    session.rows = 0
    if (latenessMs > 0) clock.set(context, session.last + gapMs + latenessMs, overTag)
    return this.#give(session, kind, latenessMs > 0, context)
  }

  #giveEarly(now: number, sessions: Session[], context: KeyedContext): void | Promise<void> {
    const due = sessions.filter((session) => session.earlyAt === now)
    return after(
      inOrder(due, (session) => (takeEarly(session) ? this.#give(session, 'early', true, context) : undefined)),
      () => {
        if (due.length > 0) store(sessions, context)
      },
    )
  }

  #dropOver(moment: number, sessions: Session[], context: KeyedContext): void {
    const { gapMs, latenessMs } = this.#shape
    const isOver = ({ last }: Session): boolean => last + gapMs + latenessMs <= moment
    const left = sessions.filter((session) => !isOver(session))
    for (const session of sessions) if (isOver(session)) disarm(session, left, context)
    if (left.length < sessions.length) store(left, context)
  }

  #evict(sessions: Session[], context: KeyedContext): void | Promise<void> {
    const oldest = sessions.shift() as Session
    disarm(oldest, sessions, context)
    context.count('evicted')
    return oldest.isGiven ? undefined : this.#give(oldest, 'early', false, context)
  }

  #give(session: Session, kind: ResultKind, isKept: boolean, context: KeyedContext): void | Promise<void> {
    const { start, last, accumulator } = session
    const end = last + this.#shape.gapMs
    return give(this.#aggregate, accumulator, { start, end, kind, time: end, isKept }, context)
  }
}

function store(sessions: readonly Session[], context: KeyedContext): void {
  context.put(sessions.length > 0 ? sessions : undefined)
}

/** Clears the timer of a session's early results, unless it is that of another one too. */
function disarm({ earlyAt }: Session, others: readonly Session[], context: KeyedContext): void {
  if (earlyAt === 0 || others.some((other) => other.earlyAt === earlyAt)) return
  context.clearTimer(earlyAt, earlyTag, 'processing')
}

/** The sessions with a function applied to each accumulator. */
export function mapSessions(cell: unknown, run: (accumulator: unknown) => unknown): unknown {
  return (cell as Session[]).map((session) => ({ ...session, accumulator: run(session.accumulator) }))
}
