import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isJson } from '../../src/kafka/is-json.js'

function parses(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false
  try {
    JSON.parse(bytes.toString('utf8'))
    return true
  } catch {
    return false
  }
}

const written = fc
  .tuple(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(undefined, 1, '\t'))
  .map(([value, indent]) => Buffer.from(JSON.stringify(value, undefined, indent)))

test('takes what JSON.parse takes, of JSON and of JSON with some bytes changed', () => {
  const change = fc.tuple(fc.nat(), fc.constantFrom(...Buffer.from('{}[],:"\\0-1.eEu+ \n\ttfn'), 0x80, 0x00, 0xc3))
  fc.assert(
    fc.property(written, fc.array(change, { maxLength: 3 }), (json, changes) => {
      expect(isJson(json)).toBe(true)
      for (const [at, byte] of changes) json[at % json.length] = byte
      expect(isJson(json)).toBe(parses(json))
    }),
    { numRuns: 3_000 },
  )
})

test.each([
  '',
  ' ',
  '1',
  ' 1 ',
  '-',
  '-0',
  '01',
  '1.',
  '1.5e',
  '1e+5',
  '1E-5',
  '.5',
  '+1',
  'tru',
  'true',
  'nullx',
  'null ',
  '"',
  '"a',
  '"\\',
  '"\\x"',
  '"\\u12"',
  '"\\u12aF"',
  '"\u0001"',
  '[',
  ']',
  '[]',
  '[ ]',
  '[,]',
  '[1,]',
  '[1 2]',
  '{',
  '{}',
  '{ }',
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{"a":1 "b":2}',
  '{a:1}',
  '[}',
  '{"a":[{"b":[]}]}',
  '1 1',
  '\ufeff1',
  '"\ud7ff"',
  `${'['.repeat(5000)}${']'.repeat(5000)}`,
])('%s', (text) => {
  expect(isJson(Buffer.from(text))).toBe(parses(Buffer.from(text)))
})
