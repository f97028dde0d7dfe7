import { timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { AccessKey } from '../../config/index.js'
import type { Clock } from '../../runtime/index.js'
import { isSame } from '../same-secret.js'
import { basicIso, incomplete, invalidSignature, readSigned } from './authorization.js'
import type { AwsFailure } from './failure.js'
import { algorithm, hmac, type RequestHead, type Signed, signingKey, stringToSign, terminator } from './signature.js'

/** DynamoDB and its streams sign under one name. */
export type SignedService = 'dynamodb' | 'lambda'

/** Signing keys in memory. There is one for each day, region and access key, and clients choose the region. */
const signingKeysMax = 256

const unrecognized: AwsFailure = {
  type: 'com.amazon.coral.service#UnrecognizedClientException',
  status: 400,
  message: 'The security token included in the request is invalid.',
}

const mismatch = invalidSignature(
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
)

export interface VerifierOptions {
  readonly service: SignedService
  readonly keys: readonly AccessKey[]
  readonly skewMsMax: number
  readonly clock: Clock
}

/** A request that is known to be in time and to name a key; its body decides. */
export interface Claim {
  readonly head: RequestHead
  readonly signed: Signed
  readonly key: AccessKey
}

/**
 * Verifies Signature Version 4. What needs no body is checked before the body is read, in AWS's order; then `verify` is
 * given the body's hash. Any region is taken: it is part of what is signed, and a daemon has only one.
 */
export class SignatureVerifier {
  readonly #options: VerifierOptions
  readonly #keys: ReadonlyMap<string, AccessKey>
  readonly #signingKeys = new Map<string, Buffer>()

  constructor(options: VerifierOptions) {
    this.#options = options
    this.#keys = new Map(options.keys.map((key) => [key.id, key]))
  }

  /** Throws AwsFailure. */
  begin(method: string, path: string, query: URLSearchParams | undefined, headers: IncomingHttpHeaders): Claim {
    const signed = readSigned(headers, query)
    this.#checkTime(signed)
    if (!signed.signedHeaders.includes('host'))
      throw invalidSignature("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    checkScope(signed, this.#options.service)
    const key = this.#keys.get(signed.credential[0] as string)
    if (!key) throw unrecognized
    return { head: { method, path, query, headers }, signed, key }
  }

  /** Takes the SHA-256 of the body as it was sent, in hexadecimal. Throws AwsFailure. */
  verify({ head, signed, key }: Claim, bodySha256: string): void {
    const wanted = hmac(this.#signingKey(key, signed), stringToSign(head, signed, bodySha256))
    const given = Buffer.from(signed.signature, 'hex')
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw mismatch
    // Presigning clients move this header into the query. Whoever is given such a URL must not choose another operation.
    const target = head.query?.get('X-Amz-Target') ?? undefined
    if (target !== undefined && target !== head.headers['x-amz-target']) throw mismatch
    if (!isSame(signed.sessionToken, key.sessionToken)) throw unrecognized
  }

  #checkTime({ date, expiresSeconds }: Signed): void {
    const at = timeOf(date)
    if (at === undefined) {
      throw incomplete(
        `Date must be in ISO-8601 'basic format'. Got '${date}'. See http://en.wikipedia.org/wiki/ISO_8601`,
      )
    }
    const { clock, skewMsMax } = this.#options
    const now = clock.now()
    const goodMs = expiresSeconds === undefined ? skewMsMax : expiresSeconds * 1000
    if (at < now - goodMs) {
      throw invalidSignature(
        `Signature expired: ${date} is now earlier than ${basicIso(now - goodMs)} (${basicIso(now)} - ${spanOf(goodMs)})`,
      )
    }
    if (at > now + skewMsMax) {
      throw invalidSignature(
        `Signature not yet current: ${date} is still later than ${basicIso(now + skewMsMax)} (${basicIso(now)} + ${spanOf(skewMsMax)})`,
      )
    }
  }

  #signingKey(key: AccessKey, { credential }: Signed): Buffer {
    const [, date, region] = credential as [string, string, string]
    const name = `${key.id}/${date}/${region}`
    const known = this.#signingKeys.get(name)
    if (known) return known
    // A day's keys are made anew at once; to keep count of which is oldest would cost more than that.
    if (this.#signingKeys.size >= signingKeysMax) this.#signingKeys.clear()
    const made = signingKey(key.secret, date, region, this.#options.service)
    this.#signingKeys.set(name, made)
    return made
  }
}

function checkScope(signed: Signed, service: SignedService): void {
  if (signed.algorithm !== algorithm)
    throw incomplete(`Unsupported AWS 'algorithm': '${signed.algorithm}' (only ${algorithm} for now). `)
  if (signed.credential.length !== 5) {
    throw incomplete(
      `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${signed.credential.join('/')}'`,
    )
  }
  const [, date, region, scopedTo, term] = signed.credential as [string, string, string, string, string]
  const faults: string[] = []
  if (!/^[a-z0-9-]+$/.test(region)) faults.push(`Credential should be scoped to a valid region, not '${region}'. `)
  if (scopedTo !== service) faults.push(`Credential should be scoped to correct service: '${service}'. `)
  if (term !== terminator)
    faults.push(`Credential should be scoped with a valid terminator: '${terminator}', not '${term}'. `)
  const day = signed.date.slice(0, 8)
  if (date !== day) {
    faults.push(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${date}' != '${day}', from '${signed.date}'.`,
    )
  }
  if (faults.length > 0) throw invalidSignature(faults.join(''))
}

/** Milliseconds since 1970, or undefined when it is not the form. */
function timeOf(date: string): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date)
  if (!parts) return undefined
  const [, year, month, day, hour, minute, second] = parts
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(ms) ? undefined : ms
}

const spanOf = (ms: number): string => (ms % 60_000 === 0 ? `${ms / 60_000} min.` : `${ms / 1000} sec.`)
