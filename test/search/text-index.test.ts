import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkIndexRequest } from '../../src/search/definition.js'
import type { IndexSettings, SearchQuery } from '../../src/search/protocol.js'
import { TextIndex } from '../../src/search/text-index.js'

const bounds = { documentsMax: 1000, bytesMax: 1_000_000 }

function indexOf(fields: readonly string[], store?: readonly string[], more: Partial<IndexSettings> = {}): TextIndex {
  const { fields: indexed, stored } = checkIndexRequest({ name: 'test', table: 'table', fields, store })
  return new TextIndex({ fields: indexed, stored, ...bounds, ...more })
}

const put = (index: TextIndex, id: string, item: object): void =>
  index.put(id, JSON.stringify({ id: { S: id } }), JSON.stringify(item))

const query = (text: string, more: Partial<SearchQuery> = {}): SearchQuery => ({
  text,
  limit: 10,
  prefix: false,
  fuzzy: 0,
  match: 'any',
  ...more,
})

/** The ids that are found, best first. */
const idsOf = (index: TextIndex, text: string, more: Partial<SearchQuery> = {}): string[] =>
  index.search(query(text, more)).hits.map(({ key }) => (key.id as { S: string }).S)

describe('what is found', () => {
  test('words of all types of values, in any case and with or without accents', () => {
    const index = indexOf(['title', 'tags', 'address.city', 'n', 'more', 'done', 'raw', 'a.b'])
    put(index, 'one', {
      title: { S: 'Buy CRÈME fraîche, and eggs' },
      tags: { SS: ['kitchen', 'urgent'] },
      address: { M: { city: { S: 'Zürich' }, street: { S: 'hidden' } } },
      n: { N: '4711' },
      more: { L: [{ S: 'first' }, { M: { deep: { L: [{ NS: ['8', '9'] }] } } }] },
      done: { BOOL: true },
      raw: { B: 'a2l0Y2hlbg==' },
      'a.b': { S: 'dotted' },
    })
    for (const word of ['creme', 'FRAÎCHE', 'eggs', 'urgent', 'zurich', '4711', 'first', '9', 'true', 'dotted'])
      expect(idsOf(index, word), word).toEqual(['one'])
    for (const word of ['hidden', 'a2l0y2hlbg', 'egg', 'null']) expect(idsOf(index, word), word).toEqual([])
  })

  test('prefixes, small errors, all words or any, some fields', () => {
    const index = indexOf(['title', 'note'])
    put(index, 'one', { title: { S: 'paint the kitchen' }, note: { S: 'green' } })
    put(index, 'two', { title: { S: 'clean the kitchens' }, note: { S: 'paint is dry' } })
    expect(idsOf(index, 'kitch')).toEqual([])
    expect(idsOf(index, 'kitch', { prefix: true }).sort()).toEqual(['one', 'two'])
    expect(idsOf(index, 'k', { prefix: true })).toEqual([])
    expect(idsOf(index, 'kitchem', { fuzzy: 1 })).toEqual(['one'])
    expect(idsOf(index, 'paint green').sort()).toEqual(['one', 'two'])
    expect(idsOf(index, 'paint green', { match: 'all' })).toEqual(['one'])
    expect(idsOf(index, 'paint', { fields: ['note'] })).toEqual(['two'])
  })

  test('a field with a boost decides over the order', () => {
    const index = indexOf(['title^5', 'note'])
    put(index, 'note', { title: { S: 'one' }, note: { S: 'milk' } })
    put(index, 'title', { title: { S: 'milk' }, note: { S: 'two' } })
    expect(idsOf(index, 'milk')).toEqual(['title', 'note'])
  })

  test('comes with the stored attributes in plain JSON, with the number of all that match', () => {
    const index = indexOf(['title'], ['title', 'n', 'big', 'set', 'place.x', 'none'])
    const item = {
      n: { N: '5' },
      big: { N: '12345678901234567890' },
      set: { NS: ['1'] },
      place: { M: { x: { NULL: true } } },
    }
    put(index, 'one', { title: { S: 'milk' }, ...item })
    put(index, 'two', { title: { S: 'milk milk' } })
    const { total, hits } = index.search(query('milk', { limit: 1 }))
    expect(total).toBe(2)
    expect(hits).toHaveLength(1)
    const [, one] = index.search(query('milk')).hits
    expect(one).toMatchObject({
      key: { id: { S: 'one' } },
      fields: { title: 'milk', n: 5, big: '12345678901234567890', set: [1], 'place.x': null },
      terms: ['milk'],
    })
  })

  test('a field may have the name of anything', () => {
    const index = indexOf(['id', 'constructor', '__proto__'])
    index.put('one', '{}', '{"id":{"S":"alpha"},"constructor":{"S":"beta"},"__proto__":{"S":"gamma"}}')
    for (const word of ['alpha', 'beta', 'gamma']) expect(index.search(query(word)).total, word).toBe(1)
    expect(index.search(query('one')).total).toBe(0)
    expect(index.search(query('alpha constructor __proto__ tostring')).total).toBe(1)
  })
})

