import { expect, test } from 'vitest'
import { hmac, type Signed, signingKey, stringToSign } from '../../../src/server/aws/signature.js'

// What AWS publishes with its description of Signature Version 4: the derived key, and requests with their signatures.
const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const emptyBody = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

test('the signing key of the documentation', () => {
  expect(signingKey(secret, '20150830', 'us-east-1', 'iam').toString('hex')).toBe(
    'c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9',
  )
})

test.for([
  ['GET', undefined, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['POST', undefined, '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  ['GET', 'Param2=value2&Param1=value1', 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500'],
] as const)('%s ?%s of the test suite', ([method, query, signature]) => {
  const signed: Signed = {
    algorithm: 'AWS4-HMAC-SHA256',
    credential: ['AKIDEXAMPLE', '20150830', 'us-east-1', 'service', 'aws4_request'],
    signedHeaders: ['host', 'x-amz-date'],
    signature,
    date: '20150830T123600Z',
    expiresSeconds: undefined,
    sessionToken: undefined,
  }
  const headers = { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' }
  const head = { method, path: '/', query: query === undefined ? undefined : new URLSearchParams(query), headers }
  const text = stringToSign(head, signed, emptyBody)
  expect(hmac(signingKey(secret, '20150830', 'us-east-1', 'service'), text).toString('hex')).toBe(signature)
})
