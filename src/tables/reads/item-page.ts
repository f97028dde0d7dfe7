import type { Commit } from '../../commit/index.js'
import { Codec, type NewRecord, RecordFlag, RecordKind, type StreamId } from '../../log/index.js'
import type { Storage } from '../../storage/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import { after, decodeItem, keyAttributesOf, keyBehindPrefix, tablePrefix } from '../items/item-row.js'
import { encodeChange } from '../streams/change.js'
import { itemSize, type KeySchema } from '../values/index.js'

/**
 * Where an item stands among those of its table: the hash of its partition key (hi u32be, lo u32be), then its encoded
 * partition key and sort key. Items and change records of one key have one place.
 */
export type ItemPlace = Buffer

/** Where the place of an item begins in the key of its row. */
const placeAt = 5

export interface ItemPageRequest {
  readonly table: string
  /** The change log that the table must have: another table may have the name by now. */
  readonly changeLog: StreamId
  /** The items behind this place; from the first on by default. */
  readonly after: ItemPlace | undefined
  readonly itemsMax: number
  readonly bytesMax: number
}

/** Items of a table as the insert records that they would have been. */
export interface ItemPage {
  readonly records: readonly NewRecord[]
  /** The place of the last of them; undefined where there are none. */
  readonly last: ItemPlace | undefined
  /** Whether items follow. */
  readonly more: boolean
}

const nothing: ItemPage = { records: [], last: undefined, more: false }

/**
 * The next items of a table, as of the moment of the call: what is committed later is not seen. Of a table that is gone there
 * are none.
 */
export async function itemPage(
  { table, changeLog, after: behind, itemsMax, bytesMax }: ItemPageRequest,
  { storage, catalogue, time }: { storage: Storage; catalogue: Catalogue; time: Commit['time'] },
): Promise<ItemPage> {
  const row = catalogue.find(table)?.row
  if (row?.log !== changeLog) return nothing
  const prefix = tablePrefix(row.id)
  const from = behind ? { gt: Buffer.concat([prefix, behind]) } : { gte: prefix }
  const { keys, values, more } = await storage.page({ ...from, lt: after(prefix), limit: itemsMax, bytesMax })
  const now = time.next()
  const records = keys.map((key, i) => insertOf(key, values[i] as Buffer, row.schema, now))
  return { records, last: keys.at(-1)?.subarray(placeAt), more }
}

function insertOf(key: Buffer, value: Buffer, schema: KeySchema, time: number): NewRecord {
  const attributes = keyAttributesOf(key, schema)
  const keys = { json: Buffer.from(JSON.stringify(attributes)), size: itemSize(attributes) }
  return {
    hash: { hi: key.readUInt32BE(placeAt), lo: key.readUInt32BE(placeAt + 4) },
    kind: RecordKind.insert,
    flags: RecordFlag.snapshot,
    codec: Codec.dynamoJsonChange,
    time,
    key: keyBehindPrefix(key),
    body: encodeChange(keys, decodeItem(value), undefined),
  }
}