describe('bounds', () => {
  test('documents and bytes: it says which one it met', () => {
    const few = indexOf(['title'], [], { documentsMax: 2 })
    put(few, 'one', { title: { S: 'a' } })
    put(few, 'two', { title: { S: 'b' } })
    put(few, 'two', { title: { S: 'c' } })
    put(few, 'none', { other: { S: 'd' } })
    expect(() => put(few, 'three', { title: { S: 'e' } })).toThrow(/2 documents \(search\.documentsMax\)/)
    const small = indexOf(['title'], [], { bytesMax: 100 })
    put(small, 'one', { title: { S: 'a'.repeat(50) } })
    put(small, 'one', { title: { S: 'b'.repeat(60) } })
    expect(() => put(small, 'two', { title: { S: 'c'.repeat(50) } })).toThrow(/100 bytes of text \(search\.bytesMax\)/)
  })

  test('a document that was found in no field takes no place, and what is removed gives its place back', () => {
    const index = indexOf(['title'])
    put(index, 'one', { title: { S: 'milk' } })
    const { bytes } = index.size
    put(index, 'two', { title: { S: '' } })
    put(index, 'three', { title: { S: 'eggs' } })
    index.remove('three')
    index.remove('never there')
    expect(index.size).toEqual({ documents: 1, bytes })
    put(index, 'one', { other: { S: 'no title any more' } })
    expect(index.size).toEqual({ documents: 0, bytes: 0 })
    expect(index.search(query('milk')).total).toBe(0)
  })
})

const word = fc.constantFrom('milk', 'eggs', 'bread', 'tea', 'salt')
const change = fc.record({
  id: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  words: fc.option(fc.array(word, { maxLength: 4 }), { nil: undefined }),
})

test('after any changes a word finds exactly the documents that have it', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const index = indexOf(['title'])
      const documents = new Map<string, readonly string[]>()
      for (const { id, words } of changes) {
        if (words) put(index, id, { title: { S: words.join(' ') } })
        else index.remove(id)
        if (words) documents.set(id, words)
        else documents.delete(id)
      }
      for (const each of ['milk', 'eggs', 'bread', 'tea', 'salt']) {
        const expected = [...documents].filter(([, words]) => words.includes(each)).map(([id]) => id)
        expect(idsOf(index, each).sort()).toEqual(expected.sort())
      }
      expect(index.size.documents).toBe([...documents.values()].filter((words) => words.length > 0).length)
    }),
    { numRuns: 60 },
  )
})

test.each([
  [{}, /a name of letters/],
  [{ name: 'list', table: 't', fields: ['a'] }, /a word of the command/],
  [{ name: 'a', fields: ['a'] }, /names its table/],
  [{ name: 'a', table: 't' }, /fields is a list/],
  [{ name: 'a', table: 't', fields: [] }, /fields names no attribute/],
  [{ name: 'a', table: 't', fields: ['x', 'x^2'] }, /x is given twice/],
  [{ name: 'a', table: 't', fields: ['x^0'] }, /boost/],
  [{ name: 'a', table: 't', fields: [''] }, /no name of an attribute/],
  [{ name: 'a', table: 't', fields: ['a'], storage: [] }, /The member storage is not known/],
])('a definition that is refused: %j', (request, why) => {
  expect(() => checkIndexRequest(request)).toThrow(why)
})
