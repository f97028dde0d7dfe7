import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { partsOf } from '../host/handler-name.js'
import type { ErrorDocument } from '../host/protocol.js'
import { errorDocument, runtimeError } from './error-document.js'

/** A handler in any of its styles. */
export type Handler = (
  event: unknown,
  context: unknown,
  callback: (error?: unknown, result?: unknown) => void,
) => unknown

/** Why a handler cannot be called, as AWS says it. */
export class InitError extends Error {
  readonly document: ErrorDocument

  constructor(document: ErrorDocument) {
    super(document.errorMessage)
    this.document = document
  }
}

/** Loads the module and finds the handler in it. Throws InitError. */
export async function loadHandler(root: string, handler: string): Promise<Handler> {
  const { module, path } = partsOf(handler)
  if (module === '' || path.some((name) => name === ''))
    throw new InitError(runtimeError('Runtime.MalformedHandlerName', 'Bad handler'))
  let found: unknown = await loadModule(join(root, module), root)
  for (const name of path) found = (found as Record<string, unknown> | null | undefined)?.[name]
  // What a CommonJS module exports as a whole is the default of an ES import, and its names are not always seen.
  if (found === undefined) throw new InitError(notFound(handler))
  if (typeof found !== 'function')
    throw new InitError(runtimeError('Runtime.HandlerNotFound', `${handler} is not a function`))
  return found as Handler
}

const notFound = (handler: string): ErrorDocument =>
  runtimeError('Runtime.HandlerNotFound', `${handler} is undefined or not exported`)

async function loadModule(base: string, root: string): Promise<Record<string, unknown>> {
  const file = ['', '.js', '.mjs', '.cjs'].map((ending) => base + ending).find((each) => isFile(each))
  if (file === undefined) {
    const name = base.slice(root.length + 1)
    throw new InitError(
      runtimeError('Runtime.ImportModuleError', `Error: Cannot find module '${name}'\nRequire stack:\n- ${root}`),
    )
  }
  try {
    const loaded = (await import(pathToFileURL(file).href)) as Record<string, unknown>
    // A CommonJS module: its exports may have names that no lexer finds.
    const whole = loaded.default
    const isCommon = createRequire(import.meta.url).cache[file] !== undefined
    return isCommon && whole !== null && (typeof whole === 'object' || typeof whole === 'function')
      ? (whole as Record<string, unknown>)
      : loaded
  } catch (thrown) {
    throw new InitError(loadError(thrown))
  }
}

const isFile = (path: string): boolean => /\.[cm]?js$/.test(path) && existsSync(path)

/** Faults in the text of a module and modules that are not there have names of their own; what it throws keeps its own. */
function loadError(thrown: unknown): ErrorDocument {
  if (thrown instanceof SyntaxError)
    return runtimeError('Runtime.UserCodeSyntaxError', `SyntaxError: ${thrown.message}`, thrown)
  const { code } = (thrown ?? {}) as { code?: unknown }
  if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND')
    return runtimeError('Runtime.ImportModuleError', `Error: ${(thrown as Error).message}`, thrown)
  return errorDocument(thrown)
}
