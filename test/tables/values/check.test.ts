import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type AttributeValue,
  checkItem,
  compareText,
  type Item,
  itemSize,
  itemsEqual,
  ValidationError,
} from '../../../src/tables/values/index.js'

const names = fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'constructor', 'toString'), fc.string({ minLength: 1 }))
const numbers = fc.oneof(fc.integer().map(String), fc.constantFrom('1.0', '1', '1e0', '-0', '0', '0.50', '1E2', '100'))
const base64 = fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('base64'))
const set = (members: fc.Arbitrary<string>) => fc.uniqueArray(members, { minLength: 1, maxLength: 4 })

/** Values as a client writes them: not canonical, and sometimes wrong. */
const { value: values } = fc.letrec<{ value: AttributeValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'binary' }).map((S) => ({ S })),
    numbers.map((N) => ({ N })),
    base64.map((B) => ({ B })),
    fc.boolean().map((BOOL) => ({ BOOL })),
    fc.constant({ NULL: true as const }),
    set(fc.string()).map((SS) => ({ SS })),
    set(numbers).map((NS) => ({ NS })),
    set(base64).map((BS) => ({ BS })),
    fc.array(tie('value'), { maxLength: 4 }).map((L) => ({ L })),
    fc.dictionary(names, tie('value'), { maxKeys: 4 }).map((M) => ({ M })),
  ),
}))
const items = fc.dictionary(names, values, { maxKeys: 5 }).map((item) => JSON.parse(JSON.stringify(item)) as Item)

test('a checked item is canonical, has its size, and is what its stored text gives back', () => {
  fc.assert(
    fc.property(items, (raw) => {
      let checked: { item: Item; size: number }
      try {
        checked = checkItem(raw)
      } catch (error) {
        // Numbers that are the same by value make a set with duplicates.
        expect(error).toBeInstanceOf(ValidationError)
        expect(JSON.stringify(raw)).toContain('"NS"')
        return
      }
      const { item, size } = checked
      expect(size).toBe(itemSize(item))
      expect(Object.keys(item)).toEqual(Object.keys(raw))
      const again = checkItem(JSON.parse(JSON.stringify(item)) as unknown)
      expect(JSON.stringify(again.item)).toBe(JSON.stringify(item))
      expect(itemsEqual(again.item, item)).toBe(true)
    }),
  )
})

test('anything at all is checked or refused with a ValidationError', () => {
  const typed = fc.dictionary(
    fc.constantFrom('S', 'N', 'B', 'M', 'L', 'SS', 'NS', 'BS', 'BOOL', 'NULL', 'x'),
    fc.jsonValue(),
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(names, typed)), (raw) => {
      try {
        checkItem(JSON.parse(JSON.stringify(raw)) as unknown)
      } catch (error) {
        expect(error).toBeInstanceOf(ValidationError)
      }
    }),
  )
})

test('text is ordered by its UTF-8 bytes', () => {
  const texts = fc.string({
    unit: fc.oneof(fc.constantFrom('\ud7ff', '\ue000', '\uffff', '𐀀', '🙂', 'a'), fc.string({ unit: 'binary' })),
  })
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
    }),
  )
})

test('31 maps around a value pass, 32 do not', () => {
  const nested = (levels: number): AttributeValue => {
    let value: AttributeValue = { S: 'x' }
    for (let i = 0; i < levels; i++) value = { M: { a: value } }
    return value
  }
  expect(() => checkItem({ a: nested(31) })).not.toThrow()
  expect(() => checkItem({ a: nested(32) })).toThrow('Nesting Levels have exceeded supported limits')
  expect(() => checkItem({ a: nested(100_000) })).toThrow('Nesting Levels')
})

test.for(['AA=A', 'A', 'AAA', 'AB==', 'AAB=', '!AAA', 'AA AA', 'AA==AA==', '=', 'ÄAAA'])('%j is no base64', (B) => {
  expect(() => checkItem({ b: { B } })).toThrow(ValidationError)
})
