import { jsonOf } from './json-text.js'

/**
 * Comma-separated values as RFC 4180 has them, but for the line end, which is a line feed: a field with a comma, a quote or a
 * line end stands in quotes, and quotes in it are doubled.
 */

/** A result as a line: a member for each column. Missing and null ones are empty; objects stand as JSON. Throws TypeError. */
export function csvLine(result: unknown, columns: readonly string[]): string {
  if (typeof result !== 'object' || result === null || Array.isArray(result))
    throw new TypeError('A CSV file takes an object with a member for each of its columns.')
  const members = result as Readonly<Record<string, unknown>>
  return columns.map((column) => csvField(textOf(memberOf(members, column), column))).join(',')
}

/** A column may be called as what every object has: `constructor`, `toString`. */
function memberOf(members: Readonly<Record<string, unknown>>, column: string): unknown {
  return column in Object.prototype && !Object.hasOwn(members, column) ? undefined : members[column]
}

export const csvHeader = (columns: readonly string[]): string => columns.map(csvField).join(',')

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function textOf(value: unknown, column: string): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'undefined':
      return ''
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object':
      if (value === null) return ''
      if (value instanceof Date) return dateText(value)
      if (value instanceof Uint8Array)
        return Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64')
      return jsonOf(value, `The column ${column} of a CSV file`)
    default:
      throw new TypeError(`The column ${column} of a CSV file was given a ${typeof value}.`)
  }
}

/** As JSON has it: a date that is none is missing. */
const dateText = (date: Date): string => (Number.isNaN(date.getTime()) ? '' : date.toISOString())
