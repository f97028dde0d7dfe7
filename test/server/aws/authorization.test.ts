import { expect, test } from 'vitest'
import { checkForm, queryOf } from '../../../src/server/aws/authorization.js'

/** The error that AWS answers, or that there is none. */
function refusal(headers: Record<string, string>, url = '/'): string | undefined {
  try {
    checkForm(headers, queryOf(url))
    return undefined
  } catch (error) {
    const { type, message, status } = error as { type: string; message: string; status: number }
    expect(status).toBe(400)
    return `${type.replace('com.amazon.coral.service#', '')}: ${message}`
  }
}

const missing = 'MissingAuthenticationTokenException: Request is missing Authentication Token'
const whole =
  'AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00'
const date = { 'x-amz-date': '20260101T000000Z' }

test('what clients send passes, whoever signed it; nothing at all passes too', () => {
  expect(refusal({ authorization: whole, ...date })).toBeUndefined()
  expect(refusal({ authorization: whole, date: 'Thu, 01 Jan 2026 00:00:00 GMT' })).toBeUndefined()
  expect(refusal({ authorization: 'AWS4-X Signature=b,Credential=a,SignedHeaders=c', ...date })).toBeUndefined()
  const query = 'X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-SignedHeaders=d&X-Amz-Date=e'
  expect(refusal({}, `/?${query}`)).toBeUndefined()
  expect(refusal({})).toBeUndefined()
  expect(refusal({}, '/?other=1')).toBeUndefined()
})

test.for(['AWS4', 'X', 'Basic abc', 'Bearer abc'])('the header %j is no signature', (authorization) => {
  expect(refusal({ authorization, ...date })).toBe(missing)
})

test('parts of a presigned request without the one that says so', () => {
  expect(refusal({}, '/?X-Amz-Credential=a&X-Amz-Signature=b')).toBe(missing)
})

test('a header and a query at once', () => {
  expect(refusal({ authorization: 'X' }, '/?X-Amz-Algorithm')).toBe(
    "InvalidSignatureException: Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
  )
})

test('each part of a header that is not there is named, in order', () => {
  const name = (part: string) => `Authorization header requires '${part}' parameter. `
  expect(refusal({ authorization: 'AWS4- ' })).toBe(
    `IncompleteSignatureException: ${name('Credential')}${name('Signature')}${name('SignedHeaders')}` +
      "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4- ",
  )
  for (const authorization of [
    'AWS4- Signature=b Credential=a',
    'AWS4- Signature=b,Credential=a',
    'AWS4- Signature=b, Credential=a, SignedHeaders=',
    'AWS4- SignedHeaders=, Signature=b, Credential=a',
  ]) {
    expect(refusal({ authorization, ...date })).toBe(
      `IncompleteSignatureException: ${name('SignedHeaders')}Authorization=${authorization}`,
    )
  }
  expect(refusal({ authorization: whole })).toContain("either a 'X-Amz-Date' or a 'Date' header")
})

test('each part of a query that is not there is named, in order', () => {
  const name = (part: string) => `AWS query-string parameters must include 'X-Amz-${part}'. `
  expect(refusal({}, '/?X-Amz-Algorithm')).toBe(
    `IncompleteSignatureException: ${['Algorithm', 'Credential', 'Signature', 'SignedHeaders', 'Date'].map(name).join('')}` +
      'Re-examine the query-string parameters.',
  )
  expect(refusal({}, '/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d')).toBe(
    `IncompleteSignatureException: ${name('SignedHeaders')}Re-examine the query-string parameters.`,
  )
})
