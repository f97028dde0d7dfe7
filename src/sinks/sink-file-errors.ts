import { MillraceError } from '../runtime/index.js'

const impossiblePaths = new Set(['ENAMETOOLONG', 'EISDIR', 'ENOTDIR', 'ERR_INVALID_ARG_VALUE'])

/** What a deploy says of a path at which nothing can be written. */
export function impossiblePath(path: string, error: unknown): MillraceError | undefined {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (!impossiblePaths.has(code)) return undefined
  return new MillraceError('PIPELINE_INVALID', `No file can be written at ${path.slice(0, 500)} (${code}).`, {
    remedy: 'Give the file sink another path.',
    cause: error,
  })
}

export const fileChanged = (path: string, how: string): MillraceError =>
  new MillraceError('SINK_FILE_CHANGED', `The file ${path} of a sink ${how}.`)

export const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

export function asSinkError(path: string, error: unknown): MillraceError {
  if (error instanceof MillraceError) return error
  const { code, message } = error as NodeJS.ErrnoException
  return new MillraceError(
    code === 'ENOSPC' ? 'STORAGE_FULL' : 'IO_FAILED',
    `The file ${path} of a sink cannot be written: ${message}.`,
    { cause: error },
  )
}
