import { createHash, createHmac } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

export const algorithm = 'AWS4-HMAC-SHA256'
export const terminator = 'aws4_request'

/** What a request says of its signature, in either form: as a header, or in the query (presigned). */
export interface Signed {
  readonly algorithm: string
  /** Key id, date, region, service and terminator, as they stand there. */
  readonly credential: readonly string[]
  /** Lower case, each once: a long header that is named a thousand times would be hashed a thousand times. */
  readonly signedHeaders: readonly string[]
  readonly signature: string
  /** `YYYYMMDDTHHMMSSZ`. */
  readonly date: string
  /** How long a presigned request is good, when it says so. */
  readonly expiresSeconds: number | undefined
  readonly sessionToken: string | undefined
}

/** What was signed, beside the body. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams | undefined
  readonly headers: IncomingHttpHeaders
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** The hash of a packed body is made of the bytes that are sent: call it before the body is read, and what it returns after. */
export function hashAsSent(request: IncomingMessage): () => string {
  const hash = createHash('sha256')
  request.on('data', (part: Buffer) => hash.update(part))
  return () => hash.digest('hex')
}

/** The path of a URL as it was sent, without its query. */
export function pathOf(url: string): string {
  const mark = url.indexOf('?')
  return mark < 0 ? url : url.slice(0, mark)
}

/** A path as it is signed: without empty parts and dots, and encoded once more than it is sent. */
export function signedPath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(encoded(part))
  }
  return `/${parts.join('/')}${parts.length > 0 && path.endsWith('/') ? '/' : ''}`
}

export const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** The key of one day, region and service. Source: "Signature Version 4 signing process", AWS General Reference. */
export function signingKey(secret: string, date: string, region: string, service: string): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), terminator)
}

/** What the signature is made over. The signature itself is the HMAC of this under the signing key. */
export function stringToSign(head: RequestHead, signed: Signed, bodySha256: string): string {
  const scope = signed.credential.slice(1).join('/')
  // Node reads headers as Latin-1: written back so, the bytes are those that the client signed.
  const canonical = createHash('sha256')
    .update(canonicalRequest(head, signed, bodySha256), 'latin1')
    .digest('hex')
  return `${signed.algorithm}\n${signed.date}\n${scope}\n${canonical}`
}

function canonicalRequest({ method, path, query, headers }: RequestHead, signed: Signed, bodySha256: string): string {
  let lines = ''
  for (const name of signed.signedHeaders) {
    // The client chooses the names: `constructor` is a member of every object and no header.
    const value = (Object.hasOwn(headers, name) ? headers[name] : undefined) ?? ''
    const text = Array.isArray(value) ? value.join(',') : value
    lines += `${name}:${text.trim().replace(/ {2,}/g, ' ')}\n`
  }
  const names = signed.signedHeaders.join(';')
  return `${method}\n${path}\n${query ? canonicalQuery(query) : ''}\n${lines}\n${names}\n${bodySha256}`
}

function canonicalQuery(query: URLSearchParams): string {
  const parts: [string, string][] = []
  for (const [name, value] of query) {
    if (name !== 'X-Amz-Signature') parts.push([encoded(name), encoded(value)])
  }
  // By name first: as one text `a-b=` would stand before `a=`.
  parts.sort((left, right) => compared(left[0], right[0]) || compared(left[1], right[1]))
  return parts.map(([name, value]) => `${name}=${value}`).join('&')
}

const compared = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)

/** RFC 3986: everything but letters, digits and `-._~`. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
