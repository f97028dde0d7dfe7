import { expect, test } from 'vitest'
import { shownFields } from '../../src/cli/shown-fields.js'

const rows = (value: object): Record<string, string> =>
  Object.fromEntries(shownFields(value).map(({ name, text }) => [name, text]))

test('members of members have a row each, with dots between the names', () => {
  expect(rows({ name: 'b', options: { brokers: ['a:1', 'b:2'], deep: { on: true } } })).toEqual({
    name: 'b',
    'options.brokers': 'a:1, b:2',
    'options.deep.on': 'true',
  })
})

test('times are ISO 8601, other numbers stay numbers', () => {
  expect(rows({ createdAt: 0, state: { since: 1_500 }, epoch: 1 })).toEqual({
    createdAt: '1970-01-01T00:00:00.000Z',
    'state.since': '1970-01-01T00:00:01.500Z',
    epoch: '1',
  })
  expect(rows({ at: Number.MAX_VALUE })).toEqual({ at: String(Number.MAX_VALUE) })
})

test('a list of objects is one object a line', () => {
  const positions = [
    { shard: 1, ended: true },
    { shard: 2, ended: false },
  ]
  expect(rows({ positions })).toEqual({ positions: 'shard 1, ended true\nshard 2, ended false' })
})

test('what is absent or empty has no row, what is false or 0 has one', () => {
  expect(rows({ none: undefined, nothing: null, empty: [], bare: {}, no: false, zero: 0 })).toEqual({
    no: 'false',
    zero: '0',
  })
})
