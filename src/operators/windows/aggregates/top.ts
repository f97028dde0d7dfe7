import { kept } from '../../kept.js'
import { identityOf } from '../../keyed/identity.js'
import { compared, type Ordered, ordered } from '../../keyed/numbers.js'
import { isThenable } from '../../keyed/thenable.js'
import type { Run } from '../../keyed/user-run.js'
import type { KeyedContext, Row } from '../../task/keyed-operator.js'
import type { WindowAggregate } from './aggregate.js'

interface Entry {
  readonly score: Ordered
  readonly time: number
  readonly sequence: number
  /** What the value is about; absent where values are all about something else. */
  readonly identity?: string
  readonly value: unknown
}

export interface WindowTop {
  readonly n: number
  readonly by: Run
  /** Names what a value is about: a later one of the same name replaces it. */
  readonly id: Run | undefined
  /** Entries kept: without `id` only the first n can ever be shown, with it one of them may fall. */
  readonly max: number
}

/** The n values with the largest score, best first; of equal scores the earlier in event time is ahead, then the one read first. */
export function topAggregate(name: string, { n, by, id, max }: WindowTop): WindowAggregate {
  const step = `topN('${name}')`
  const take = (entries: Entry[], entry: Entry, context: KeyedContext): Entry[] => {
    if (entry.identity !== undefined) {
      const from = entries.findIndex((each) => each.identity === entry.identity)
      if (from >= 0 && isLater(entries[from] as Entry, entry)) return entries
      if (from >= 0) entries.splice(from, 1)
    }
    entries.splice(placeOf(step, entries, entry), 0, entry)
    if (entries.length > max) {
      entries.pop()
      if (id) context.count('dropped')
    }
    return entries
  }
  const entryOf = ({ value, time, sequence }: Row, score: unknown, identity: unknown): Entry => {
    const entry = { score: ordered(step, score), time, sequence, value: kept(value) }
    return id ? { ...entry, identity: identityOf(identity) } : entry
  }
  return {
    isSmall: false,
    keepsValues: true,
    add: (accumulator, row, context) => {
      const entries = (accumulator as Entry[] | undefined) ?? []
      const score = by(row.value, context.key)
      const identity = id?.(row.value, context.key)
      if (isThenable(score) || isThenable(identity))
        return Promise.all([score, identity]).then(([s, i]) => take(entries, entryOf(row, s, i), context))
      return take(entries, entryOf(row, score, identity), context)
    },
    merge: (into, from, context) => {
      if (into === undefined) return [...(from as Entry[])]
      for (const entry of from as Entry[]) take(into as Entry[], entry, context)
      return into
    },
    result: (entries) => (entries as Entry[]).slice(0, n).map(({ value }) => value),
  }
}

const isLater = (a: Entry, b: Entry): boolean => a.time > b.time || (a.time === b.time && a.sequence > b.sequence)

/** Behind all entries that are at least as good. */
function placeOf(step: string, entries: readonly Entry[], entry: Entry): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = entries[middle] as Entry
    const order = compared(step, other.score, entry.score)
    if (order > 0 || (order === 0 && !isLater(other, entry))) low = middle + 1
    else high = middle
  }
  return low
}
