import { MillraceError } from '../runtime/index.js'

/** What the file system says of a file or folder of functions, as an error of ours: STORAGE_FULL or IO_FAILED. */
export function diskError(path: string, thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown
  const { code, message } = thrown as NodeJS.ErrnoException
  const isFull = code === 'ENOSPC' || code === 'EDQUOT'
  return new MillraceError(isFull ? 'STORAGE_FULL' : 'IO_FAILED', `${path} cannot be written: ${message}.`, {
    cause: thrown,
  })
}
