import { isUtf8 } from 'node:buffer'
import type { KeySchema } from '../../tables/index.js'
import type { ConsumedRecord } from '../types.js'
import type { IntakeOptions } from './options.js'
import { attributesOfJson, type RawAttribute } from './plain-json.js'
import { Unreadable } from './unreadable.js'

type RawItem = Record<string, RawAttribute>

/** What a message says of a table: DynamoDB JSON, not looked at yet. */
export type TableMessage =
  | { readonly kind: 'put'; readonly item: RawItem }
  | { readonly kind: 'delete'; readonly key: RawItem }

/** Throws Unreadable. */
export type ReadTableMessage = (message: ConsumedRecord, schema: KeySchema) => TableMessage

export function tableReaderOf({ format, images }: Pick<IntakeOptions, 'format' | 'images'>): ReadTableMessage {
  const isPlain = images === 'plain'
  const read = formats[format](isPlain)
  return (message, schema) => {
    // A tombstone: the key alone says what is gone.
    if (message.value === null) return { kind: 'delete', key: keyOfMessage(message, schema) }
    const said = read(textOf(message.value, 'value'), schema)
    if (said.kind === 'delete') return { kind: 'delete', key: said.key ?? keyOfMessage(message, schema) }
    return { kind: 'put', item: withKey(said.item, message, schema) }
  }
}

type Said = { readonly kind: 'put'; readonly item: RawItem } | { readonly kind: 'delete'; readonly key?: RawItem }

const formats: Readonly<
  Record<IntakeOptions['format'], (isPlain: boolean) => (text: string, schema: KeySchema) => Said>
> = {
  image: (isPlain) => (text, schema) => ({ kind: 'put', item: itemOfText(text, isPlain, schema) }),

  envelope: (isPlain) => (text, schema) => {
    const { op, after, before } = membersOf(text, isPlain)
    if (op === 'd') return { kind: 'delete', ...keyOf(isPlain ? withBinaryKey(before ?? {}, schema) : before, schema) }
    if (op !== 'c' && op !== 'u' && op !== 'r')
      throw new Unreadable('its value is no envelope: op is none of c, u, r and d. Is the format another one')
    if (!after) throw new Unreadable('its envelope has no item after the change')
    return { kind: 'put', item: isPlain ? withBinaryKey(after, schema) : after }
  },

  'dynamodb-streams': () => (text, schema) => {
    const record = parsed(text) as { eventName?: unknown; dynamodb?: { Keys?: unknown; NewImage?: unknown } } | null
    const { Keys, NewImage } = record?.dynamodb ?? {}
    if (record?.eventName === 'REMOVE') return { kind: 'delete', ...keyOf(itemOf(Keys, 'its Keys'), schema) }
    if (record?.eventName !== 'INSERT' && record?.eventName !== 'MODIFY')
      throw new Unreadable('its value is no record of DynamoDB Streams. Is the format another one')
    const item = itemOf(NewImage, 'its NewImage')
    if (!item) throw new Unreadable('its record of DynamoDB Streams has no new image')
    return { kind: 'put', item }
  },
}

function membersOf(text: string, isPlain: boolean): { op?: unknown; after?: RawItem; before?: RawItem } {
  if (!isPlain) {
    const { op, after, before } = objectOf(parsed(text)) as { op?: unknown; after?: unknown; before?: unknown }
    return { op, after: itemOf(after, 'after'), before: itemOf(before, 'before') }
  }
  const { op, after, before } = plainAttributes(text)
  return { op: op?.S, after: after?.M as RawItem | undefined, before: before?.M as RawItem | undefined }
}

function itemOfText(text: string, isPlain: boolean, schema: KeySchema): RawItem {
  return isPlain ? withBinaryKey(plainAttributes(text), schema) : objectOf(parsed(text))
}

function plainAttributes(text: string): RawItem {
  try {
    const attributes = attributesOfJson(text)
    if (attributes) return attributes
  } catch (error) {
    throw new Unreadable(`its value is no JSON: ${(error as Error).message}`)
  }
  throw new Unreadable('its value is no JSON object')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new Unreadable(`its value is no JSON: ${(error as Error).message}`)
  }
}

function objectOf(value: unknown, what = 'its value'): RawItem {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as RawItem
  throw new Unreadable(`${what} is no JSON object`)
}

/** An item that may be left out. What is no object has no attributes: the key alone would take the place of the item. */
const itemOf = (value: unknown, what: string): RawItem | undefined =>
  value === undefined || value === null ? undefined : objectOf(value, what)

/** The key attributes alone, where all of them are there. */
function keyOf(item: RawItem | undefined, { hash, range }: KeySchema): { key?: RawItem } {
  const key: RawItem = {}
  for (const attribute of range ? [hash, range] : [hash]) {
    const value = item?.[attribute.name]
    if (value === undefined) return {}
    key[attribute.name] = value
  }
  return { key }
}

/** Plain JSON has no bytes: a binary key is base64 text there. */
function withBinaryKey(item: RawItem, { hash, range }: KeySchema): RawItem {
  for (const attribute of range ? [hash, range] : [hash]) {
    const text = item[attribute.name]?.S
    if (attribute.type === 'B' && typeof text === 'string') item[attribute.name] = { B: text }
  }
  return item
}

/** What the value does not have of the key is in the message's key. */
function withKey(item: RawItem, message: ConsumedRecord, schema: KeySchema): RawItem {
  if (keyOf(item, schema).key) return item
  return { ...keyOfMessage(message, schema), ...item }
}

/**
 * The key attributes in a message's key: typed, as bridges out write them; a plain JSON object; or of a table without a sort key the
 * bare value.
 */
function keyOfMessage({ key }: ConsumedRecord, schema: KeySchema): RawItem {
  if (key === null) throw new Unreadable('it has no key, and its value does not have the key attributes of the table')
  const { hash, range } = schema
  if (!range && hash.type === 'B' && key[0] !== 0x7b) return { [hash.name]: { B: key.toString('base64') } }
  const text = textOf(key, 'key')
  if (text.startsWith('{')) return keyOfObject(text, schema)
  if (range)
    throw new Unreadable(
      `its key is no JSON object with the key attributes ${hash.name} and ${range.name} of the table`,
    )
  return { [hash.name]: { [hash.type]: text } }
}

function keyOfObject(text: string, schema: KeySchema): RawItem {
  let attributes: RawItem | undefined
  try {
    attributes = attributesOfJson(text)
  } catch (error) {
    throw new Unreadable(`its key is no JSON: ${(error as Error).message}`)
  }
  const typed: RawItem = {}
  for (const [name, attribute] of Object.entries(attributes ?? {})) {
    const members = Object.entries((attribute.M ?? {}) as RawItem)
    const [type, value] = members[0] ?? []
    typed[name] = members.length === 1 && type !== undefined ? { [type]: value?.S } : attribute
  }
  const { key } = keyOf(withBinaryKey(typed, schema), schema)
  if (!key) throw new Unreadable('its key does not have the key attributes of the table')
  return key
}

function textOf(bytes: Buffer, what: string): string {
  if (!isUtf8(bytes)) throw new Unreadable(`its ${what} is not UTF-8`)
  return bytes.toString('utf8')
}
