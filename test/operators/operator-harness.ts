import type {
  CellName,
  DueTimer,
  KeyedContext,
  KeyedOperator,
  Row,
  TimeDomain,
} from '../../src/operators/task/keyed-operator.js'

/** What an operator gave. */
export interface Emitted {
  readonly key: string
  readonly value: unknown
  readonly time: number
  /** undefined: the main output. */
  readonly output: string | undefined
}

interface Timer extends DueTimer {
  readonly key: string
}

/**
 * One keyed operator alone, on a single task with a single source: cells are cloned at every put and get, so that an
 * operator that changes an object in place without a put fails its tests.
 */
export class OperatorHarness {
  readonly emitted: Emitted[] = []
  readonly counts = new Map<string, number>()
  readonly cells = new Map<string, unknown>()
  watermark = Number.NEGATIVE_INFINITY
  now = 0
  readonly #operator: KeyedOperator
  #timers: Timer[] = []
  #sequence = 0
  /** Cells that were named for the row or timer under way. */
  #brought = new Set<string>()

  /** Cells are cloned, or with `inPlace` given as they are, as the engine does: then what was emitted must not change. */
  readonly #clone: (value: unknown) => unknown

  constructor(operator: KeyedOperator, cells: 'cloned' | 'inPlace' = 'cloned') {
    this.#operator = operator
    this.#clone = cells === 'cloned' ? structuredClone : (value) => value
  }

  /** A row of a key at an event time; `stamp` is the watermark now unless another is given. */
  async push(key: string, value: unknown, time: number, input = 0, stamp = this.watermark): Promise<void> {
    const row: Row = { value, time, stamp, sequence: ++this.#sequence }
    this.#bring(key, this.#operator.cellsOf?.(row, input) ?? [undefined])
    await this.#operator.onRow(row, input, this.#context(key, time))
    await this.#fire()
  }

  /** Raises the watermark and fires what is due. */
  async advance(watermark: number): Promise<void> {
    this.watermark = Math.max(this.watermark, watermark)
    await this.#fire()
  }

  /** Processing time goes on, and fires what is due. */
  async pass(now: number): Promise<void> {
    this.now = Math.max(this.now, now)
    await this.#fire()
  }

  /** Values of the main output. */
  get values(): unknown[] {
    return this.emitted.filter(({ output }) => output === undefined).map(({ value }) => value)
  }

  get timerCount(): number {
    return this.#timers.length
  }

  #bring(key: string, names: readonly (CellName | undefined)[]): void {
    this.#brought = new Set(names.map((name) => cellOf(key, name)))
  }

  async #fire(): Promise<void> {
    for (;;) {
      const due = this.#timers
        .filter(({ domain, time }) => time <= (domain === 'event' ? this.watermark : this.now))
        .sort((a, b) => a.time - b.time)[0]
      if (!due) return
      this.#timers = this.#timers.filter((timer) => timer !== due)
      this.#bring(due.key, this.#operator.cellsOfTimer?.(due) ?? [undefined])
      await this.#operator.onTimer?.(due, this.#context(due.key, due.time))
    }
  }

  #context(key: string, at: number): KeyedContext {
    const checked = (name: CellName | undefined): string => {
      const cell = cellOf(key, name)
      if (!this.#brought.has(cell)) throw new Error(`The cell ${cell} was not brought.`)
      return cell
    }
    return {
      key,
      watermark: this.watermark,
      now: this.now,
      get: (name) => this.#clone(this.cells.get(checked(name))),
      put: (value, name) => {
        if (value === undefined) this.cells.delete(checked(name))
        else this.cells.set(checked(name), this.#clone(value))
      },
      bring: (names) => {
        for (const name of names) this.#brought.add(cellOf(key, name))
        return undefined
      },
      emit: (value, time = at) => {
        this.emitted.push({ key, value, time, output: undefined })
      },
      side: (output, value, time = at) => {
        this.emitted.push({ key, value, time, output })
      },
      setTimer: (time, tag, domain = 'event') => {
        if (this.#timers.some((timer) => isSame(timer, key, time, tag, domain))) return
        this.#timers.push({ key, time, tag, domain })
      },
      clearTimer: (time, tag, domain = 'event') => {
        this.#timers = this.#timers.filter((timer) => !isSame(timer, key, time, tag, domain))
      },
      count: (event, by = 1) => {
        this.counts.set(event, (this.counts.get(event) ?? 0) + by)
      },
    }
  }
}

const cellOf = (key: string, name: CellName | undefined): string => `${key}/${typeof name}:${name}`

const isSame = (timer: Timer, key: string, time: number, tag: CellName | undefined, domain: TimeDomain): boolean =>
  timer.key === key && timer.time === time && timer.tag === tag && timer.domain === domain
