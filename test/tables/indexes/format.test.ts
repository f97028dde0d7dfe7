import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Index } from '../../../src/tables/indexes/definition.js'
import { deriveEntry } from '../../../src/tables/indexes/effects.js'
import { encodeItem, itemKey } from '../../../src/tables/items/item-row.js'

const schema = { hash: { name: 'pk', type: 'S' }, range: { name: 'sk', type: 'N' } } as const
const index: Index = {
  id: 3,
  name: 'index',
  kind: 'global',
  hash: [{ name: 'a', type: 'S' }],
  range: [{ name: 'b', type: 'N' }],
  projection: { type: 'KEYS_ONLY' },
}
const row = {
  id: 2,
  name: 'table',
  uuid: '',
  createdAt: 0,
  schema,
  billing: 'PAY_PER_REQUEST',
  throughput: { read: 0, write: 0 },
  deletionProtection: false,
  state: 'active',
  isFollowed: false,
  indexes: [index],
} as const

it('an entry of an index has the bytes that docs/formats.md shows', () => {
  const item = { pk: { S: 'p' }, sk: { N: '1' }, a: { S: 'x' }, b: { N: '2' }, c: { S: 'left out' } }
  const { row: key } = itemKey(row.id, schema, item)
  const value = encodeItem(Buffer.from(JSON.stringify(item)), 28, { ms: 1_700_000_000_000, counter: 1 })
  const made = deriveEntry(row, '3', key, value)
  expect(made).toHaveLength(1)
  const [shown] = /```entry\n([^`]*)```/.exec(readFileSync('docs/formats.md', 'utf8'))!.slice(1)
  const [keyHex, headerHex, json] = shown!.trim().split('\n')
  const hex = (text: string | undefined) => text?.replace(/ /g, '')
  expect(made[0]!.key.toString('hex')).toBe(hex(keyHex))
  expect(made[0]!.value!.subarray(0, 16).toString('hex')).toBe(hex(headerHex))
  expect(made[0]!.value!.subarray(16).toString()).toBe(json)
})
