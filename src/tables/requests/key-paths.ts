import type { TableRow } from '../catalogue/table-row.js'
import { type Condition, conditionPaths, type Path, type Update, updateReadPaths } from '../expressions/index.js'
import { notScalar } from '../indexes/index.js'
import { validation } from './aws-error.js'

/** Key attributes are S, N or B: a path that leads into one, of the table or of an index, is a mistake, which AWS says. */
export function refusePathsInKeys(
  paths: readonly Path[],
  { schema, indexes }: Pick<TableRow, 'schema' | 'indexes'>,
): void {
  const nested = paths.filter((path) => path.length > 1)
  if (nested.length === 0) return
  for (const [name] of nested) {
    if (name !== schema.hash.name && name !== schema.range?.name) continue
    throw validation(
      `Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: ${name}`,
    )
  }
  const names = new Set((indexes ?? []).flatMap(({ hash, range }) => [...hash, ...range].map(({ name }) => name)))
  for (const [name] of nested) if (names.has(name)) throw notScalar(name)
}

/** As refusePathsInKeys, of what a write reads: its condition, and the values that its update sets. */
export function refuseKeyPathsOfWrite(
  row: Pick<TableRow, 'schema' | 'indexes'>,
  { condition, update }: { readonly condition?: Condition | undefined; readonly update?: Update | undefined },
): void {
  if (update) refusePathsInKeys(updateReadPaths(update), row)
  if (condition) refusePathsInKeys(conditionPaths(condition), row)
}
