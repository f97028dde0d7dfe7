import { expect, test } from 'vitest'
import { Codec, type NewRecord } from '../../src/log/index.js'
import { hashKey } from '../../src/runtime/index.js'
import { IndexSession } from '../../src/search/index-session.js'
import { packItems } from '../../src/search/packed-items.js'
import type { IndexBatch, SearchQuery } from '../../src/search/protocol.js'
import { encodeChange } from '../../src/tables/streams/change.js'

const settings = { fields: [{ path: 'title', boost: 1 }], stored: ['title'], documentsMax: 10_000, bytesMax: 1e9 }
const query: SearchQuery = { text: 'milk', limit: 1, prefix: false, fuzzy: 0, match: 'any' }
const sized = (value: object) => ({ json: Buffer.from(JSON.stringify(value)), size: 1 })

/** Items with the one word `milk` and numbers from `from` on. */
function batch(from: number, count: number): IndexBatch {
  const records = Array.from({ length: count }, (_, i): NewRecord => {
    const key = { id: { N: String(from + i) } }
    const body = encodeChange(sized(key), sized({ ...key, title: { S: 'milk' } }), undefined)
    const bytes = Buffer.from(`${from + i}`)
    const fixed = { kind: 0, flags: 0, codec: Codec.dynamoJsonChange, time: 0 } as const
    return { ...fixed, hash: hashKey(bytes), key: bytes, body }
  })
  return { kind: 'items', items: packItems(records) }
}

test('changes wait for one search at most, however many have come before them', async () => {
  const session = new IndexSession(settings)
  await session.apply(batch(0, 10))
  const totals: number[] = []
  const searches = Array.from({ length: 10 }, () => session.search(query).then(({ total }) => totals.push(total)))
  await session.apply(batch(10, 5))
  expect(totals.length).toBeLessThanOrEqual(1)
  await Promise.all(searches)
  expect(totals.filter((total) => total === 15).length).toBeGreaterThanOrEqual(9)
})

test('searches are answered while a long batch goes in', async () => {
  // Each look at the clock finds half a second passed.
  let at = 0
  const session = new IndexSession(settings, () => {
    at += 500
    return at
  })
  await session.apply(batch(0, 10))
  let applied = false
  const applying = session.apply(batch(10, 640)).then(() => {
    applied = true
  })
  const { total } = await session.search(query)
  expect(applied).toBe(false)
  expect(total).toBeGreaterThan(10)
  await applying
  expect((await session.search(query)).total).toBe(650)
})

test('a search that fails is an answer, and others go on', async () => {
  const session = new IndexSession(settings)
  await session.apply(batch(0, 1))
  const bad = session.search({ ...query, text: undefined as never })
  const good = session.search(query)
  await expect(bad).rejects.toThrow()
  expect((await good).total).toBe(1)
})
