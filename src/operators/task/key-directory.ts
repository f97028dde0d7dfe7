import { hashKey } from '../../runtime/hash.js'
import { decodeKeyValue } from '../../tables/values/index.js'
import { plainKey } from '../plain.js'
import { compositeText, decodeKey, encodeKey } from './key-codec.js'
import { KeyEntry } from './key-entry.js'

/** What the keys of a task are: what a keyBy gave, or the partition keys of the source. */
export type KeySpace =
  | { readonly kind: 'given' }
  /** `hashKeyName` is that of the table, or undefined for a plain stream. */
  | { readonly kind: 'partition'; readonly hashKeyName: string | undefined }

/** The keys that a task has something of in memory. */
export class KeyDirectory {
  readonly #space: KeySpace
  readonly #slots: number
  /** Keys that are no objects, under themselves; partition keys, under their bytes as text. */
  readonly #entries = new Map<unknown, KeyEntry>()
  /** Arrays, objects and binary, under their encoding as text. */
  readonly #composites = new Map<string, KeyEntry>()
  /** Called when a key is there that was not. */
  onAdded: (entry: KeyEntry) => void = () => {}

  constructor(space: KeySpace, slots: number) {
    this.#space = space
    this.#slots = slots
  }

  /** The entry of a key that a keyBy gave. */
  ofKey(key: unknown): KeyEntry {
    if (typeof key === 'object') return this.#ofComposite(key)
    return this.#entries.get(key) ?? this.#add(this.#entries, key, typeof key === 'number' ? key + 0 : key)
  }

  #ofComposite(key: unknown): KeyEntry {
    const text = compositeText(key)
    // A copy that nobody changes, and the same as after a restart.
    return this.#composites.get(text) ?? this.#add(this.#composites, text, decodeKey(Buffer.from(text, 'latin1')))
  }

  /** The entry of a partition key, whose bytes lie in a chunk from `start` to `end`. */
  ofPartition(chunk: Buffer, start: number, end: number, hashHi: number, hashLo: number): KeyEntry {
    const hashKeyName = this.#space.kind === 'partition' ? this.#space.hashKeyName : undefined
    if (hashKeyName === undefined) {
      const text = chunk.toString('latin1', start, end)
      const found = this.#entries.get(text)
      if (found) return found
      return this.#addPartition(
        text,
        { key: chunk.toString('utf8', start, end) },
        chunk.subarray(start, end),
        hashHi,
        hashLo,
      )
    }
    // Behind the partition key comes the sort key.
    const { value, next } = decodeKeyValue(chunk, start)
    const text = chunk.toString('latin1', start, next)
    const found = this.#entries.get(text)
    if (found) return found
    return this.#addPartition(text, { [hashKeyName]: plainKey(value) }, chunk.subarray(start, next), hashHi, hashLo)
  }

  #addPartition(text: string, shown: unknown, bytes: Buffer, hashHi: number, hashLo: number): KeyEntry {
    const entry = this.#add(this.#entries, text, shown)
    // A copy: the entry outlives the chunk.
    entry.bytes = Buffer.from(bytes)
    entry.hashHi = hashHi
    entry.hashLo = hashLo
    return entry
  }

  /** The entry of a key as it is stored. */
  ofStored(stored: Uint8Array, hashHi: number, hashLo: number): KeyEntry {
    // What came from another thread is a plain array of bytes: as text it would be their numbers.
    const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.length)
    return this.#space.kind === 'given'
      ? this.ofKey(decodeKey(bytes))
      : this.ofPartition(bytes, 0, bytes.length, hashHi, hashLo)
  }

  #add<MapKey>(map: Map<MapKey, KeyEntry>, mapKey: MapKey, shown: unknown): KeyEntry {
    const entry = new KeyEntry(mapKey, shown, this.#slots)
    map.set(mapKey, entry)
    this.onAdded(entry)
    return entry
  }

  /** Makes the bytes of an entry that state is kept under, and their hash. */
  name(entry: KeyEntry): Buffer {
    if (entry.bytes) return entry.bytes
    entry.bytes = encodeKey(entry.shown)
    const { hi, lo } = hashKey(entry.bytes)
    entry.hashHi = hi
    entry.hashLo = lo
    return entry.bytes
  }

  /** False when it was forgotten before. */
  forget(entry: KeyEntry): boolean {
    const { mapKey } = entry
    const isComposite = this.#space.kind === 'given' && typeof entry.shown === 'object'
    const entries: Map<unknown, KeyEntry> = isComposite ? this.#composites : this.#entries
    return entries.get(mapKey) === entry && entries.delete(mapKey)
  }

  /** In the order in which they came. An entry may be forgotten on the way. */
  *all(): IterableIterator<KeyEntry> {
    yield* this.#entries.values()
    yield* this.#composites.values()
  }

  get size(): number {
    return this.#entries.size + this.#composites.size
  }
}
