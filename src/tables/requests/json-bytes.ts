const nothing = Buffer.from('{}')

/** A JSON object of members whose values are JSON already. */
export function members(entries: readonly (readonly [string, Buffer | undefined])[]): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of entries) {
    if (value === undefined) continue
    parts.push(Buffer.from(`${parts.length === 0 ? '{' : ','}"${name}":`), value)
  }
  if (parts.length === 0) return nothing
  parts.push(Buffer.from('}'))
  return Buffer.concat(parts)
}

const comma = Buffer.from(',')

/** A JSON array of elements that are JSON already. */
export function array(elements: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from('[')]
  elements.forEach((element, i) => {
    if (i > 0) parts.push(comma)
    parts.push(element)
  })
  parts.push(Buffer.from(']'))
  return Buffer.concat(parts)
}
