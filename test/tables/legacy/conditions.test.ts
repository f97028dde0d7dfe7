import { describe, expect, test } from 'vitest'
import { evaluateCondition, keyConditionOf } from '../../../src/tables/expressions/index.js'
import { expectedCondition, legacyKeyConditions, legacyReading } from '../../../src/tables/legacy/index.js'
import type { AttributeValue, Item } from '../../../src/tables/values/index.js'

const invalid = 'One or more parameter values were invalid: '

const item: Item = {
  n: { N: '5' },
  s: { S: 'hello' },
  b: { B: Buffer.from('hi there').toString('base64') },
  ns: { NS: ['2', '4', '7'] },
  l: { L: [{ N: '2' }, { S: 'x' }] },
  m: { M: { a: { N: '1' } } },
  yes: { BOOL: true },
  nothing: { NULL: true },
}
const N = (text: string): AttributeValue => ({ N: text })
const S = (text: string): AttributeValue => ({ S: text })
const B = (text: string): AttributeValue => ({ B: Buffer.from(text).toString('base64') })

const holds = (attribute: string, ComparisonOperator: string, ...AttributeValueList: AttributeValue[]): boolean => {
  const given = { [attribute]: { ComparisonOperator, AttributeValueList } }
  const expected = evaluateCondition(expectedCondition({ Expected: given })!, item)
  // A filter and Expected are the same comparison.
  const { filter } = legacyReading({ ScanFilter: given }, 'ScanFilter')
  expect(evaluateCondition(filter!, item)).toBe(expected)
  return expected
}

describe('comparisons', () => {
  const cases: [boolean, string, string, ...AttributeValue[]][] = [
    [true, 'n', 'EQ', N('5.0')],
    [false, 'n', 'EQ', S('5')],
    [false, 'gone', 'EQ', N('5')],
    [true, 'l', 'EQ', { L: [{ N: '2.0' }, { S: 'x' }] }],
    [true, 'm', 'EQ', { M: { a: { N: '1' } } }],
    [true, 'ns', 'EQ', { NS: ['7', '2', '4'] }],
    [false, 'n', 'NE', N('5')],
    [true, 'n', 'NE', S('5')],
    [true, 'gone', 'NE', N('5')],
    [true, 'n', 'LT', N('6')],
    [false, 'n', 'LT', N('5')],
    [true, 'n', 'LE', N('5')],
    [false, 'n', 'LE', S('5')],
    [true, 's', 'GT', S('h')],
    [true, 'b', 'GE', B('hi')],
    [false, 'gone', 'GE', N('0')],
    [false, 'ns', 'GT', N('0')],
    [true, 'gone', 'NULL'],
    [false, 'nothing', 'NULL'],
    [true, 'nothing', 'NOT_NULL'],
    [false, 'gone', 'NOT_NULL'],
    [true, 's', 'CONTAINS', S('ell')],
    [true, 'b', 'CONTAINS', B('there')],
    [true, 'ns', 'CONTAINS', N('4')],
    [true, 'l', 'CONTAINS', S('x')],
    [false, 's', 'CONTAINS', N('1')],
    [false, 'gone', 'CONTAINS', N('1')],
    [false, 's', 'NOT_CONTAINS', S('ell')],
    [true, 's', 'NOT_CONTAINS', N('1')],
    [true, 'ns', 'NOT_CONTAINS', N('1')],
    [false, 'gone', 'NOT_CONTAINS', N('1')],
    [true, 's', 'BEGINS_WITH', S('he')],
    [true, 'b', 'BEGINS_WITH', B('hi')],
    [false, 'n', 'BEGINS_WITH', S('5')],
    [true, 'n', 'IN', N('1'), N('5')],
    [false, 'ns', 'IN', N('2')],
    [true, 'n', 'BETWEEN', N('5'), N('5')],
    [false, 'n', 'BETWEEN', S('1'), S('9')],
    [false, 'gone', 'BETWEEN', N('1'), N('9')],
  ]
  test.each(cases)('%s: %s %s %j', (expected, ...comparison) => {
    expect(holds(...comparison)).toBe(expected)
  })
})

function messageOf(parse: () => unknown): string {
  try {
    parse()
  } catch (error) {
    return (error as Error).message
  }
  return 'accepted'
}

