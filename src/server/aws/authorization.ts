import type { IncomingHttpHeaders } from 'node:http'
import type { AwsFailure } from './failure.js'
import type { Signed } from './signature.js'

const coral = 'com.amazon.coral.service#'

export const missingToken: AwsFailure = {
  type: `${coral}MissingAuthenticationTokenException`,
  status: 400,
  message: 'Request is missing Authentication Token',
}

export const incomplete = (message: string): AwsFailure => ({
  type: `${coral}IncompleteSignatureException`,
  status: 400,
  message,
})

export const invalidSignature = (message: string): AwsFailure => ({
  type: `${coral}InvalidSignatureException`,
  status: 400,
  message,
})

/** The query of a request's URL, when it has one. */
export function queryOf(url: string): URLSearchParams | undefined {
  const mark = url.indexOf('?')
  return mark < 0 ? undefined : new URLSearchParams(url.slice(mark + 1))
}

/**
 * What AWS refuses before it looks at any key: a header that is half there, a presigned query without its parts, both at
 * once. A request that shows nothing at all passes here. Throws AwsFailure.
 */
export function checkForm(headers: IncomingHttpHeaders, query: URLSearchParams | undefined): void {
  const { authorization } = headers
  if (query === undefined && (authorization === undefined || isWhole(authorization, headers))) return
  if (authorization === undefined && query?.has('X-Amz-Algorithm') === false) {
    if ([...query.keys()].some((name) => name.startsWith('X-Amz-'))) throw missingToken
    return
  }
  readSigned(headers, query)
}

const parameters = ['Credential', 'Signature', 'SignedHeaders'] as const
const assignments = parameters.map((name) => `${name}=`)

/** The quick answer for what every client sends; what it does not know is read slowly. */
function isWhole(authorization: string, headers: IncomingHttpHeaders): boolean {
  if (!authorization.startsWith('AWS4-')) return false
  if (headers['x-amz-date'] === undefined && headers.date === undefined) return false
  for (const assignment of assignments) {
    const at = authorization.indexOf(assignment)
    if (at < 0) return false
    const next = authorization.charCodeAt(at + assignment.length)
    // The end, a space or a comma: there is nothing behind it.
    if (Number.isNaN(next) || next === 0x20 || next === 0x2c) return false
  }
  return true
}

const isPresigned = (query: URLSearchParams | undefined): query is URLSearchParams =>
  query?.has('X-Amz-Algorithm') === true

/** Reads what a request says of its signature. Throws AwsFailure. */
export function readSigned(headers: IncomingHttpHeaders, query: URLSearchParams | undefined): Signed {
  const { authorization } = headers
  if (isPresigned(query)) {
    if (authorization === undefined) return signedInQuery(query)
    throw invalidSignature("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
  }
  if (authorization === undefined || !authorization.trim().startsWith('AWS4-')) throw missingToken
  return signedInHeader(authorization, headers)
}

function signedInHeader(authorization: string, headers: IncomingHttpHeaders): Signed {
  const [algorithm, ...rest] = authorization.trim().split(/[, ]+/) as [string, ...string[]]
  const given = new Map<string, string>()
  for (const part of rest) {
    const equal = part.indexOf('=')
    if (equal > 0) given.set(part.slice(0, equal), part.slice(equal + 1))
  }
  const date = headers['x-amz-date'] ?? isoOf(headers.date)
  const faults = parameters
    .filter((name) => !given.get(name))
    .map((name) => `Authorization header requires '${name}' parameter. `)
  if (date === undefined) {
    faults.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
  }
  if (faults.length > 0) throw incomplete(`${faults.join('')}Authorization=${authorization}`)
  const token = headers['x-amz-security-token']
  return {
    algorithm,
    credential: partsOf(given.get('Credential') as string),
    signedHeaders: namesOf(given.get('SignedHeaders') as string),
    signature: given.get('Signature') as string,
    date: String(date),
    expiresSeconds: undefined,
    sessionToken: typeof token === 'string' ? token : undefined,
  }
}

const queryParameters = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Signature',
  'X-Amz-SignedHeaders',
  'X-Amz-Date',
] as const

/** A week: no presigned request is good for longer. */
const expiresSecondsMax = 7 * 24 * 60 * 60

function signedInQuery(query: URLSearchParams): Signed {
  const faults = queryParameters
    .filter((name) => !query.get(name))
    .map((name) => `AWS query-string parameters must include '${name}'. `)
  if (faults.length > 0) throw incomplete(`${faults.join('')}Re-examine the query-string parameters.`)
  const [algorithm, credential, signature, signedHeaders, date] = queryParameters.map((name) => query.get(name)) as [
    string,
    string,
    string,
    string,
    string,
  ]
  const expires = query.get('X-Amz-Expires')
  if (expires !== null && (!/^\d{1,6}$/.test(expires) || Number(expires) < 1 || Number(expires) > expiresSecondsMax))
    throw incomplete(`X-Amz-Expires must be a number of seconds from 1 to ${expiresSecondsMax}. Got '${expires}'.`)
  return {
    algorithm,
    credential: partsOf(credential),
    signedHeaders: namesOf(signedHeaders),
    signature,
    date,
    expiresSeconds: expires === null ? undefined : Number(expires),
    sessionToken: query.get('X-Amz-Security-Token') ?? undefined,
  }
}

const namesOf = (signedHeaders: string): string[] => [...new Set(signedHeaders.toLowerCase().split(';'))]

/** Slashes at the end do not count. An expression for them would take a second of a header full of slashes. */
function partsOf(credential: string): string[] {
  let end = credential.length
  while (end > 0 && credential.charCodeAt(end - 1) === 0x2f) end--
  return credential.slice(0, end).split('/')
}

/** The `Date` header in the form in which it is signed; as it stands when it is no date. */
function isoOf(date: string | undefined): string | undefined {
  if (date === undefined) return undefined
  const ms = Date.parse(date)
  return Number.isNaN(ms) ? date : basicIso(ms)
}

/** `YYYYMMDDTHHMMSSZ`. */
export const basicIso = (ms: number): string => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')
