import { type Projection, projectionOfPaths } from '../expressions/index.js'
import { type Input, list } from '../requests/request.js'
import { checkAttributeName, ValidationError } from '../values/index.js'

/** AttributesToGet as a projection: names of attributes, not paths. Throws ValidationError. */
export function legacyProjection(input: Input): Projection | undefined {
  const names = list(input, 'AttributesToGet') as readonly string[] | undefined
  if (names === undefined) return undefined
  const seen = new Set<string>()
  for (const name of names) {
    checkAttributeName(name)
    if (seen.has(name))
      throw new ValidationError(`One or more parameter values were invalid: Duplicate value in attribute name: ${name}`)
    seen.add(name)
  }
  return projectionOfPaths(names.map((name) => [name]))
}
