import { type Duration, durationMs } from './duration.js'
import type { Sink } from './ends.js'
import { invalid } from './invalid.js'
import { checkMembers } from './members.js'
import type { FileSinkPlan } from './sink-plan.js'
import type { FileFormat } from './source-plan.js'

export interface FileSinkOptions {
  /** `ndjson` by default. */
  readonly format?: FileFormat
  /** Columns of a CSV file, in order; its first line names them. */
  readonly columns?: readonly string[]
  /** When the file is closed under a name of its own and another is begun. */
  readonly roll?: { readonly bytesMax?: number; readonly every?: Duration }
}

/**
 * A file as a sink: each result, or what the function makes of it, is one line. Exactly once. A relative path lies in the
 * folder `files` of the data directory.
 */
export function file<Value = unknown, Key = unknown>(
  path: string,
  line?: ((value: Value, key: Key) => unknown) | undefined,
  options?: FileSinkOptions,
): Sink<Value, Key> {
  const where = `The file sink ${path}`
  checkMembers<FileSinkOptions>(options, { format: true, columns: true, roll: true }, where)
  const { format = 'ndjson', columns } = options ?? {}
  checkFormat(format, where)
  if ((format === 'csv') !== (Array.isArray(columns) && columns.length > 0))
    throw invalid(`${where} has ${format === 'csv' ? 'no columns' : 'columns, but is no CSV file'}.`, csvRemedy)
  if (columns !== undefined && !areColumns(columns))
    throw invalid(`${where} has columns that are no names, or one of them twice.`, csvRemedy)
  const roll = rollOf(options?.roll, where)
  return { sink: { kind: 'file', path, run: line as FileSinkPlan['run'], format, columns, roll } }
}

const csvRemedy = "Give a CSV file its columns: file(path, line, { format: 'csv', columns: ['a', 'b'] })."

const areColumns = (columns: readonly unknown[]): boolean =>
  columns.every((column) => typeof column === 'string' && column !== '') && new Set(columns).size === columns.length

function rollOf(roll: FileSinkOptions['roll'], where: string): FileSinkPlan['roll'] {
  if (roll === undefined) return undefined
  checkMembers<typeof roll>(roll, { bytesMax: true, every: true }, `roll of ${where}`)
  const { bytesMax, every } = roll
  if (bytesMax !== undefined && !(Number.isSafeInteger(bytesMax) && bytesMax > 0))
    throw invalid(`${where} rolls at ${String(bytesMax)} bytes.`, 'Give bytesMax as whole bytes above 0.')
  if (bytesMax === undefined && every === undefined)
    throw invalid(`${where} rolls, but is not told when.`, 'Give roll a bytesMax, an every, or both.')
  return { bytesMax, everyMs: every === undefined ? undefined : durationMs(every, `the roll of ${where}`) }
}

function checkFormat(format: unknown, where: string): void {
  if (format !== 'ndjson' && format !== 'csv')
    throw invalid(`${where} has the format ${JSON.stringify(format)}.`, "Choose 'ndjson' or 'csv'.")
}
