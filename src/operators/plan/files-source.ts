import type { Source } from './ends.js'
import { invalid } from './invalid.js'
import { checkMembers } from './members.js'
import type { FileFormat, SourcePlan } from './source-plan.js'

/** A line of a file that is read as a source. */
export interface FileRecord<Value = unknown> {
  /** What the column `key` says, as text; the file's path, as it was given or found, without one. */
  readonly key: string
  /** NDJSON: the line's document; CSV: an object of texts by column. */
  readonly value: Value
  /** What the column `time` says, milliseconds since 1970; when the file was written last without one. */
  readonly time: number
  readonly sequence: number
}

export interface FilesOptions {
  /** By default `csv` where all paths end with .csv, else `ndjson`. */
  readonly format?: FileFormat
  /** The member of each document, or the column, whose text is the record's key: text, a number or a boolean. */
  readonly key?: string
  /** The member or column with the record's time: milliseconds since 1970, or a date such as 2026-01-31T12:00:00Z. */
  readonly time?: string
}

/**
 * The lines of files, for a bounded run: of one, of those whose names match `*`, or of a list of both. Each is read once, from
 * its first line to its last. Relative paths lie in the folder `files` of the data directory.
 */
export function files<Value = unknown>(
  paths: string | readonly string[],
  options: FilesOptions = {},
): Source<FileRecord<Value>, { readonly key: string }> {
  const all = typeof paths === 'string' ? [paths] : [...(paths ?? [])]
  if (all.length === 0 || !all.every((path) => typeof path === 'string' && path !== ''))
    throw invalid('A source of files names none.', "Name them: files('in/*.ndjson'), or a list of paths.")
  const where = `The source of files ${all.join(', ')}`
  checkMembers<FilesOptions>(options, { format: true, key: true, time: true }, where)
  const { format = all.every((path) => /\.csv$/i.test(path)) ? 'csv' : 'ndjson', key, time } = options
  if (all.some((path) => /\*.*[\\/]/.test(path)))
    throw invalid(
      `${where} has a * in the name of a folder.`,
      'Only the names of files may have one; list the folders.',
    )
  if (format !== 'ndjson' && format !== 'csv')
    throw invalid(`${where} has the format ${JSON.stringify(format)}.`, "Choose 'ndjson' or 'csv'.")
  for (const [name, column] of Object.entries({ key, time }))
    if (column !== undefined && (typeof column !== 'string' || column === ''))
      throw invalid(
        `${where} has a ${name} that is no column.`,
        `Name a column; for what a function makes use ${name === 'key' ? 'keyBy' : 'eventTime'}.`,
      )
  const plan: SourcePlan = {
    kind: 'files',
    paths: all,
    format,
    ...(key === undefined ? {} : { key }),
    ...(time === undefined ? {} : { time }),
  }
  return { source: plan }
}
