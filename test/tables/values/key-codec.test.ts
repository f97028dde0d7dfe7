import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type AttributeValue,
  decodeKeyValue,
  encodeKeyValue,
  normaliseNumber,
} from '../../../src/tables/values/index.js'
import * as naive from '../naive/values.js'
import { exactNumbers, spelling } from './exact.js'

const numbers = exactNumbers.map(
  (number): AttributeValue => ({ N: normaliseNumber(spelling(number, { zeros: 0, shift: 0, plus: false })) }),
)
// Zeros and their neighbours often: those are what the escape is for.
const bytes = fc.array(fc.oneof(fc.constantFrom(0, 0, 1, 254, 255), fc.nat(255)), { maxLength: 12 })
const texts = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.string({ unit: fc.constantFrom('\0', '\u0001', 'a', 'é', '𝒳', '\uffff') }),
  )
  .map((text): AttributeValue => ({ S: text }))
const binaries = bytes.map((content): AttributeValue => ({ B: Buffer.from(content).toString('base64') }))

test.for([
  ['N', numbers],
  ['S', texts],
  ['B', binaries],
] as const)('the order of encoded %s keys is the order of the values', ([, values]) => {
  fc.assert(
    fc.property(values, values, (a, b) => {
      const order = Buffer.compare(encodeKeyValue(a), encodeKeyValue(b))
      expect(order).toBe(naive.compareValues(a, b))
    }),
  )
})

test('keys come back, one behind the other, and none begins another', () => {
  const keys = fc.oneof(numbers, texts, binaries)
  fc.assert(
    fc.property(keys, keys, (a, b) => {
      const [first, second] = [encodeKeyValue(a), encodeKeyValue(b)]
      const both = Buffer.concat([first, second])
      const decoded = decodeKeyValue(both, 0)
      expect(decoded).toEqual({ value: a, next: first.length })
      expect(decodeKeyValue(both, decoded.next)).toEqual({ value: b, next: both.length })
      if (!first.equals(second)) expect(second.subarray(0, first.length).equals(first)).toBe(false)
    }),
  )
})

test('the rows that begin with a text or binary are those between it, without its end, and what follows', () => {
  fc.assert(
    fc.property(texts, texts, (value, prefix) => {
      const start = encodeKeyValue(prefix).subarray(0, -2)
      const isThere = encodeKeyValue(value).subarray(0, start.length).equals(start)
      expect(isThere).toBe((value as { S: string }).S.startsWith((prefix as { S: string }).S))
    }),
  )
})
