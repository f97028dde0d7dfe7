import { type Path, readPath } from '../expressions/index.js'
import { type Item, setAttribute, ValidationError } from '../values/index.js'
import type { Literals } from './literals.js'
import { pathOf } from './paths.js'
import type { ProjectedSyntax } from './syntax.js'

/** One thing that a SELECT gives, under the name that it has in the answer. */
export interface Column {
  readonly name: string
  readonly path: Path
}

/** Throws ValidationError. */
export function compileProjection(list: readonly ProjectedSyntax[], literals: Literals): Column[] {
  const names = new Set<string>()
  return list.map(({ expression, hasAlias }) => {
    if (hasAlias) throw new ValidationError('Aliasing is not supported')
    if (expression.kind !== 'path')
      throw new ValidationError(`Unexpected path component${literals.at(expression.place)}`)
    const path = pathOf(expression, literals)
    const name = columnName(path)
    if (names.has(name)) throw new ValidationError(`Duplicate identifiers in select clause: ${name}`)
    names.add(name)
    return { name, path }
  })
}

/** The last name of a path with the positions behind it: `b[0]` of `a.b[0]`. */
function columnName(path: Path): string {
  let name = ''
  for (const step of path) name = typeof step === 'string' ? step : `${name}[${step}]`
  return name
}

/** What an item has of the columns, flat. */
export function selectColumns(columns: readonly Column[], item: Item): Item {
  const selected: Item = {}
  for (const { name, path } of columns) {
    const value = readPath(item, path)
    if (value !== undefined) setAttribute(selected, name, value)
  }
  return selected
}
