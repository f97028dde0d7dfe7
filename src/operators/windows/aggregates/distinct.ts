import { identityOf } from '../../keyed/identity.js'
import type { Run } from '../../keyed/user-run.js'
import type { KeyedContext } from '../../task/keyed-operator.js'
import { after } from '../after.js'
import type { WindowAggregate } from './aggregate.js'

/** How many different values there are, up to a bound; what would be one more is counted as dropped. */
export function distinctAggregate(of: Run | undefined, max: number): WindowAggregate {
  const take = (seen: Set<string>, identity: string, context: KeyedContext): void => {
    if (seen.size < max) seen.add(identity)
    else if (!seen.has(identity)) context.count('dropped')
  }
  return {
    isSmall: false,
    keepsValues: false,
    add: (accumulator, row, context) =>
      after(of ? of(row.value, context.key) : row.value, (given) => {
        const seen = (accumulator as Set<string> | undefined) ?? new Set<string>()
        take(seen, identityOf(given), context)
        return seen
      }),
    merge: (into, from, context) => {
      if (into === undefined) return new Set(from as Set<string>)
      for (const identity of from as Set<string>) take(into as Set<string>, identity, context)
      return into
    },
    result: (seen) => (seen as Set<string>).size,
  }
}
