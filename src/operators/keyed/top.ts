import { kept } from '../kept.js'
import type { KeyedContext, KeyedOperator, Row } from '../task/keyed-operator.js'
import { stateIn } from './envelope.js'
import { identityOf } from './identity.js'
import { compared, type Ordered, ordered } from './numbers.js'
import { isThenable } from './thenable.js'
import type { Run } from './user-run.js'

interface Entry {
  readonly score: Ordered
  /** Counts what came; of equal scores the earlier is ahead. */
  readonly arrival: number
  readonly value: unknown
  readonly identity: string | undefined
}

interface Ranking {
  /** Best first. */
  readonly entries: Entry[]
  arrivals: number
}

export interface TopOptions {
  readonly n: number
  readonly by: Run
  /** Names what a value is about: a later one of the same name replaces it. */
  readonly id: Run | undefined
  /** Entries kept: without `id` only the first n can ever be shown, with it one of them may fall. */
  readonly max: number
}

/** The n values with the largest score, best first; given on whenever they change. */
export class Top implements KeyedOperator {
  readonly #step: string
  readonly #options: TopOptions

  constructor(name: string, options: TopOptions) {
    this.#step = `topN('${name}')`
    this.#options = options
  }

  onRow(row: Row, _input: number, context: KeyedContext): void | Promise<void> {
    const { by, id } = this.#options
    const score = by(row.value, context.key)
    const name = id?.(row.value, context.key)
    if (isThenable(score) || isThenable(name))
      return Promise.all([score, name]).then(([s, n]) => this.#take(row.value, s, n, context))
    this.#take(row.value, score, name, context)
  }

  #take(value: unknown, score: unknown, name: unknown, context: KeyedContext): void {
    const { n, id, max } = this.#options
    const ranking = (stateIn(context) as Ranking | undefined) ?? { entries: [], arrivals: 0 }
    const { entries } = ranking
    const identity = id ? identityOf(name) : undefined
    const entry: Entry = {
      score: ordered(this.#step, score),
      arrival: ++ranking.arrivals,
      value: kept(value),
      identity,
    }
    const from = identity === undefined ? -1 : entries.findIndex((each) => each.identity === identity)
    if (from >= 0) entries.splice(from, 1)
    const to = this.#placeOf(entry, entries)
    entries.splice(to, 0, entry)
    if (entries.length > max) {
      entries.pop()
      if (id) context.count('dropped')
    }
    context.put(ranking)
    if (to < n || (from >= 0 && from < n)) context.emit(entries.slice(0, n).map((each) => each.value))
  }

  /** Behind all entries that are at least as good. */
  #placeOf(entry: Entry, entries: readonly Entry[]): number {
    let low = 0
    let high = entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compared(this.#step, (entries[middle] as Entry).score, entry.score) >= 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
