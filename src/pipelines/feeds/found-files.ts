import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { FilesPlan } from '../../operators/index.js'
import { MillraceError } from '../../runtime/index.js'
import { sinkPath } from '../../sinks/index.js'

/** Files of one source at most: their paths are stored with the run. */
const filesMax = 10_000

export interface FilesFolder {
  readonly filesFolder: string
  readonly filesOutside: boolean
}

/**
 * The files that a source names, in the order in which they are read: the list is made once, when a run begins, and files that
 * come later are none of it. Throws PIPELINE_INVALID, NOT_FOUND, TOO_LARGE.
 */
export async function foundFiles({ paths }: FilesPlan, { filesFolder, filesOutside }: FilesFolder): Promise<string[]> {
  const found = new Set<string>()
  for (const path of paths) {
    const whole = sinkPath(path, filesFolder, filesOutside, 'The source file')
    const names = path.includes('*') ? await matching(whole) : [basename(whole)]
    const parts = names.map((name) => (dirname(path) === '.' ? name : join(dirname(path), name)))
    if (parts.length === 0 || !(await isFile(join(dirname(whole), names[0] as string))))
      throw new MillraceError('NOT_FOUND', `There is no file ${whole}, which the source ${path} names.`, {
        remedy: 'Put it there, or correct the path: a relative one lies in the folder files of the data directory.',
      })
    for (const part of parts) found.add(part)
    if (found.size > filesMax)
      throw new MillraceError('TOO_LARGE', `The source ${path} names more than ${filesMax} files.`, {
        remedy: 'Run it over a part of them at a time.',
      })
  }
  return [...found]
}

/** Names of files, in the order of their code units, so that it is the same everywhere. */
async function matching(whole: string): Promise<string[]> {
  const pattern = basename(whole)
    .split('*')
    .map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'))
    .join('.*')
  const rule = new RegExp(`^${pattern}$`, 's')
  const entries = await readdir(dirname(whole), { withFileTypes: true }).catch(() => [])
  return entries.flatMap((entry) => (!entry.isDirectory() && rule.test(entry.name) ? [entry.name] : [])).sort()
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  )
