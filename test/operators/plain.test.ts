import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attributesOf, plainItem } from '../../src/operators/plain.js'
import { normaliseNumber } from '../../src/tables/values/index.js'

type Attribute = Readonly<Record<string, unknown>>

/** Numbers as they are stored, many of them longer than a double can hold. */
const number = fc
  .tuple(fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }), fc.integer({ min: -60, max: 40 }))
  .map(([digits, power]) => normaliseNumber(`${digits}e${power}`))
const text = fc.oneof(fc.string(), number)

const { attribute } = fc.letrec<{ attribute: Attribute }>((tie) => ({
  attribute: fc.oneof(
    { maxDepth: 3 },
    text.map((S) => ({ S })),
    number.map((N) => ({ N })),
    fc.boolean().map((BOOL) => ({ BOOL })),
    fc.constant({ NULL: true }),
    fc.uint8Array().map((bytes) => ({ B: Buffer.from(bytes).toString('base64') })),
    fc.uniqueArray(text, { minLength: 1 }).map((SS) => ({ SS })),
    fc.uniqueArray(number, { minLength: 1 }).map((NS) => ({ NS })),
    fc.array(tie('attribute')).map((L) => ({ L })),
    fc.dictionary(fc.string(), tie('attribute')).map((M) => ({ M: { ...M } })),
  ),
}))

describe('an image that goes on as it is', () => {
  it('is the item that it was, to the last digit', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), attribute), (item) => {
        expect(attributesOf(plainItem(item as Record<string, Attribute>))).toEqual(item)
      }),
    )
  })

  it('has the text that user code put in the place of a long number', () => {
    const image = plainItem({ a: { N: '0.12345678901234567890' }, b: { N: '0.12345678901234567891' } })
    image.a = 'text'
    expect(attributesOf(image)).toEqual({ a: { S: 'text' }, b: { N: '0.12345678901234567891' } })
  })
})
