import type { Condition, Projection } from '../expressions/index.js'
import type { Input } from '../requests/request.js'
import { legacyProjection } from './attributes-to-get.js'
import { legacyFilter } from './conditions.js'

/** What a Query or Scan has of a filter and a projection from before expressions. */
export interface LegacyReading {
  readonly filter: Condition | undefined
  readonly projection: Projection | undefined
}

/** In AWS's order for each of the two. Throws ValidationError, ValidationException. */
export function legacyReading(input: Input, parameter: 'QueryFilter' | 'ScanFilter'): LegacyReading {
  if (parameter === 'QueryFilter') {
    const filter = legacyFilter(input, parameter)
    return { filter, projection: legacyProjection(input) }
  }
  const projection = legacyProjection(input)
  return { filter: legacyFilter(input, parameter), projection }
}
