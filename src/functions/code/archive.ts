import { createHash } from 'node:crypto'
import { MillraceError } from '../../runtime/index.js'
import type { CodeFile, CodeLimits } from './types.js'

/** Length of the list of files u32be, the list as JSON ({path, bytes}, by path), then the contents one behind the other. */
export function packCode(files: readonly CodeFile[]): Buffer {
  const sorted = [...files].sort((left, right) => (left.path < right.path ? -1 : 1))
  const list = Buffer.from(JSON.stringify(sorted.map(({ path, content }) => ({ path, bytes: content.length }))))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(list.length)
  return Buffer.concat([length, list, ...sorted.map(({ content }) => content)])
}

export function* unpackCode(archive: Buffer): Generator<CodeFile> {
  const listed = archive.readUInt32BE(0)
  const list = JSON.parse(archive.toString('utf8', 4, 4 + listed)) as { path: string; bytes: number }[]
  let at = 4 + listed
  for (const { path, bytes } of list) {
    yield { path, content: archive.subarray(at, at + bytes) }
    at += bytes
  }
}

export const codeHash = (archive: Buffer): string => createHash('sha256').update(archive).digest('hex')

/** Files that were sent: `[{path, content}]`, contents in base64. Throws FUNCTION_INVALID, TOO_LARGE. */
export function sentFiles(given: unknown, { codeBytesMax, codeFilesMax }: CodeLimits): CodeFile[] {
  const invalid = (message: string): MillraceError => new MillraceError('FUNCTION_INVALID', message)
  if (!Array.isArray(given) || given.length === 0) throw invalid('files is a list of {path, content}.')
  if (given.length > codeFilesMax)
    throw new MillraceError('TOO_LARGE', `The code has more files than functionHost.codeFilesMax (${codeFilesMax}).`)
  const seen = new Set<string>()
  let bytes = 0
  return given.map((each: unknown) => {
    const { path, content } = (each ?? {}) as { path?: unknown; content?: unknown }
    if (typeof path !== 'string' || typeof content !== 'string') throw invalid('Each file has a path and a content.')
    if (!isInside(path) || seen.has(path))
      throw invalid(`${JSON.stringify(path)} is no path of a file of its own in the code.`)
    seen.add(path)
    const decoded = Buffer.from(content, 'base64')
    bytes += decoded.length
    if (bytes > codeBytesMax)
      throw new MillraceError('TOO_LARGE', `The code is larger than functionHost.codeBytesMax (${codeBytesMax}).`)
    return { path, content: decoded }
  })
}

const isInside = (path: string): boolean =>
  path.length <= 1024 &&
  !path.includes('\0') &&
  !path.includes('\\') &&
  path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
