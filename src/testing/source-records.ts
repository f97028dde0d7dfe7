import { Codec, type NewRecord, RecordFlag } from '../log/types.js'
import { attributesOf } from '../operators/index.js'
import { hashKey, MillraceError } from '../runtime/index.js'
import { encodeChange, type ImageBytes } from '../tables/streams/change.js'
import { type AttributeValue, encodeKeyValue, type KeySchema } from '../tables/values/index.js'
import type { KeyAttributeOf, PlainItem, TableKey, TestChange } from './test-inputs.js'

export function schemaOf({ hash, range }: TableKey): KeySchema {
  return { hash: attribute(hash), ...(range === undefined ? {} : { range: attribute(range) }) }
}

const attribute = (given: KeyAttributeOf): KeySchema['hash'] =>
  typeof given === 'string' ? { name: given, type: 'S' } : given

/** The record that a change makes in its table's change log. Throws BAD_REQUEST for an item without its key. */
export function changeRecord(table: string, schema: KeySchema, change: TestChange, now: number): NewRecord {
  const image = (change.type === 'remove' ? change.old : change.new) as PlainItem
  const keys: Record<string, AttributeValue> = {}
  const bytes: Buffer[] = []
  const attributes = attributesOf(image) as Readonly<Record<string, AttributeValue>>
  for (const { name, type } of [schema.hash, ...(schema.range ? [schema.range] : [])]) {
    const value = Object.hasOwn(attributes, name) ? attributes[name] : undefined
    if (value === undefined || !(type in value))
      throw new MillraceError(
        'BAD_REQUEST',
        `An item of the table ${table} has no key attribute ${name} of type ${type}.`,
      )
    keys[name] = value
    bytes.push(encodeKeyValue(value))
  }
  const kinds = { insert: 1, modify: 2, remove: 3 } as const
  const { hi, lo } = hashKey(bytes[0] as Buffer)
  return {
    hash: { hi, lo },
    kind: kinds[change.type],
    flags: change.type === 'remove' && change.service ? RecordFlag.service : 0,
    codec: Codec.dynamoJsonChange,
    time: change.time ?? now,
    key: Buffer.concat(bytes),
    body: encodeChange(
      imageOf(keys),
      change.type === 'remove' ? undefined : imageOf(attributes),
      change.type === 'insert' ? undefined : imageOf(attributesOf(change.old as PlainItem)),
    ),
  }
}

const imageOf = (item: object): ImageBytes => ({ json: Buffer.from(JSON.stringify(item)), size: 0 })
