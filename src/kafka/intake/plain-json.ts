import { randomUUID } from 'node:crypto'

/** A value of DynamoDB JSON. */
export type RawAttribute = Readonly<Record<string, unknown>>

/*
 * Plain JSON as DynamoDB JSON, which keeps every digit of a number: a JavaScript number would lose those beyond the fifteenth.
 */

/** Only such a text has a number that a double may not hold as it is written. */
const mayLoseDigits = /[\d.]{16}|\d[eE]/

/** The attributes of a JSON object. Throws SyntaxError for what is no JSON, undefined for what is no object. */
export function attributesOfJson(text: string): Record<string, RawAttribute> | undefined {
  const value = (mayLoseDigits.test(text) ? exactJson(text) : JSON.parse(text)) as unknown
  return isMap(value) ? membersOf(value) : undefined
}

/** A number by its digits. */
class Digits {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits)

function membersOf(map: Record<string, unknown>): Record<string, RawAttribute> {
  const attributes: Record<string, RawAttribute> = {}
  for (const name of Object.keys(map))
    Object.defineProperty(attributes, name, {
      value: attributeOf(map[name]),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  return attributes
}

function attributeOf(value: unknown): RawAttribute {
  if (typeof value === 'string') return { S: value }
  if (typeof value === 'number') return { N: String(value) }
  if (value instanceof Digits) return { N: value.text }
  if (typeof value === 'boolean') return { BOOL: value }
  if (value === null) return { NULL: true }
  if (Array.isArray(value)) return { L: value.map(attributeOf) }
  return { M: membersOf(value as Record<string, unknown>) }
}

const token = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs

/** What stands before the digits of a number while the rest is read: nobody else can know it. */
const secret = `${randomUUID()}:`

/** As JSON.parse, with numbers as Digits. */
function exactJson(text: string): unknown {
  // With texts in place of its numbers, also what has a number as a name would be JSON.
  JSON.parse(text)
  const marked = text.replace(token, (found) => (found.startsWith('"') ? found : `"${secret}${found}"`))
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === 'string' && value.startsWith(secret) ? new Digits(value.slice(secret.length)) : value,
  )
}
