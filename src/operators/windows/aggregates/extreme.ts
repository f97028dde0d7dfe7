import { compared, type Ordered, ordered } from '../../keyed/numbers.js'
import type { Run } from '../../keyed/user-run.js'
import { after } from '../after.js'
import type { WindowAggregate } from './aggregate.js'

/** The least or greatest of what the function gives, or of the values themselves. */
export function extremeAggregate(kind: 'min' | 'max', name: string, of: Run | undefined): WindowAggregate {
  const step = `${kind}('${name}')`
  const sign = kind === 'min' ? 1 : -1
  const better = (best: unknown, given: unknown): Ordered => {
    const value = ordered(step, given)
    return best === undefined || compared(step, value, best as Ordered) * sign < 0 ? value : (best as Ordered)
  }
  return {
    isSmall: true,
    isCombined: true,
    keepsValues: false,
    add: (best, row, context) => after(of ? of(row.value, context.key) : row.value, (given) => better(best, given)),
    merge: better,
    result: (best) => best,
  }
}
