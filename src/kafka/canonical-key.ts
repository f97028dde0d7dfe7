/**
 * The message key of a table's change: canonical JSON of the whole primary key, as RFC 8785 defines it (attribute names
 * in the order of their UTF-16 code units, no white space), with DynamoDB's types, so that the number 1 is not the
 * string "1":
 *
 *   {"ListId":{"N":"2"},"TaskId":{"S":"1_progress"}}
 *
 * The same item has the same bytes as its key for ever: compaction and partitioning rest on it. Numbers and binary
 * values are canonical already in the log.
 *
 * @param keys the key attributes as DynamoDB JSON (UTF-8), in any order
 */
export function canonicalKey(keys: Buffer): Buffer {
  const attributes = JSON.parse(keys.toString('utf8')) as Readonly<Record<string, Readonly<Record<string, string>>>>
  let text = '{'
  for (const name of Object.keys(attributes).sort()) {
    const value = attributes[name] as Readonly<Record<string, string>>
    const type = Object.keys(value)[0] as string
    if (text.length > 1) text += ','
    text += `${JSON.stringify(name)}:{"${type}":${JSON.stringify(value[type])}}`
  }
  return Buffer.from(`${text}}`)
}
