/** A value of DynamoDB JSON. */
type Attribute = Readonly<Record<string, unknown>>
export type ItemJson = Readonly<Record<string, Attribute>>

/** The value at a path: that of an attribute with this very name, else what lies behind its dots in maps. */
export function attributeAt(item: ItemJson, path: string): Attribute | undefined {
  if (Object.hasOwn(item, path)) return item[path]
  if (!path.includes('.')) return undefined
  let at: Attribute | undefined
  let map: ItemJson | undefined = item
  for (const name of path.split('.')) {
    if (!map || !Object.hasOwn(map, name)) return undefined
    at = map[name]
    map = at?.M as ItemJson | undefined
  }
  return at
}

/** What is searched of a value: strings, numbers and truth values, those of sets, lists and maps with it. Bytes have no text. */
export function textOf(attribute: Attribute): string {
  for (const type in attribute) {
    const value = attribute[type]
    switch (type) {
      case 'S':
      case 'N':
        return value as string
      case 'BOOL':
        return String(value)
      case 'SS':
      case 'NS':
        return (value as readonly string[]).join('\n')
      case 'L':
        return (value as readonly Attribute[]).map(textOf).join('\n')
      case 'M':
        return Object.values(value as ItemJson)
          .map(textOf)
          .join('\n')
    }
  }
  return ''
}

/** A value in plain JSON: numbers that a double would change stay text, bytes are base64, sets are lists. */
export function plainOf(attribute: Attribute): unknown {
  for (const type in attribute) {
    const value = attribute[type]
    switch (type) {
      case 'N':
        return numberOf(value as string)
      case 'NS':
        return (value as readonly string[]).map(numberOf)
      case 'NULL':
        return null
      case 'L':
        return (value as readonly Attribute[]).map(plainOf)
      case 'M':
        return Object.fromEntries(Object.entries(value as ItemJson).map(([name, each]) => [name, plainOf(each)]))
      default:
        return value
    }
  }
  return null
}

function numberOf(text: string): number | string {
  const number = Number(text)
  return String(number) === text ? number : text
}
