import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalKey } from '../../src/kafka/index.js'

const keyOf = (keys: object): string => canonicalKey(Buffer.from(JSON.stringify(keys))).toString()

describe('the key of a message', () => {
  test('holds the whole primary key with its types', () => {
    expect(keyOf({ ListId: { N: '2' }, TaskId: { S: '1_progress' } })).toBe(
      '{"ListId":{"N":"2"},"TaskId":{"S":"1_progress"}}',
    )
  })

  test('the number 1 is not the string "1"', () => {
    expect(keyOf({ id: { N: '1' } })).not.toBe(keyOf({ id: { S: '1' } }))
  })

  test('depends neither on the order of the attributes nor on white space', () => {
    expect(keyOf({ b: { S: 'x' }, a: { B: 'AQI=' } })).toBe(keyOf({ a: { B: 'AQI=' }, b: { S: 'x' } }))
    expect(canonicalKey(Buffer.from('{ "a" : { "S" : "\\u0078" } }')).toString()).toBe('{"a":{"S":"x"}}')
  })

  test('differs for different keys, and says what it was made of', () => {
    const value = fc.oneof(fc.record({ S: fc.string({ unit: 'binary' }) }), fc.record({ N: fc.integer().map(String) }))
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 2 }),
        fc.array(value, { minLength: 2, maxLength: 2 }),
        (names, values) => {
          const keys = Object.fromEntries(names.map((name, i) => [name, values[i]]))
          expect(JSON.parse(keyOf(keys))).toEqual(JSON.parse(JSON.stringify(keys)))
        },
      ),
    )
  })

  test('takes names that objects have by nature', () => {
    expect(canonicalKey(Buffer.from('{"__proto__":{"S":"a"},"constructor":{"N":"1"}}')).toString()).toBe(
      '{"__proto__":{"S":"a"},"constructor":{"N":"1"}}',
    )
  })
})
