import type { StatePlan } from '../plan/nodes.js'
import type { CellName, DueTimer, KeyedContext, KeyedOperator, Row, TimeDomain } from '../task/keyed-operator.js'
import { cellOfTimerTag, type Envelope, isTimerTag, opened, sealed, timerTagOf } from './envelope.js'

/** The operator with what its plan says of state: a version to bring older state to, a time to live. */
export function withState(operator: KeyedOperator, state: StatePlan): KeyedOperator {
  return state.version === 1 && state.ttlMs === undefined ? operator : new StatefulOperator(operator, state)
}

/**
 * Puts an operator's cells into envelopes that say their version and when they were written. State that is too old is not
 * seen any more when it is read; a timer in processing time removes it where nobody reads. A cell has one such timer at a
 * time: when it fires too early, because the cell was written meanwhile, it is set again.
 */
class StatefulOperator implements KeyedOperator {
  readonly cellsOf: KeyedOperator['cellsOf']
  readonly keepsNoValue: boolean
  readonly #operator: KeyedOperator
  readonly #state: StatePlan
  /** One for all rows: they come one after the other, also where user code is awaited. */
  readonly #context: EnvelopeContext

  constructor(operator: KeyedOperator, state: StatePlan) {
    this.#operator = operator
    this.keepsNoValue = operator.keepsNoValue === true
    this.#state = state
    this.#context = new EnvelopeContext(state)
    if (operator.cellsOf) this.cellsOf = (row, input) => operator.cellsOf?.(row, input) ?? [undefined]
  }

  cellsOfTimer(timer: DueTimer): readonly (CellName | undefined)[] {
    if (isTimerTag(timer.tag)) return [cellOfTimerTag(timer.tag)]
    return this.#operator.cellsOfTimer?.(timer) ?? [undefined]
  }

  onRow(row: Row, input: number, context: KeyedContext): void | Promise<void> {
    this.#context.inner = context
    return this.#operator.onRow(row, input, this.#context)
  }

  onTimer(timer: DueTimer, context: KeyedContext): void | Promise<void> {
    if (isTimerTag(timer.tag)) return this.#look(cellOfTimerTag(timer.tag), context)
    this.#context.inner = context
    return this.#operator.onTimer?.(timer, this.#context)
  }

  /** The timer of a cell is due: the cell goes, or was written since and is looked at again later. */
  #look(name: CellName | undefined, context: KeyedContext): void {
    const envelope = opened(context.get(name))
    const { ttlMs } = this.#state
    if (!envelope || ttlMs === undefined) return
    const endsAt = envelope.writtenAt + ttlMs
    if (endsAt <= context.now) {
      context.put(undefined, name)
      context.count('expired')
      return
    }
    context.put(sealed({ ...envelope, timerAt: endsAt }), name)
    context.setTimer(endsAt, timerTagOf(name), 'processing')
  }
}

/** The context that an operator sees: its own values, as if there were no envelopes. */
class EnvelopeContext implements KeyedContext {
  inner!: KeyedContext
  readonly #state: StatePlan

  constructor(state: StatePlan) {
    this.#state = state
  }

  get key(): unknown {
    return this.inner.key
  }

  get watermark(): number {
    return this.inner.watermark
  }

  get now(): number {
    return this.inner.now
  }

  get(name?: CellName): unknown {
    const content = this.inner.get(name)
    if (content === undefined) return undefined
    const envelope = opened(content)
    if (!envelope) return this.#migrated(content, 1)
    if (this.#isOver(envelope)) return undefined
    return this.#migrated(envelope.value, envelope.version)
  }

  #isOver({ writtenAt }: Envelope): boolean {
    const { ttlMs } = this.#state
    return ttlMs !== undefined && writtenAt + ttlMs <= this.inner.now
  }

  #migrated(value: unknown, from: number): unknown {
    const { version, migrate } = this.#state
    if (from === version) return value
    if (from > version || !migrate)
      throw new TypeError(`State of version ${from} is there, but the step's is ${version} and cannot be made of it.`)
    return migrate(value, from)
  }

  put(value: unknown, name?: CellName): void {
    const { version, ttlMs } = this.#state
    const { inner } = this
    const timerAt = opened(inner.get(name))?.timerAt
    if (value === undefined) {
      if (timerAt !== undefined) inner.clearTimer(timerAt, timerTagOf(name), 'processing')
      inner.put(undefined, name)
      return
    }
    const isNew = timerAt === undefined && ttlMs !== undefined
    const nextTimerAt = isNew ? inner.now + ttlMs : timerAt
    inner.put(sealed({ version, value, writtenAt: inner.now, timerAt: nextTimerAt }), name)
    if (isNew) inner.setTimer(inner.now + ttlMs, timerTagOf(name), 'processing')
  }

  bring(names: readonly (CellName | undefined)[]): Promise<void> | undefined {
    return this.inner.bring(names)
  }

  emit(value: unknown, time?: number): void {
    this.inner.emit(value, time)
  }

  side(output: string, value: unknown, time?: number): void {
    this.inner.side(output, value, time)
  }

  setTimer(time: number, tag?: CellName, domain?: TimeDomain): void {
    this.inner.setTimer(time, tag, domain)
  }

  clearTimer(time: number, tag?: CellName, domain?: TimeDomain): void {
    this.inner.clearTimer(time, tag, domain)
  }

  count(event: string, by?: number): void {
    this.inner.count(event, by)
  }
}
