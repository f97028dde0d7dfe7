import type { RangeOptions, Storage } from '../../storage/index.js'
import { decodeItem, decodeText, type StoredText } from '../items/item-value.js'

export type ItemRange = Omit<RangeOptions, 'limit' | 'values' | 'bytesMax'> & {
  /** Most rows; undefined for all. */
  readonly limit: number | undefined
}

/** Bytes that are fetched from the store at once. */
const fetchBytesMax = 256 * 1024

/** Runs `read` over the items of a range, of one moment; once more, over their bytes, where one is stored in the older form. */
export async function readItems<T>(
  storage: Storage,
  range: ItemRange,
  read: (pages: AsyncIterable<readonly StoredText[]>) => Promise<T>,
): Promise<T> {
  try {
    return await read(texts(storage, range))
  } catch (thrown) {
    if (thrown !== olderForm) throw thrown
    return read(bytes(storage, range))
  }
}

const olderForm = new Error('an item is stored in the form of an older version')

async function* texts(storage: Storage, range: ItemRange): AsyncGenerator<readonly StoredText[], void, void> {
  for await (const values of storage.texts({ ...range, limit: range.limit ?? -1, bytesMax: fetchBytesMax })) {
    const items: StoredText[] = []
    for (const value of values) {
      const item = decodeText(value)
      if (!item) throw olderForm
      items.push(item)
    }
    yield items
  }
}

async function* bytes(storage: Storage, range: ItemRange): AsyncGenerator<readonly StoredText[], void, void> {
  let left = range.limit ?? Number.POSITIVE_INFINITY
  for await (const { values } of storage.scan({ ...range, bytesMax: fetchBytesMax })) {
    const wanted = values.length > left ? values.slice(0, left) : values
    yield wanted.map((value) => {
      const { json, size } = decodeItem(value)
      return { json: json.toString(), size }
    })
    left -= wanted.length
    if (left === 0) return
  }
}
