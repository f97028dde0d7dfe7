import { type FunctionSettings, functionNameForm, functionSettingsSchema } from '../config/index.js'
import { MillraceError } from '../runtime/index.js'
import { partsOf } from './host/handler-name.js'

/** What is known of a function: its row in the store. */
export interface FunctionDefinition {
  readonly name: string
  readonly settings: FunctionSettings
  /** SHA-256 of its code, in hexadecimal. */
  readonly codeHash: string
  readonly codeBytes: number
  /** The handler as Lambda writes it: the module without its ending, a dot, the exported name. */
  readonly handler: string
  /** The folder that its code was read from, absolute: modules beside it are found. Of a file the folder of all files that it needs. */
  readonly origin: string
  /** The file that was named, in that folder; undefined when a folder was. */
  readonly entry?: string
  /** The file or folder that it was made of, and is read again from; undefined: it was sent. */
  readonly path?: string
  /** It stands in the configuration. */
  readonly isConfigured?: boolean
  readonly createdAt: number
  readonly modifiedAt: number
  /** Rises with every change of code or settings. */
  readonly revision: number
}

/** Throws FUNCTION_INVALID. */
export function checkFunctionName(name: unknown): string {
  if (typeof name === 'string' && functionNameForm.test(name)) return name
  throw new MillraceError(
    'FUNCTION_INVALID',
    `${JSON.stringify(name)} is no name of a function: letters, digits, dash and underscore, 64 at most.`,
  )
}

/** Settings with their defaults. Throws FUNCTION_INVALID that names each fault. */
export function checkFunctionSettings(given: unknown): FunctionSettings {
  const checked = functionSettingsSchema.safeParse(given)
  if (checked.success) return checked.data
  const faults = checked.error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`)
  throw new MillraceError('FUNCTION_INVALID', `The function is not valid: ${faults.join('; ')}.`, {
    details: { faults },
  })
}

/**
 * The handler as Lambda writes it. Of a single file its own name may be left out, of a folder `index`.
 * Throws FUNCTION_INVALID.
 */
export function wholeHandler(handler: string | undefined, entry: string | undefined): string {
  if (entry === undefined) {
    if (handler === undefined) return 'index.handler'
    return handler.includes('.') ? handler : `index.${handler}`
  }
  const module = entry.replace(/\.[cm]?js$/, '')
  if (handler === undefined) return `${module}.handler`
  const { module: named, path } = partsOf(handler)
  if (named === '') return `${module}.${handler}`
  const last = module.slice(module.lastIndexOf('/') + 1)
  if (named === module || named === last) return `${module}.${path.join('.')}`
  throw new MillraceError(
    'FUNCTION_INVALID',
    `The handler ${handler} is in another file than ${entry}: give the name that this one exports.`,
  )
}
