import MiniSearch from 'minisearch'
import { MillraceError } from '../runtime/errors.js'
import { attributeAt, type ItemJson, plainOf, textOf } from './attribute-text.js'
import type { Found, IndexSettings, IndexSize, SearchHit, SearchQuery } from './protocol.js'
import { termOf, wordsOf } from './words.js'

/** What is kept of a document beside its words. */
interface Kept {
  /** JSON of the item's key. */
  readonly key: string
  /** JSON of the stored attributes. */
  readonly fields: string
  readonly bytes: number
}

interface Document {
  readonly id: string
  readonly texts: ReadonlyMap<string, string>
}

/** No attribute can have this name: names of attributes are not empty. */
const idField = ''
/** More edits find words that have nothing to do with each other. */
const editsMax = 2
/** A single letter would begin a large part of all words. */
const prefixCharactersMin = 2

/** The words of a table's items, in memory. */
export class TextIndex {
  readonly #settings: IndexSettings
  readonly #words: MiniSearch<Document>
  readonly #kept = new Map<string, Kept>()
  readonly #boost: Readonly<Record<string, number>>
  #bytes = 0

  constructor(settings: IndexSettings) {
    this.#settings = settings
    this.#boost = Object.fromEntries(settings.fields.map(({ path, boost }) => [path, boost]))
    this.#words = new MiniSearch<Document>({
      idField,
      fields: settings.fields.map(({ path }) => path),
      extractField: ({ id, texts }, field) => (field === idField ? id : (texts.get(field) ?? '')),
      tokenize: wordsOf,
      processTerm: termOf,
    })
  }

  get size(): IndexSize {
    return { documents: this.#kept.size, bytes: this.#bytes }
  }

  /**
   * Takes the item that is now under a key. One that has no text in any field cannot be found, and takes no place.
   * Throws SEARCH_FULL past a bound.
   */
  put(id: string, key: string, image: string): void {
    const item = JSON.parse(image) as ItemJson
    const texts = new Map<string, string>()
    let characters = 0
    for (const { path } of this.#settings.fields) {
      const attribute = attributeAt(item, path)
      const text = attribute === undefined ? '' : textOf(attribute)
      if (text !== '') texts.set(path, text)
      characters += text.length
    }
    this.remove(id)
    if (texts.size === 0) return
    const fields = this.#storedOf(item)
    const bytes = characters + fields.length + key.length + id.length
    this.#checkRoom(bytes)
    this.#words.add({ id, texts })
    this.#kept.set(id, { key, fields, bytes })
    this.#bytes += bytes
  }

  remove(id: string): void {
    const kept = this.#kept.get(id)
    if (!kept) return
    this.#words.discard(id)
    this.#kept.delete(id)
    this.#bytes -= kept.bytes
  }

  #storedOf(item: ItemJson): string {
    const stored: Record<string, unknown> = {}
    for (const path of this.#settings.stored) {
      const attribute = attributeAt(item, path)
      if (attribute !== undefined) stored[path] = plainOf(attribute)
    }
    return JSON.stringify(stored)
  }

  #checkRoom(bytes: number): void {
    const { documentsMax, bytesMax } = this.#settings
    if (this.#kept.size >= documentsMax) throw full(`${documentsMax} documents (search.documentsMax)`)
    if (this.#bytes + bytes > bytesMax) throw full(`${bytesMax} bytes of text (search.bytesMax)`)
  }

  search({ text, limit, fields, prefix, fuzzy, match }: SearchQuery): Found {
    const found = this.#words.search(text, {
      ...(fields === undefined ? {} : { fields: [...fields] }),
      boost: this.#boost,
      prefix: prefix && ((term) => term.length >= prefixCharactersMin),
      fuzzy: fuzzy === 0 ? false : fuzzy,
      maxFuzzy: editsMax,
      combineWith: match === 'all' ? 'AND' : 'OR',
    })
    return { total: found.length, hits: found.slice(0, limit).map((result) => this.#hit(result)) }
  }

  #hit({ id, score, terms }: { readonly id: string; readonly score: number; readonly terms: string[] }): SearchHit {
    const { key, fields } = this.#kept.get(id) as Kept
    return {
      key: JSON.parse(key) as SearchHit['key'],
      score,
      fields: JSON.parse(fields) as SearchHit['fields'],
      terms,
    }
  }
}

const full = (bound: string): MillraceError =>
  new MillraceError('SEARCH_FULL', `The index is full: it may hold ${bound}.`)
