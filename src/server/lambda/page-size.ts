import { invalid } from './fault.js'

const listMax = 10_000

/** How many a list holds, by `MaxItems`; AWS gives `pageMax` at most, whatever is asked for. Throws LambdaFault. */
export function pageSize(query: URLSearchParams, pageMax: number): number {
  const text = query.get('MaxItems')
  if (text === null) return pageMax
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= listMax) return Math.min(value, pageMax)
  const bound = value < 1 ? 'greater than or equal to 1' : `less than or equal to ${listMax}`
  throw invalid(
    `1 validation error detected: Value '${text}' at 'maxItems' failed to satisfy constraint: Member must have value ${bound}`,
  )
}