test('a ComparisonOperator takes so many values, of one type, of some types', () => {
  const refused = (ComparisonOperator: string, ...AttributeValueList: unknown[]) => {
    const given = { a: { ComparisonOperator, AttributeValueList } }
    const messages = [
      () => expectedCondition({ Expected: given }),
      () => legacyReading({ QueryFilter: given }, 'QueryFilter'),
      () => legacyKeyConditions({ KeyConditions: given }),
    ].map(messageOf)
    expect(new Set(messages).size).toBe(1)
    return messages[0]
  }
  const count = (operator: string) => `${invalid}Invalid number of argument(s) for the ${operator} ComparisonOperator`
  for (const operator of ['EQ', 'NE', 'LE', 'LT', 'GE', 'GT', 'CONTAINS', 'NOT_CONTAINS', 'BEGINS_WITH']) {
    expect(refused(operator)).toBe(count(operator))
    expect(refused(operator, S('a'), S('a'))).toBe(count(operator))
  }
  for (const operator of ['NULL', 'NOT_NULL']) expect(refused(operator, S('a'))).toBe(count(operator))
  expect(refused('IN')).toBe(count('IN'))
  for (const values of [[], [N('1')], [N('1'), N('2'), N('3')]])
    expect(refused('BETWEEN', ...values)).toBe(count('BETWEEN'))
  const types = `${invalid}AttributeValues inside AttributeValueList must be of same type`
  expect(refused('IN', S('a'), N('1'))).toBe(types)
  expect(refused('BETWEEN', S('a'), N('1'))).toBe(types)
  const notValid = (operator: string, type: string) =>
    `${invalid}ComparisonOperator ${operator} is not valid for ${type} AttributeValue type`
  for (const operator of ['LT', 'LE', 'GT', 'GE', 'IN'])
    for (const [type, content] of Object.entries({
      BOOL: true,
      NULL: true,
      SS: ['a'],
      NS: ['1'],
      BS: ['YQ=='],
      M: {},
      L: [],
    }))
      expect(refused(operator, { [type]: content })).toBe(notValid(operator, type))
  expect(refused('CONTAINS', { L: [] })).toBe(notValid('CONTAINS', 'L'))
  expect(refused('NOT_CONTAINS', { NS: ['1'] })).toBe(notValid('NOT_CONTAINS', 'NS'))
  expect(refused('BEGINS_WITH', N('1'))).toBe(notValid('BEGINS_WITH', 'N'))
  expect(refused('BETWEEN', { BOOL: true }, { BOOL: true })).toBe(notValid('BETWEEN', 'BOOL'))
  expect(refused('BETWEEN', N('10'), N('9'))).toBe(
    'The BETWEEN condition was provided a range where the lower bound is greater than the upper bound',
  )
  expect(refused('EQ', {}, S(''))).toBe(
    'Supplied AttributeValue is empty, must contain exactly one of the supported datatypes',
  )
})

test('Expected says a value, that there is none, or a comparison, and not two of them', () => {
  const condition = (a: unknown) => expectedCondition({ Expected: { n: a } })!
  const fulfils = (a: unknown, of: Item = item) => evaluateCondition(condition(a), of)
  expect(fulfils({ Value: N('5') })).toBe(true)
  expect(fulfils({ Exists: true, Value: N('5') })).toBe(true)
  expect(fulfils({ Value: N('6') })).toBe(false)
  expect(fulfils({ Value: N('5') }, {})).toBe(false)
  expect(fulfils({ Exists: false })).toBe(false)
  expect(fulfils({ Exists: false }, {})).toBe(true)
  expect(fulfils({ ComparisonOperator: 'GT', Value: N('4') })).toBe(true)
  const fault = (text: string) => `${invalid}${text} for Attribute: n`
  for (const [given, text] of [
    [{}, 'Value must be provided when Exists is null'],
    [{ Exists: true }, 'Value must be provided when Exists is true'],
    [{ Exists: false, Value: N('1') }, 'Value cannot be used when Exists is false'],
    [
      { Exists: false, ComparisonOperator: 'EQ', AttributeValueList: [N('1')] },
      'Exists and ComparisonOperator cannot be used together',
    ],
    [
      { Value: N('1'), AttributeValueList: [N('1')], ComparisonOperator: 'EQ' },
      'Value and AttributeValueList cannot be used together',
    ],
    [{ AttributeValueList: [N('1')] }, 'AttributeValueList can only be used with a ComparisonOperator'],
    [{ ComparisonOperator: 'EQ' }, 'Value or AttributeValueList must be used with ComparisonOperator: EQ'],
  ] as const)
    expect(() => condition(given)).toThrow(fault(text))
})

test('conditions are all to hold, or any with OR', () => {
  const Expected = { n: { Value: N('5') }, s: { Value: S('bye') }, gone: { Exists: false } }
  const of = (more: object) => evaluateCondition(expectedCondition({ Expected, ...more })!, item)
  expect(of({})).toBe(false)
  expect(of({ ConditionalOperator: 'AND' })).toBe(false)
  expect(of({ ConditionalOperator: 'OR' })).toBe(true)
  expect(expectedCondition({ Expected: {} })).toBeUndefined()
  expect(expectedCondition({})).toBeUndefined()
})

test('KeyConditions are one or two, of operators that a key can be asked for', () => {
  expect(() => legacyKeyConditions({ KeyConditions: {} })).toThrow('Conditions can be of length 1 or 2 only')
  const missing = { ComparisonOperator: 'NULL' }
  expect(() => legacyKeyConditions({ KeyConditions: { a: missing, b: missing, c: missing } })).toThrow(
    'Conditions can be of length 1 or 2 only',
  )
  for (const condition of [
    missing,
    { ComparisonOperator: 'NOT_NULL' },
    { ComparisonOperator: 'NE', AttributeValueList: [N('1')] },
    { ComparisonOperator: 'IN', AttributeValueList: [N('1')] },
    { ComparisonOperator: 'CONTAINS', AttributeValueList: [N('1')] },
    { ComparisonOperator: 'NOT_CONTAINS', AttributeValueList: [N('1')] },
  ]) {
    const conditions = legacyKeyConditions({ KeyConditions: { a: condition } })!
    expect(() => keyConditionOf(conditions, { hash: { name: 'a', type: 'N' } })).toThrow(
      'Attempted conditional constraint is not an indexable operation',
    )
  }
})
