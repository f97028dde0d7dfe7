import type { KeyConditions } from '../expressions/index.js'
import { after } from '../items/item-row.js'
import { encodeKeyValue } from '../values/index.js'

/** A range of rows. */
export interface Bounds {
  readonly gte?: Buffer
  readonly gt?: Buffer
  readonly lt?: Buffer
  readonly lte?: Buffer
}

/**
 * The rows of a partition that fulfil key conditions. `isOpen`: what the last of these is on is not the end of a row's key,
 * so that one value is a range of rows.
 */
export function boundsOf(partition: Buffer, { equal, range }: KeyConditions, isOpen: boolean): Bounds {
  const prefix = equal.length === 0 ? partition : Buffer.concat([partition, ...equal.map(encodeKeyValue)])
  const whole = { gte: prefix, lt: after(prefix) }
  if (!range) return whole
  const { operator, values } = range
  const [first, second] = values.map((value) => Buffer.concat([prefix, encodeKeyValue(value)]))
  const low = first as Buffer
  const upTo = (key: Buffer): Bounds => (isOpen ? { lt: after(key) } : { lte: key })
  switch (operator) {
    case '=':
      return { gte: low, ...upTo(low) }
    case '<':
      return { gte: whole.gte, lt: low }
    case '<=':
      return { gte: whole.gte, ...upTo(low) }
    case '>':
      return { ...(isOpen ? { gte: after(low) } : { gt: low }), lt: whole.lt }
    case '>=':
      return { gte: low, lt: whole.lt }
    case 'BETWEEN':
      return { gte: low, ...upTo(second as Buffer) }
    case 'begins_with': {
      // Without its terminator an encoded text or binary is a prefix of all that begin with it.
      const beginning = low.subarray(0, low.length - 2)
      return { gte: beginning, lt: after(beginning) }
    }
  }
}

/** The rest of a range behind a row that lies in it. */
export function continueFrom(bounds: Bounds, last: Buffer | undefined, reverse: boolean): Bounds {
  if (!last) return bounds
  if (reverse) {
    const { lt: _, lte: __, ...low } = bounds
    return { ...low, lt: last }
  }
  const { gte: _, gt: __, ...high } = bounds
  return { ...high, gt: last }
}

export function isInside(key: Buffer, { gte, gt, lt, lte }: Bounds): boolean {
  const isAbove = lt ? Buffer.compare(key, lt) >= 0 : lte ? Buffer.compare(key, lte) > 0 : false
  const isBelow = gte ? Buffer.compare(key, gte) < 0 : gt ? Buffer.compare(key, gt) <= 0 : false
  return !isAbove && !isBelow
}
