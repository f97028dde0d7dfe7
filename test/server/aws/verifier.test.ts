import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { basicIso, queryOf } from '../../../src/server/aws/authorization.js'
import { hmac, signingKey } from '../../../src/server/aws/signature.js'
import { SignatureVerifier } from '../../../src/server/aws/verifier.js'
import { ManualClock } from '../../manual-clock.js'

const minute = 60_000
const clock = new ManualClock()
const keys = [
  { id: 'KEY1', secret: 'secret1', sessionToken: undefined },
  { id: 'KEY2', secret: 'secret2', sessionToken: 'token/2+=' },
]
const verifier = new SignatureVerifier({ service: 'dynamodb', keys, skewMsMax: 15 * minute, clock })
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

interface Options {
  readonly id?: string
  readonly secret?: string
  readonly token?: string
  readonly at?: number
  readonly region?: string
  readonly service?: string
  readonly term?: string
  readonly day?: string
  readonly algorithm?: string
  readonly body?: string
  readonly signedHeaders?: string
}

/** A request as a client signs it in its header, written out here anew: nothing of it is the code under test but HMAC. */
function signed(options: Options = {}): Record<string, string> {
  const {
    id = 'KEY1',
    secret = 'secret1',
    token,
    at = clock.now(),
    region = 'us-east-1',
    service = 'dynamodb',
  } = options
  const {
    term = 'aws4_request',
    algorithm = 'AWS4-HMAC-SHA256',
    body = '{}',
    signedHeaders = 'host;x-amz-date',
  } = options
  const date = basicIso(at)
  const { day = date.slice(0, 8) } = options
  const values: Record<string, string> = {
    host: 'db:8000',
    'x-amz-date': date,
    'x-amz-target': 'DynamoDB_20120810.ListTables',
  }
  const lines = signedHeaders.split(';').map((name) => `${name}:${values[name]}\n`)
  const canonical = `POST\n/\n\n${lines.join('')}\n${signedHeaders}\n${sha256(body)}`
  const scope = `${day}/${region}/${service}/${term}`
  const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`
  const signature = hmac(signingKey(secret, day, region, service), text).toString('hex')
  return {
    ...values,
    ...(token === undefined ? {} : { 'x-amz-security-token': token }),
    authorization: `${algorithm} Credential=${id}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
  }
}

/** The error of a request, or that there is none. */
function answer(headers: Record<string, string>, body = '{}', url = '/'): string | undefined {
  try {
    verifier.verify(verifier.begin('POST', '/', queryOf(url), headers), sha256(body))
    return undefined
  } catch (error) {
    const { type, message, status } = error as { type: string; message: string; status: number }
    expect(status).toBe(400)
    return `${type.replace('com.amazon.coral.service#', '')}: ${message}`
  }
}

const mismatch =
  'InvalidSignatureException: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.'
const unrecognized = 'UnrecognizedClientException: The security token included in the request is invalid.'

test('what a key signed is taken, in any region', () => {
  expect(answer(signed())).toBeUndefined()
  expect(answer(signed({ region: 'local' }))).toBeUndefined()
  expect(answer(signed({ signedHeaders: 'host;x-amz-date;x-amz-target' }))).toBeUndefined()
  expect(answer(signed({ id: 'KEY2', secret: 'secret2', token: 'token/2+=' }))).toBeUndefined()
})

test('many regions do not fill the memory, and still verify', () => {
  for (let i = 0; i < 1000; i++) expect(answer(signed({ region: `region-${i}` }))).toBeUndefined()
  expect(answer(signed())).toBeUndefined()
})

