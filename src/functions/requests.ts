import { MillraceError } from '../runtime/index.js'
import { sentFiles } from './code/archive.js'
import { collectCode } from './code/collect.js'
import type { CodeLimits, CollectedCode } from './code/types.js'

/** What a function is made of, or changed by. */
export interface FunctionRequest {
  /** A file or folder on the daemon's machine, absolute. */
  readonly path?: unknown
  /** Or its files, `[{path, content: base64}]`, with what a `CollectedCode` says beside. */
  readonly files?: unknown
  readonly entry?: unknown
  readonly origin?: unknown
  readonly [setting: string]: unknown
}

/** Settings alone. */
export function settingsOf({ path, files, entry, origin, ...settings }: FunctionRequest): Record<string, unknown> {
  return settings
}

/** The code that a request brings, if it does. Throws FUNCTION_INVALID, TOO_LARGE. */
export async function codeOf(request: FunctionRequest, limits: CodeLimits): Promise<CollectedCode | undefined> {
  const { path, files, entry, origin } = request
  if (path !== undefined && typeof path !== 'string') throw invalid('path is the path of a file or folder.')
  if (files === undefined) return path === undefined ? undefined : collectCode(path, limits)
  if (entry !== undefined && typeof entry !== 'string') throw invalid('entry is the path of one of the files.')
  if (typeof origin !== 'string' || !origin.startsWith('/'))
    throw invalid('origin is the absolute path of the folder that the files come from.')
  const sent = sentFiles(files, limits)
  if (entry !== undefined && !sent.some((file) => file.path === entry))
    throw invalid(`There is no file ${entry} among the files.`)
  return { files: sent, entry, origin }
}

const invalid = (message: string): MillraceError => new MillraceError('FUNCTION_INVALID', message)
