import { jsonOf } from './json-text.js'
import type { OpenSearchSinkRecord } from './plan/index.js'

/** Longest id of a document, bytes: the servers' own bound. */
const idBytesMax = 512

/** What stands before the document in an entry. In a text of JSON it cannot: the quotation marks would be escaped. */
const documentMark = ',"document":'

/** A document on its way to an index. */
export interface OpenSearchEntry {
  readonly id: string
  readonly routing?: string
  /** Its JSON; undefined: it is deleted. */
  readonly document: Uint8Array | undefined
}

/**
 * What an OpenSearch sink was given, as JSON with the document at its end, so that a delivery sends the document's text as it
 * is. Throws TypeError for what no index can hold.
 */
export function openSearchEntry(result: unknown): string {
  if (typeof result !== 'object' || result === null || Array.isArray(result))
    throw new TypeError('An OpenSearch sink takes {id, document, routing?}.')
  const { id, document, routing } = result as OpenSearchSinkRecord
  const head = { id: idOf(id), ...(routing === undefined ? {} : { routing: routingOf(routing) }) }
  return `${JSON.stringify(head).slice(0, -1)}${documentMark}${documentOf(document)}}`
}

function idOf(id: unknown): string {
  if (typeof id !== 'string' && typeof id !== 'number' && typeof id !== 'bigint')
    throw new TypeError('An OpenSearch sink takes as id text or a number.')
  const text = String(id)
  if (text === '' || Buffer.byteLength(text) > idBytesMax)
    throw new TypeError(`An OpenSearch sink takes as id 1 to ${idBytesMax} bytes.`)
  return text
}

function routingOf(routing: unknown): string {
  if (typeof routing === 'string' && routing !== '') return routing
  throw new TypeError('An OpenSearch sink takes as routing a text that is not empty.')
}

function documentOf(document: unknown): string {
  if (document === null) return 'null'
  const json = document === undefined ? '' : jsonOf(document, 'An OpenSearch sink')
  if (json.startsWith('{')) return json
  throw new TypeError('An OpenSearch sink takes as document an object; null deletes.')
}

/** A result of an outbox, as it is sent. */
export function openSearchEntryOf(bytes: Uint8Array): OpenSearchEntry {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const at = body.indexOf(documentMark)
  const head = JSON.parse(`${body.toString('utf8', 0, at)}}`) as { readonly id: string; readonly routing?: string }
  const document = body.subarray(at + documentMark.length, -1)
  // 'n' of null: a document begins with a brace.
  return { ...head, document: document[0] === 0x7b ? document : undefined }
}

/** The same as its author gave it, for tests. */
export const openSearchResultOf = (entry: string): OpenSearchSinkRecord => JSON.parse(entry) as OpenSearchSinkRecord
