import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { identityOf } from '../../../src/operators/keyed/identity.js'
import { runs } from './rows.js'

const leaf = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    undefined,
    true,
    false,
    0,
    1,
    NaN,
    Infinity,
    1n,
    '',
    'n1',
    'true',
    'null',
    '[',
    ',',
    '"',
    's',
  ),
  fc.string({ maxLength: 3 }),
  fc.integer({ min: -2, max: 2 }),
  fc.uint8Array({ maxLength: 2 }),
  fc.date({ min: new Date(0), max: new Date(3), noInvalidDate: true }),
)
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'n1', '__proto__'), tie('value'), { maxKeys: 3 }),
  ),
}))

it('a copy by spread of a row that is a view holds what the row does', () => {
  const rowOf = (fields: object) => ({ [Symbol.for('millrace.kept')]: () => fields })
  expect(identityOf({ ...rowOf({ a: 1 }) })).toBe(identityOf({ a: 1 }))
  expect(identityOf([{ ...rowOf({ a: 2 }) }])).not.toBe(identityOf([{ a: 1 }]))
})

it('two values share their identity exactly when they hold the same', () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      expect(identityOf(a) === identityOf(b)).toBe(isDeepStrictEqual(plain(a), plain(b)))
      expect(identityOf(structuredClone(a))).toBe(identityOf(a))
    }),
    runs(3000),
  )
})

/** A dictionary of a test may have no prototype, which says nothing about what it holds. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return value
  return new Map(Object.entries(value).map(([name, each]) => [name, plain(each)]))
}
