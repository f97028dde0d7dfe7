import { listIndexMax, type Path, pathDepthMax } from '../expressions/index.js'
import { ValidationError } from '../values/index.js'
import type { Literals } from './literals.js'
import type { Expression, PathStep } from './syntax.js'

/** The document path that an expression is. Throws ValidationError. */
export function pathOf(expression: Extract<Expression, { kind: 'path' }>, literals: Literals): Path {
  const path: [string, ...(string | number)[]] = [expression.name]
  if (expression.name === '') throw new ValidationError('Path component cannot be an empty string')
  for (const step of expression.steps) path.push(stepOf(step, literals))
  if (path.length > pathDepthMax)
    throw new ValidationError(`The document path has too many nesting levels; nesting levels: ${path.length}`)
  return path
}

function stepOf(step: PathStep, literals: Literals): string | number {
  switch (step.kind) {
    case 'member':
      if (step.name === '') throw new ValidationError('Path component cannot be an empty string')
      return step.name
    case 'element':
      return elementOf(step.index, literals)
    case 'unpivot':
      throw new ValidationError('Unpivot path component like a.*.b are not supported')
    case 'wildcard':
      throw new ValidationError('Wildcard path component like a[*].b are not supported')
  }
}

function elementOf(index: Expression, literals: Literals): string | number {
  if (index.kind === 'string') return index.text
  if (index.kind !== 'number') throw new ValidationError(`Unexpected path component${literals.at(index.place)}`)
  const position = Number(index.text)
  if (!Number.isInteger(position) || position < 0 || position > listIndexMax) {
    throw new ValidationError(
      `List index is not within the allowable range; index: [${index.text}]${literals.at(index.place)}`,
    )
  }
  // -0 is 0.
  return position + 0
}
