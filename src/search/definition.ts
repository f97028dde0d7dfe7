import { MillraceError } from '../runtime/errors.js'

/** An attribute whose text is searched: its name, or a path with dots into maps; what lies in lists and sets is all of it. */
export interface IndexedField {
  readonly path: string
  /** How much more than 1 a word in it counts. */
  readonly boost: number
}

/** What an index is made of. */
export interface IndexDefinition {
  readonly name: string
  readonly table: string
  readonly fields: readonly IndexedField[]
  /** Attributes whose values come with a hit. */
  readonly stored: readonly string[]
}

/** As a client gives it. */
export interface IndexRequest {
  readonly name: string
  readonly table: string
  /** Paths, each with `^BOOST` behind it where it counts more or less than others: `title^3`. */
  readonly fields: readonly string[]
  /** Attributes that come with a hit; the fields by default. */
  readonly store?: readonly string[]
}

/** Each word is counted for each field that it stands in. */
export const fieldsMax = 32
const pathCharactersMax = 255
const boostMax = 1000

/** Words that the command has behind `millrace search`. */
const reservedNames = new Set(['create', 'list', 'show', 'rebuild', 'delete', 'query', 'help'])
export const indexNameRule = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/

/** Throws BAD_REQUEST and says what is wrong. Whether the table is there is not looked at. */
export function checkIndexRequest(given: Readonly<Record<string, unknown>>): IndexDefinition {
  const unknown = Object.keys(given).find((member) => !['name', 'table', 'fields', 'store'].includes(member))
  if (unknown !== undefined) throw bad(`The member ${unknown} is not known; there are name, table, fields and store.`)
  const { name, table, fields, store } = given
  if (typeof name !== 'string' || !indexNameRule.test(name))
    throw bad('An index has a name of letters, digits, dots, dashes and underscores, 128 at most.')
  if (reservedNames.has(name)) throw bad(`${name} is a word of the command \`millrace search\`: give another name.`)
  if (typeof table !== 'string' || table === '') throw bad('An index names its table.')
  const indexed = textsOf(fields, 'fields').map(fieldOf)
  const doubled = indexed.find(({ path }, i) => indexed.findIndex((other) => other.path === path) !== i)
  if (doubled) throw bad(`The field ${doubled.path} is given twice.`)
  const stored = store === undefined ? indexed.map(({ path }) => path) : textsOf(store, 'store', 0)
  for (const path of stored) checkPath(path)
  return { name, table, fields: indexed, stored: [...new Set(stored)] }
}

function textsOf(value: unknown, what: string, least = 1): string[] {
  if (!Array.isArray(value) || !value.every((each) => typeof each === 'string'))
    throw bad(`${what} is a list of names of attributes.`)
  if (value.length < least) throw bad(`${what} names no attribute.`)
  if (value.length > fieldsMax) throw bad(`${what} names ${value.length} attributes; there may be ${fieldsMax}.`)
  return value as string[]
}

function fieldOf(text: string): IndexedField {
  const [, path = '', boost] = /^(.*?)(?:\^(\d+(?:\.\d+)?))?$/s.exec(text) ?? []
  checkPath(path)
  const value = boost === undefined ? 1 : Number(boost)
  if (value <= 0 || value > boostMax) throw bad(`${text} has a boost that is not above 0 and at most ${boostMax}.`)
  return { path, boost: value }
}

function checkPath(path: string): void {
  if (path === '' || path.length > pathCharactersMax)
    throw bad(`${JSON.stringify(path)} is no name of an attribute, nor a path with dots.`)
}

const bad = (message: string): MillraceError => new MillraceError('BAD_REQUEST', message)

/** As a client would give it: `title^3`. */
export const fieldText = ({ path, boost }: IndexedField): string => (boost === 1 ? path : `${path}^${boost}`)
