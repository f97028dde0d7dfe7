import { expect, test } from 'vitest'
import {
  decodeExpiryKey,
  deriveExpiry,
  expiryEffects,
  expiryKey,
  expirySecondsMax,
  expirySecondsOf,
} from '../../../src/tables/expiry/expiry-row.js'
import { encodeItem, itemKey } from '../../../src/tables/items/item-row.js'
import type { AttributeValue } from '../../../src/tables/values/index.js'

const schema = { hash: { name: 'pk', type: 'S' }, range: { name: 'sk', type: 'N' } } as const
const key = itemKey(7, schema, { pk: { S: 'a' }, sk: { N: '1' } })

test('a row is the family, the table, the time and what is behind the table in the key of the item', () => {
  const row = expiryKey(7, 1_800_000_000, key.row)
  expect(row.toString('hex')).toBe(`14${'00000007'}${'00006b49d200'}${key.row.subarray(5).toString('hex')}`)
  expect(decodeExpiryKey(row)).toEqual({ seconds: 1_800_000_000, itemRow: key.row })
})

test('whole seconds of a number that a clock may reach, and nothing else', () => {
  const times: [AttributeValue | undefined, number | undefined][] = [
    [{ N: '1800000000' }, 1_800_000_000],
    [{ N: '1800000000.999' }, 1_800_000_000],
    [{ N: String(expirySecondsMax) }, expirySecondsMax],
    [{ N: String(expirySecondsMax + 1) }, undefined],
    [{ N: '1800000000000' }, undefined],
    [{ N: `1${'0'.repeat(100)}` }, undefined],
    [{ N: '0' }, undefined],
    [{ N: '0.5' }, undefined],
    [{ N: '-1800000000' }, undefined],
    [{ S: '1800000000' }, undefined],
    [{ NS: ['1800000000'] }, undefined],
    [undefined, undefined],
  ]
  for (const [value, seconds] of times) expect(expirySecondsOf(value), JSON.stringify(value)).toBe(seconds)
})

test('rows follow the attribute: made, moved, taken away, and left alone', () => {
  const table = { id: 7, expiry: { attribute: 'until', changedAt: 0 } }
  const item = (until?: number) => ({ pk: { S: 'a' }, ...(until ? { until: { N: String(until) } } : {}) })
  const at = (seconds: number) => expiryKey(7, seconds, key.row)
  const none = Buffer.alloc(0)
  expect(expiryEffects(table, key, undefined, item(100))).toEqual([{ key: at(100), value: none }])
  expect(expiryEffects(table, key, item(100), item(200))).toEqual([
    { key: at(100), value: undefined },
    { key: at(200), value: none },
  ])
  expect(expiryEffects(table, key, item(200), undefined)).toEqual([{ key: at(200), value: undefined }])
  expect(expiryEffects(table, key, item(200), item())).toEqual([{ key: at(200), value: undefined }])
  expect(expiryEffects(table, key, item(200), { ...item(200), other: { S: 'x' } })).toEqual([])
  expect(expiryEffects({ id: 7, expiry: { changedAt: 0 } }, key, undefined, item(100))).toEqual([])
})

test('the rows of items that were there are those of the attribute that is on', () => {
  const stored = encodeItem(Buffer.from(JSON.stringify({ until: { N: '100' } })), 10, { ms: 1, counter: 0 })
  const row = { id: 7, expiry: { attribute: 'until', changedAt: 0 } } as never
  expect(deriveExpiry(row, 'until', key.row, stored)).toEqual([
    { key: expiryKey(7, 100, key.row), value: Buffer.alloc(0) },
  ])
  expect(deriveExpiry(row, 'another', key.row, stored)).toEqual([])
})
