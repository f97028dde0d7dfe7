type Attribute = Readonly<Record<string, unknown>>

/**
 * An item in plain JSON, from its DynamoDB JSON: the types are gone. Numbers keep every digit (a reader that takes them
 * for doubles loses some beyond 15), binary values are base64 strings, sets are arrays.
 */
export function plainImage(dynamoJson: Buffer): Buffer {
  return Buffer.from(plainMap(JSON.parse(dynamoJson.toString('utf8')) as Readonly<Record<string, Attribute>>))
}

function plainMap(map: Readonly<Record<string, Attribute>>): string {
  let text = ''
  for (const name of Object.keys(map)) {
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${plainValue(map[name] as Attribute)}`
  }
  return `{${text}}`
}

function plainValue(value: Attribute): string {
  const type = Object.keys(value)[0] as string
  const inner = value[type]
  switch (type) {
    case 'N':
      return inner as string
    case 'NULL':
      return 'null'
    case 'NS':
      return `[${(inner as readonly string[]).join(',')}]`
    case 'M':
      return plainMap(inner as Readonly<Record<string, Attribute>>)
    case 'L':
      return `[${(inner as readonly Attribute[]).map(plainValue).join(',')}]`
    default:
      return JSON.stringify(inner)
  }
}
