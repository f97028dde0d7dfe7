import { isUtf8 } from 'node:buffer'
import { Codec, type NewRecord, RecordKind } from '../../log/index.js'
import type { FilesPlan } from '../../operators/index.js'
import { hashKey } from '../../runtime/index.js'
import { fieldsOf } from './csv-record.js'

/** Longest key of a record, bytes. */
const keyBytesMax = 2048

/** What the lines of one file have in common. */
export interface LinesOf {
  /** The file's path: the key where no column says another. */
  readonly path: string
  /** When the file was written last, milliseconds since 1970: the time where no column says another. */
  readonly time: number
  /** Of a CSV file. */
  readonly columns: readonly string[] | undefined
}

/** The columns that the first line of a CSV file names. Throws SyntaxError. */
export function columnsOf(line: Buffer, { key, time }: FilesPlan): string[] {
  const columns = fieldsOf(textOf(line))
  if (columns.includes('')) throw new SyntaxError('its first line has a column without a name')
  if (new Set(columns).size !== columns.length) throw new SyntaxError('its first line names a column twice')
  for (const column of [key, time])
    if (column !== undefined && !columns.includes(column)) throw new SyntaxError(`it has no column ${column}`)
  return columns
}

/** The record that a line makes; undefined of an empty one. Throws SyntaxError. */
export function recordOf(line: Buffer, { format, key, time }: FilesPlan, of: LinesOf): NewRecord | undefined {
  const text = textOf(line)
  if (text.trim() === '') return undefined
  const value: unknown = format === 'csv' ? rowOf(text, of.columns ?? []) : JSON.parse(text)
  const keyBytes = Buffer.from(key === undefined ? of.path : keyOf(memberOf(value, key), key))
  if (keyBytes.length > keyBytesMax) throw new SyntaxError(`its key is longer than ${keyBytesMax} bytes`)
  return {
    hash: hashKey(keyBytes),
    kind: RecordKind.append,
    flags: 0,
    codec: Codec.json,
    time: time === undefined ? of.time : timeOf(memberOf(value, time), time),
    key: keyBytes,
    body: format === 'csv' ? Buffer.from(JSON.stringify(value)) : Buffer.from(line),
  }
}

function textOf(line: Buffer): string {
  if (!isUtf8(line)) throw new SyntaxError('it is not UTF-8')
  return line.toString()
}

function rowOf(text: string, columns: readonly string[]): Record<string, string> {
  const fields = fieldsOf(text)
  if (fields.length !== columns.length)
    throw new SyntaxError(`it has ${fields.length} fields, and the first line names ${columns.length}`)
  return Object.fromEntries(columns.map((column, i) => [column, fields[i] as string]))
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
}

function keyOf(value: unknown, name: string): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new SyntaxError(`its ${name} is no key: text, a number or a boolean`)
}

function timeOf(value: unknown, name: string): number {
  const isText = typeof value === 'string' && value !== ''
  const time =
    typeof value === 'number' ? value : !isText ? Number.NaN : /^\d+$/.test(value) ? Number(value) : Date.parse(value)
  if (Number.isFinite(time) && time >= 0 && time <= 8.64e15) return Math.floor(time)
  throw new SyntaxError(`its ${name} is no time: milliseconds since 1970, or a date`)
}
