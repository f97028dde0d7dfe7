import type { ErrorCode } from '../runtime/errors.js'
import type { IndexDefinition } from './definition.js'

/** What a thread holds at most. */
export interface IndexBounds {
  readonly documentsMax: number
  /** Bytes of the texts, the stored values and the keys. */
  readonly bytesMax: number
}

export type IndexSettings = Pick<IndexDefinition, 'fields' | 'stored'> & IndexBounds

/** What is to be taken into an index; its memory is handed over. */
export type IndexBatch =
  /** Chunks of the table's change log, from a sequence number on. */
  | { readonly kind: 'changes'; readonly from: number; readonly chunks: readonly Uint8Array[] }
  /** Items, packed (packed-items.ts). */
  | { readonly kind: 'items'; readonly items: Uint8Array }

export interface SearchQuery {
  readonly text: string
  readonly limit: number
  /** Paths of fields that are searched; all by default. */
  readonly fields?: readonly string[]
  /** Words that begin like those of the query count, too. */
  readonly prefix: boolean
  /** Edits by which a word may differ: a number, or (below 1) a part of its length. */
  readonly fuzzy: number
  /** Whether a document must have all words, or any. */
  readonly match: 'any' | 'all'
}

export interface SearchHit {
  /** The item's key as DynamoDB JSON. */
  readonly key: Readonly<Record<string, unknown>>
  /** BM25+; of one query higher is better, of two they cannot be compared. */
  readonly score: number
  /** The stored attributes in plain JSON. */
  readonly fields: Readonly<Record<string, unknown>>
  /** The words of the document that matched. */
  readonly terms: readonly string[]
}

export interface Found {
  /** How many documents match, those beyond the limit, too. */
  readonly total: number
  readonly hits: readonly SearchHit[]
}

export interface IndexSize {
  readonly documents: number
  readonly bytes: number
}

export type ToThread =
  | { readonly kind: 'apply'; readonly request: number; readonly batch: IndexBatch }
  | { readonly kind: 'search'; readonly request: number; readonly query: SearchQuery }

export type FromThread =
  | { readonly kind: 'applied'; readonly request: number; readonly size: IndexSize; readonly changes: number }
  | { readonly kind: 'found'; readonly request: number; readonly found: Found }
  | { readonly kind: 'failed'; readonly request: number; readonly code: ErrorCode; readonly message: string }
