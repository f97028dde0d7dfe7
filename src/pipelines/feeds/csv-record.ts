/*
 * Comma-separated values as RFC 4180 has them: a field with a comma, a quote or a line end stands in quotes, and quotes in it
 * are doubled. Lines end with a line feed, before which a carriage return may stand.
 */

const quote = 0x22
const lineFeed = 0x0a

/** Where the line feed of the record that begins at `from` is; -1 while it is not there yet. One in quotes ends nothing. */
export function recordEnd(bytes: Buffer, from: number): number {
  let isQuoted = false
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) isQuoted = !isQuoted
    else if (byte === lineFeed && !isQuoted) return at
  }
  return -1
}

/** The fields of a record. Throws SyntaxError. */
export function fieldsOf(record: string): string[] {
  const fields: string[] = []
  for (let at = 0; ; ) {
    const { text, end } = record[at] === '"' ? quotedField(record, at) : plainField(record, at)
    fields.push(text)
    if (end >= record.length) return fields
    at = end + 1
  }
}

function plainField(record: string, from: number): { text: string; end: number } {
  const comma = record.indexOf(',', from)
  const end = comma < 0 ? record.length : comma
  const text = record.slice(from, end)
  if (text.includes('"')) throw new SyntaxError('a quote stands within a field that does not begin with one')
  // A file whose lines end with it alone would be one line, the first, and so no record at all.
  if (text.includes('\r')) throw new SyntaxError('a carriage return stands alone: lines end with a line feed')
  return { text, end }
}

function quotedField(record: string, from: number): { text: string; end: number } {
  for (let at = record.indexOf('"', from + 1); at >= 0; at = record.indexOf('"', at + 2)) {
    if (record[at + 1] === '"') continue
    if (at + 1 < record.length && record[at + 1] !== ',') throw new SyntaxError('something follows a closing quote')
    return { text: record.slice(from + 1, at).replaceAll('""', '"'), end: at + 1 }
  }
  throw new SyntaxError('a quote is not closed')
}
