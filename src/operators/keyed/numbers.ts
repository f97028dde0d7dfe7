/** A number that a user's function gave. Throws TypeError for one that nothing can be added to. */
export function finite(step: string, given: unknown): number {
  if (typeof given === 'number' && Number.isFinite(given)) return given
  throw new TypeError(`${step} was given ${inWords(given)}, which is no finite number.`)
}

/** What was given in place of a number, for people. */
function inWords(given: unknown): string {
  if (typeof given === 'number' || given === null || given === undefined) return String(given)
  return typeof given === 'object' ? 'an object' : `a ${typeof given}`
}

/** The sum of two finite numbers. Throws TypeError when it is none. */
export function added(step: string, sum: number, amount: number): number {
  const next = sum + amount
  if (!Number.isFinite(next)) throw new TypeError(`${step} has grown past the largest number.`)
  return next
}

/** What can be put in an order. */
export type Ordered = string | number | bigint

/** A value that can be compared with others. Throws TypeError for one that cannot. */
export function ordered(step: string, given: unknown): Ordered {
  if (typeof given === 'string' || typeof given === 'bigint') return given
  if (typeof given === 'number' && !Number.isNaN(given)) return given
  throw new TypeError(`${step} was given ${inWords(given)}: it takes numbers, bigints or texts.`)
}

/** Below 0 when `a` comes first. Throws TypeError for a text and a number. */
export function compared(step: string, a: Ordered, b: Ordered): number {
  if ((typeof a === 'string') !== (typeof b === 'string'))
    throw new TypeError(`${step} was given a text and a number, which have no order.`)
  return a < b ? -1 : a > b ? 1 : 0
}
