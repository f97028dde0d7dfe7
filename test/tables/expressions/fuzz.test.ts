import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  applyUpdate,
  ExpressionContext,
  evaluateCondition,
  expressionBytesMax,
  keyConditionOf,
  parseCondition,
  parseKeyCondition,
  parseProjection,
  parseUpdate,
  project,
} from '../../../src/tables/expressions/index.js'
import { type Item, ValidationError } from '../../../src/tables/values/index.js'

const item: Item = {
  a: { L: [{ N: '1' }, { M: { b: { S: 'x' } } }] },
  b: { M: { a: { L: [{ SS: ['x'] }] } } },
  c: { N: '5' },
}
const placeholders = {
  names: { '#a': 'a', '#b': '__proto__' },
  values: { ':n': { N: '1' }, ':s': { S: 'x' }, ':l': { L: [{ N: '1' }] }, ':t': { SS: ['x'] } },
}
const words = (
  'SET REMOVE ADD DELETE AND OR NOT BETWEEN IN ( ) ( ) , , . [0] [1] [ ] = <> < <= > >= + - a b c #a #b :n :s :l :t ' +
  'size attribute_exists attribute_not_exists attribute_type begins_with contains if_not_exists list_append select 7 $ \ud83d é'
).split(' ')
const texts = fc.oneof(
  fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((parts) => parts.join(' ')),
  fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
)
const schema = { hash: { name: 'a', type: 'S' }, range: { name: 'c', type: 'N' } } as const

test('any text at all is parsed and run, or refused with a ValidationError', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const context = new ExpressionContext(placeholders)
      for (const run of [
        () => evaluateCondition(parseCondition('ConditionExpression', text, context), item),
        () => applyUpdate(parseUpdate(text, context), item),
        () => project(parseProjection(text, context), item),
        () => keyConditionOf(parseKeyCondition(text, context), schema),
      ]) {
        try {
          run()
        } catch (error) {
          expect(error).toBeInstanceOf(ValidationError)
        }
      }
    }),
    { numRuns: 2000 },
  )
})

/** As much of a nesting as fits into an expression. */
function deep(open: string, inner: string, close: string): string {
  const times = Math.floor((expressionBytesMax - inner.length) / (open.length + close.length))
  return open.repeat(times) + inner + close.repeat(times)
}

// Anything that reads a part twice at each level would not come back from these before the end of time.
test.for([
  deep('(', 'a = :n', ')'),
  deep('(', 'a', ' = :n)'),
  deep('(', 'a', ')'),
  deep('((', 'a = b', ') OR a = c)'),
  deep('NOT (', 'a = :n', ')'),
  deep('NOT ', 'a = :n', ''),
  deep('(a = :n AND ', 'a = :n', ')'),
  deep('size(', 'a', ')'),
  deep('size((', 'a', '))'),
  deep('a IN (', 'a', ')'),
  deep('(', '', ''),
  deep('a.', 'a', ''),
  deep('a[0]', '', ''),
  deep('SET a = (', 'b', ')'),
  deep('a = b OR ', 'a = c', ''),
  `SET a = ${deep('if_not_exists(a, ', ':n', ')').slice(0, 4000)}`,
])('%# a nesting as deep as fits is read once', (text) => {
  const context = new ExpressionContext(placeholders)
  for (const parse of [
    () => parseCondition('ConditionExpression', text, context),
    () => parseUpdate(text, context),
    () => parseProjection(text, context),
  ]) {
    try {
      parse()
    } catch (error) {
      expect(error).toBeInstanceOf(ValidationError)
    }
  }
})

test('the bounds are those of AWS, and exactly so much passes', () => {
  const parse = (text: string) => parseCondition('ConditionExpression', text, new ExpressionContext(placeholders))
  const ors = (count: number) => Array.from({ length: count }, () => 'a = :n').join(' OR ')
  // n comparisons and n - 1 ORs.
  expect(() => parse(`NOT ${ors(150)}`)).not.toThrow()
  expect(() => parse(`NOT NOT ${ors(150)}`)).toThrow('too many operators; operator count: 301')
  const options = (count: number) => `a IN (${Array.from({ length: count }, () => ':n').join(',')})`
  expect(() => parse(options(100))).not.toThrow()
  expect(() => parse(options(101))).toThrow('number of operands: 101')
  expect(() => parse(`a = :n${' '.repeat(expressionBytesMax - 6)}`)).not.toThrow()
  expect(() => parse(`a = :n${' '.repeat(expressionBytesMax - 5)}`)).toThrow(
    'Expression size has exceeded the maximum allowed size;',
  )
})