describe('what is not as it was signed', () => {
  test('the body', () => expect(answer(signed(), '{"Limit":1}')).toBe(mismatch))
  test('a header', () => {
    const headers = signed({ signedHeaders: 'host;x-amz-date;x-amz-target' })
    expect(answer({ ...headers, 'x-amz-target': 'DynamoDB_20120810.DeleteTable' })).toBe(mismatch)
    expect(answer({ ...headers, host: 'other' })).toBe(mismatch)
  })
  test('the query', () => expect(answer(signed(), '{}', '/?a=b')).toBe(mismatch))
  test('the secret', () => expect(answer(signed({ secret: 'secret2' }))).toBe(mismatch))
  test.for(['', '00', 'zz', 'ff'.repeat(32), 'ff'.repeat(33)])('the signature %j', (signature) => {
    const { authorization, ...headers } = signed()
    const changed = authorization!.replace(/Signature=\w+/, `Signature=${signature}`)
    expect(answer({ ...headers, authorization: changed })).toMatch(
      signature === '' ? /^Incomplete/ : /^InvalidSignature/,
    )
  })
})

describe('names of signed headers', () => {
  test('a member that every object has is no header', () => {
    for (const name of ['constructor', '__proto__', 'tostring', 'hasownproperty']) {
      const { authorization, ...headers } = signed()
      const changed = authorization!.replace('SignedHeaders=host', `SignedHeaders=${name};host`)
      expect(answer({ ...headers, authorization: changed })).toBe(mismatch)
    }
  })
  test('a header that is named twice is no longer than one that is named once', () => {
    expect(answer(signed({ signedHeaders: 'host;host;x-amz-date' }))).toBe(mismatch)
  })
})

test('a credential of nothing but slashes takes no longer than another one', () => {
  // With an expression that looks for slashes at the end: minutes.
  const { authorization, ...headers } = signed()
  const changed = authorization!.replace('Credential=', `Credential=${'/'.repeat(500_000)}`)
  expect(answer({ ...headers, authorization: changed })).toContain('exactly 5 slash-delimited elements')
})

describe('who asks', () => {
  test('nobody', () => expect(answer({})).toContain('MissingAuthenticationTokenException'))
  test('a key that is not configured', () => expect(answer(signed({ id: 'KEY3' }))).toBe(unrecognized))
  test('a temporary key without its token, with another, and a lasting key with one', () => {
    expect(answer(signed({ id: 'KEY2', secret: 'secret2' }))).toBe(unrecognized)
    expect(answer(signed({ id: 'KEY2', secret: 'secret2', token: 'token' }))).toBe(unrecognized)
    expect(answer(signed({ token: 'token' }))).toBe(unrecognized)
  })
})

describe('when', () => {
  test('up to the bound in both directions', () => {
    expect(answer(signed({ at: clock.now() - 15 * minute }))).toBeUndefined()
    expect(answer(signed({ at: clock.now() + 15 * minute }))).toBeUndefined()
  })
  test('too old', () => {
    expect(answer(signed({ at: clock.now() - 16 * minute }))).toBe(
      'InvalidSignatureException: Signature expired: 20251231T234400Z is now earlier than 20251231T234500Z (20260101T000000Z - 15 min.)',
    )
  })
  test('too early', () => {
    expect(answer(signed({ at: clock.now() + 16 * minute }))).toBe(
      'InvalidSignatureException: Signature not yet current: 20260101T001600Z is still later than 20260101T001500Z (20260101T000000Z + 15 min.)',
    )
  })
  test.for(['201', '20260101', '2026-01-01T00:00:00Z', '20269901T000000Z'])('%s is no date', (date) => {
    expect(answer({ ...signed(), 'x-amz-date': date })).toBe(
      `IncompleteSignatureException: Date must be in ISO-8601 'basic format'. Got '${date}'. See http://en.wikipedia.org/wiki/ISO_8601`,
    )
  })
  test('a Date header in place of the other', () => {
    const { 'x-amz-date': _, ...headers } = signed()
    const date = 'Thu, 01 Jan 2026 00:00:00 GMT'
    expect(answer({ ...headers, date })).toBe(mismatch)
    expect(answer({ ...headers, date: 'Thu, 01 Jan 2026 01:00:00 GMT' })).toContain('not yet current')
  })
})

