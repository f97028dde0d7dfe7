/** Event patterns: what EventBridge takes and refuses, and which records match. */
import { describe, expect, it } from 'vitest'
import { checkPattern, matches, readPattern } from '../../../src/functions/mappings/filters/index.js'

const event = {
  eventName: 'INSERT',
  eventSource: 'aws:dynamodb',
  dynamodb: {
    ApproximateCreationDateTime: 1_700_000_000,
    Keys: { id: { S: 'id_1' } },
    NewImage: {
      id: { S: 'id_1' },
      count: { N: '12' },
      city: { S: 'us-1-west' },
      none: { NULL: true },
      tags: { SS: ['red', 'green'] },
      parts: { L: [{ S: 'a' }, { M: { x: { S: 'y' } } }] },
      empty: { S: '' },
    },
    SizeBytes: 40,
  },
}

const takes = (pattern: unknown, value: unknown = event): boolean =>
  matches(readPattern(JSON.stringify(pattern)), value)
const ofImage = (image: unknown): boolean => takes({ dynamodb: { NewImage: image } })

describe('event patterns', () => {
  it.each<[string, unknown, boolean]>([
    ['one of several values', { eventName: ['INSERT', 'MODIFY'] }, true],
    ['none of them', { eventName: ['REMOVE'] }, false],
    ['several fields, of which one differs', { eventName: ['INSERT'], eventSource: ['aws:s3'] }, false],
    ['a prefix', { dynamodb: { NewImage: { city: { S: [{ prefix: 'us-1' }] } } } }, true],
    ['another prefix', { dynamodb: { NewImage: { city: { S: [{ prefix: 'eu' }] } } } }, false],
    [
      'a prefix in any case',
      { dynamodb: { NewImage: { city: { S: [{ prefix: { 'equals-ignore-case': 'US-1' } }] } } } },
      true,
    ],
    ['a suffix', { dynamodb: { NewImage: { city: { S: [{ suffix: 'west' }] } } } }, true],
    ['equality in any case', { eventName: [{ 'equals-ignore-case': 'insert' }] }, true],
    ['a wildcard', { dynamodb: { NewImage: { city: { S: [{ wildcard: 'us-*-we*t' }] } } } }, true],
    ['a wildcard whose parts overlap', { eventName: [{ wildcard: 'INSER*SERT' }] }, false],
    ['anything but others', { eventName: [{ 'anything-but': ['REMOVE'] }] }, true],
    ['anything but this', { eventName: [{ 'anything-but': 'INSERT' }] }, false],
    ['anything but a prefix', { eventName: [{ 'anything-but': { prefix: 'INS' } }] }, false],
    ['anything but, of a field that is not there', { userIdentity: { type: [{ 'anything-but': 'x' }] } }, false],
    ['a number', { dynamodb: { SizeBytes: [{ numeric: ['>', 10, '<=', 40] }] } }, true],
    ['a number out of bounds', { dynamodb: { SizeBytes: [{ numeric: ['>', 40] }] } }, false],
    ['the time, which is a number', { dynamodb: { ApproximateCreationDateTime: [{ numeric: ['>=', 1] }] } }, true],
    [
      'a number of an item, which is text there',
      { dynamodb: { NewImage: { count: { N: [{ numeric: ['=', 12] }] } } } },
      false,
    ],
    ['the digits of a number of an item', { dynamodb: { NewImage: { count: { N: ['12'] } } } }, true],
    ['true', { dynamodb: { NewImage: { none: { NULL: [true] } } } }, true],
    ['an empty text', { dynamodb: { NewImage: { empty: { S: [''] } } } }, true],
    ['an entry of a list', { dynamodb: { NewImage: { tags: { SS: ['green'] } } } }, true],
    ['a member of an entry of a list', { dynamodb: { NewImage: { parts: { L: { M: { x: { S: ['y'] } } } } } } }, true],
    ['a leaf that is there', { dynamodb: { NewImage: { id: { S: [{ exists: true }] } } } }, true],
    ['a leaf that is not there', { dynamodb: { NewImage: { other: { S: [{ exists: false }] } } } }, true],
    ['an object, which is no leaf', { dynamodb: { NewImage: { id: [{ exists: false }] } } }, true],
    ['an object that should be there as a leaf', { dynamodb: { NewImage: { id: [{ exists: true }] } } }, false],
    ['below an image that is not there', { dynamodb: { OldImage: { id: { S: [{ exists: false }] } } } }, true],
    ['what every object has in JavaScript', { constructor: [{ exists: true }] }, false],
    ['either of two', { $or: [{ eventName: ['REMOVE'] }, { dynamodb: { SizeBytes: [40] } }] }, true],
    [
      'neither of two',
      { $or: [{ eventName: ['REMOVE'] }, { eventName: ['MODIFY'] }], eventSource: ['aws:dynamodb'] },
      false,
    ],
    ['an address in a block', { eventName: [{ cidr: '10.0.0.0/8' }] }, false],
  ])('%s', (_what, pattern, expected) => {
    expect(takes(pattern)).toBe(expected)
  })

  it('match null and addresses as such', () => {
    expect(takes({ a: [null] }, { a: null })).toBe(true)
    expect(takes({ a: [null] }, {})).toBe(false)
    expect(takes({ a: [{ cidr: '10.1.0.0/16' }] }, { a: '10.1.200.3' })).toBe(true)
    expect(takes({ a: [{ cidr: '10.1.0.0/16' }] }, { a: '10.2.0.1' })).toBe(false)
    expect(takes({ a: [{ cidr: '2001:db8::/32' }] }, { a: '2001:db8:1::5' })).toBe(true)
    expect(takes({ a: [{ wildcard: 'a\\*b*' }] }, { a: 'a*bc' })).toBe(true)
  })

  it('take the last of members with one name', () => {
    expect(matches(readPattern('{"eventName":["REMOVE"],"eventName":["INSERT"]}'), event)).toBe(true)
  })

  it('compare what an item has with its type spelled out', () => {
    expect(ofImage({ id: { S: ['id_1'] } })).toBe(true)
    expect(ofImage({ id: ['id_1'] })).toBe(false)
  })

  it.each([
    'single-string',
    '"text"',
    '[]',
    '{}',
    '{"a":[]}',
    '{"a":{}}',
    '{"a":"b"}',
    '{"a":1}',
    '{"a":[["b"]]}',
    '{"a":[{"unknown":"b"}]}',
    '{"a":[{"prefix":1}]}',
    '{"a":[{"prefix":"a","suffix":"b"}]}',
    '{"a":[{"exists":"yes"}]}',
    '{"a":[{"anything-but":["a",1]}]}',
    '{"a":[{"anything-but":[]}]}',
    '{"a":[{"anything-but":{"prefix":""}}]}',
    '{"a":[{"anything-but":{"suffix":["x",""]}}]}',
    '{"a":[{"numeric":["=","1"]}]}',
    '{"a":[{"numeric":[">",5,"<",5]}]}',
    '{"a":[{"numeric":["<",5,">",1]}]}',
    '{"a":[{"wildcard":"a**b"}]}',
    '{"a":[{"cidr":"300.1.1.1/8"}]}',
    '{"a":[{"cidr":"10.0.0.0/33"}]}',
    `${'{"a":'.repeat(200)}["x"]${'}'.repeat(200)}`,
  ])('refuse %s', (pattern) => {
    expect(() => checkPattern(pattern)).toThrow()
  })
})
