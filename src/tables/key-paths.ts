import { validation } from './aws-error.js'
import type { Path } from './expressions/index.js'
import type { KeySchema } from './values/index.js'

/** Key attributes are S, N or B: a path that leads into one is a mistake, which AWS says. */
export function refusePathsInKeys(paths: readonly Path[], schema: KeySchema): void {
  for (const path of paths) {
    if (path.length === 1 || (path[0] !== schema.hash.name && path[0] !== schema.range?.name)) continue
    throw validation(
      `Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: ${path[0]}`,
    )
  }
}