describe('for what', () => {
  test('host is always signed', () => {
    expect(answer(signed({ signedHeaders: 'x-amz-date' }))).toBe(
      "InvalidSignatureException: 'Host' must be a 'SignedHeader' in the AWS Authorization.",
    )
  })
  test('another algorithm', () => {
    expect(answer(signed({ algorithm: 'AWS4-HMAC-SHA25' }))).toBe(
      "IncompleteSignatureException: Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ",
    )
  })
  test('a scope of too few parts', () => {
    const { authorization, ...headers } = signed()
    const changed = authorization!.replace('/us-east-1', '')
    expect(answer({ ...headers, authorization: changed })).toContain('exactly 5 slash-delimited elements')
  })
  test('every fault of a scope is named', () => {
    expect(answer(signed({ region: 'C', service: 's3', term: 'e', day: 'b' }))).toBe(
      "InvalidSignatureException: Credential should be scoped to a valid region, not 'C'. " +
        "Credential should be scoped to correct service: 'dynamodb'. " +
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. " +
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: 'b' != '20260101', from '20260101T000000Z'.",
    )
  })
})

describe('a presigned request', () => {
  function presigned(
    expires: string | undefined,
    at = clock.now(),
    key = keys[0]!,
    more: Readonly<Record<string, string>> = {},
  ) {
    const date = basicIso(at)
    const scope = `${date.slice(0, 8)}/us-east-1/dynamodb/aws4_request`
    const parts: Record<string, string> = {
      'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
      'X-Amz-Credential': `${key.id}/${scope}`,
      'X-Amz-Date': date,
      ...(expires === undefined ? {} : { 'X-Amz-Expires': expires }),
      ...(key.sessionToken === undefined ? {} : { 'X-Amz-Security-Token': key.sessionToken }),
      'X-Amz-SignedHeaders': 'host',
      ...more,
    }
    const query = Object.entries(parts)
      .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
      .join('&')
    const canonical = `POST\n/\n${query}\nhost:db:8000\n\nhost\n${sha256('{}')}`
    const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`
    const signature = hmac(signingKey(key.secret, date.slice(0, 8), 'us-east-1', 'dynamodb'), text).toString('hex')
    return `/?${query}&X-Amz-Signature=${signature}`
  }
  const host = { host: 'db:8000' }

  test('is taken, with a session token too', () => {
    expect(answer(host, '{}', presigned('60'))).toBeUndefined()
    expect(answer(host, '{}', presigned(undefined))).toBeUndefined()
    expect(answer(host, '{}', presigned('60', clock.now(), keys[1]))).toBeUndefined()
  })
  test('is good for as long as it says', () => {
    expect(answer(host, '{}', presigned('7200', clock.now() - 60 * minute))).toBeUndefined()
    expect(answer(host, '{}', presigned('60', clock.now() - 2 * minute))).toContain('Signature expired')
  })
  test('cannot be changed', () => {
    expect(answer(host, '{}', presigned('60').replace('Expires=60', 'Expires=61'))).toBe(mismatch)
    expect(answer(host, '[]', presigned('60'))).toBe(mismatch)
  })
  test('has its parameters in the order of their names', () => {
    expect(answer(host, '{}', presigned('60', clock.now(), keys[0], { a: '1', 'a-b': '2', b: '' }))).toBeUndefined()
  })
  test('that names its operation in the query is good for no other', () => {
    const url = presigned('60', clock.now(), keys[0], { 'X-Amz-Target': 'DynamoDB_20120810.DescribeTable' })
    expect(answer({ ...host, 'x-amz-target': 'DynamoDB_20120810.DescribeTable' }, '{}', url)).toBeUndefined()
    expect(answer({ ...host, 'x-amz-target': 'DynamoDB_20120810.DeleteTable' }, '{}', url)).toBe(mismatch)
  })
  test.for(['0', '604801', '-1', 'x', '1e3'])('is not good for %j seconds', (expires) => {
    expect(answer(host, '{}', presigned(expires))).toContain('X-Amz-Expires')
  })
})
