import { added, finite } from '../../keyed/numbers.js'
import { isThenable } from '../../keyed/thenable.js'
import type { Run } from '../../keyed/user-run.js'
import type { WindowAggregate } from './aggregate.js'

export function countAggregate(): WindowAggregate {
  return {
    isSmall: true,
    isCombined: true,
    keepsValues: false,
    add: (count) => ((count as number | undefined) ?? 0) + 1,
    merge: (into, from) => ((into as number | undefined) ?? 0) + (from as number),
    result: (count) => count,
  }
}

export function sumAggregate(name: string, of: Run): WindowAggregate {
  const step = `sum('${name}')`
  const plus = (sum: unknown, amount: unknown): number =>
    added(step, (sum as number | undefined) ?? 0, finite(step, amount))
  return {
    isSmall: true,
    isCombined: true,
    keepsValues: false,
    add: (sum, row, context) => {
      const amount = of(row.value, context.key)
      return isThenable(amount) ? Promise.resolve(amount).then((each) => plus(sum, each)) : plus(sum, amount)
    },
    merge: plus,
    result: (sum) => sum,
  }
}

interface Mean {
  sum: number
  count: number
}

export function averageAggregate(name: string, of: Run): WindowAggregate {
  const step = `average('${name}')`
  const plus = (mean: Mean | undefined, sum: number, count: number): Mean => {
    if (!mean) return { sum, count }
    mean.sum = added(step, mean.sum, sum)
    mean.count += count
    return mean
  }
  return {
    isSmall: true,
    isCombined: true,
    keepsValues: false,
    add: (mean, row, context) => {
      const amount = of(row.value, context.key)
      const plusOne = (each: unknown): Mean => plus(mean as Mean | undefined, finite(step, each), 1)
      return isThenable(amount) ? Promise.resolve(amount).then(plusOne) : plusOne(amount)
    },
    merge: (into, from) => plus(into as Mean | undefined, (from as Mean).sum, (from as Mean).count),
    result: (mean) => (mean as Mean).sum / (mean as Mean).count,
  }
}
