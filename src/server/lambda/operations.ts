import type { LambdaOperation } from './call.js'
import { mappingOperations } from './event-source-mappings.js'
import { fault, invalid } from './fault.js'
import { functionOperations } from './functions.js'
import { invokeOperations } from './invoke.js'
import { refusedOperations } from './refused.js'

const operations: readonly LambdaOperation[] = [
  ...functionOperations,
  ...invokeOperations,
  ...mappingOperations,
  ...refusedOperations,
]

const patterns = operations.map((operation) => ({ operation, parts: operation.path.split('/') }))

/** All paths of the Lambda API begin with the day of its version. */
export const isLambdaPath = (path: string): boolean => /^\/20\d\d-\d\d-\d\d\//.test(path)

/** Throws LambdaFault. */
export function operationOf(
  method: string,
  path: string,
): { readonly operation: LambdaOperation; readonly names: readonly string[] } {
  const parts = path.replace(/\/$/, '').split('/').map(decoded)
  for (const { operation, parts: pattern } of patterns) {
    if (operation.method !== method || pattern.length !== parts.length) continue
    if (pattern.every((part, i) => (part.startsWith('{') ? parts[i] !== '' : part === parts[i])))
      return { operation, names: parts.filter((_, i) => pattern[i]?.startsWith('{')) }
  }
  throw fault('UnknownOperationException', 404, `The Lambda API has no operation ${method} ${path} here.`)
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid(`The path has a badly encoded part: ${part}.`)
  }
}
