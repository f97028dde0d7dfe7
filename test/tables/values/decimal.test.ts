import fc from 'fast-check'
import { expect, test } from 'vitest'
import { numberSize } from '../../../src/tables/values/decimal.js'
import {
  addNumbers,
  compareNumbers,
  normaliseNumber,
  subtractNumbers,
  ValidationError,
} from '../../../src/tables/values/index.js'
import { aligned, compareExact, type Exact, exactNumbers, exactOf, spelling, spellings } from './exact.js'

const canonical = (number: Exact): string =>
  number.units === 0n ? '0' : normaliseNumber(spelling(number, { zeros: 0, shift: 0, plus: false }))

test('every spelling of a number has one text, which is that number, and stays as it is', () => {
  fc.assert(
    fc.property(exactNumbers, spellings, (number, choice) => {
      const text = normaliseNumber(spelling(number, choice))
      expect(text).toBe(canonical(number))
      expect(normaliseNumber(text)).toBe(text)
      expect(compareExact(exactOf(text), number)).toBe(0)
      expect(text).not.toMatch(/^-?0\d|^-0$|\.$|\.\d*0$/)
    }),
  )
})

test('order is that of the numbers', () => {
  fc.assert(
    fc.property(exactNumbers, exactNumbers, (a, b) => {
      expect(Math.sign(compareNumbers(canonical(a), canonical(b)))).toBe(compareExact(a, b))
    }),
  )
})

test('sums and differences are exact, or an error where 38 digits or the range do not hold them', () => {
  const near = fc.tuple(exactNumbers, exactNumbers).map(([a, b]) => [a, { ...b, exponent: a.exponent }] as const)
  fc.assert(
    fc.property(fc.oneof(near, fc.tuple(exactNumbers, exactNumbers)), fc.boolean(), ([one, two], subtract) => {
      const { a, b, exponent } = aligned(one, two)
      const units = subtract ? a - b : a + b
      const significant = units.toString().replace('-', '').replace(/0+$/, '').length
      const first = units.toString().replace('-', '').length - 1 + exponent
      const isNumber = units === 0n || (significant <= 38 && first <= 125 && first >= -130)
      const compute = () => (subtract ? subtractNumbers : addNumbers)(canonical(one), canonical(two))
      if (!isInRange(one) || !isInRange(two)) return
      if (isNumber) expect(compute()).toBe(units === 0n ? '0' : canonical({ units, exponent }))
      else expect(compute).toThrow(ValidationError)
    }),
  )
})

function isInRange({ units, exponent }: Exact): boolean {
  const first = units.toString().replace('-', '').length - 1 + exponent
  return units === 0n || (first <= 125 && first >= -130)
}

test.for([
  ['0', 1],
  ['5', 2],
  ['-5', 3],
  ['123456', 4],
  ['3.14159', 5],
  ['0.001', 2],
  [`1${'0'.repeat(125)}`, 2],
  ['100.5', 4],
] as const)('%s takes %i bytes of an item', ([text, size]) => {
  expect(numberSize(text)).toBe(size)
})

test.for([
  '',
  ' 1',
  '1 ',
  '--1',
  '+-1',
  '.',
  '-',
  '1e',
  '1e+',
  'e5',
  '0x10',
  '1_000',
  'NaN',
  'Infinity',
  '1.2.3',
  '１',
])('%j is no number', (text) => {
  expect(() => normaliseNumber(text)).toThrow('cannot be converted to a numeric value')
})

test('what is out of range or too precise is refused, never rounded', () => {
  for (const text of ['1e126', '-1e126', `1${'0'.repeat(126)}`, '1e999999999999', '0e126', '1e9223372036854775807']) {
    expect(() => normaliseNumber(text)).toThrow('Number overflow')
  }
  for (const text of ['1e-131', '-9.9e-131', '1e-999999999999', '0e-131', '-0.00e-99999999999']) {
    expect(() => normaliseNumber(text)).toThrow('Number underflow')
  }
  for (const text of [`1${'0'.repeat(37)}1`, `0.${'1'.repeat(39)}`]) {
    expect(() => normaliseNumber(text)).toThrow('more than 38 significant digits')
  }
  for (const text of ['1e9223372036854775808', '1e-9223372036854775808', `0e${'9'.repeat(1000)}`]) {
    expect(() => normaliseNumber(text)).toThrow(`cannot be converted to a numeric value: ${text}`)
  }
  for (const text of ['0e125', '-0e-130', '0.000', '+0e000000000000000000000000000000000001']) {
    expect(normaliseNumber(text)).toBe('0')
  }
})
