import { describe, expect, test } from 'vitest'
import { schemaCheck } from '../../src/workers/index.js'
import { storedSchemaCheck } from '../../src/workers/json-schema.js'

const $id = 'https://example.com/change.json'
const draft07 = 'http://json-schema.org/draft-07/schema#'

/** Each keyword with a value that is so and one that is not. */
const cases: readonly (readonly [schema: object, valid: unknown, invalid: unknown])[] = [
  [{ required: ['a'], properties: { a: { minimum: 3 } } }, { a: 3 }, { a: 2 }],
  [{ required: ['a'] }, { a: null }, {}],
  [{ const: { S: 'a' } }, { S: 'a' }, { S: 'b' }],
  [{ enum: [{ N: '1' }, [2]] }, { N: '1' }, [1]],
  [{ enum: ['a', 'b'], minLength: 2 }, undefined, 'a'],
  [{ type: 'array', minItems: 2 }, [1, 2], [1]],
  [{ pattern: '^a' }, 5, 'b'],
  [{ type: ['string', 'null'], maxLength: 1 }, null, 'ab'],
  [{ if: { required: ['a'] }, else: { required: ['b'] } }, { b: 1 }, {}],
  [{ not: { type: 'number' } }, 'a', 1],
  [{ properties: { a: true }, unevaluatedProperties: false }, { a: 1 }, { b: 1 }],
  [{ dependentSchemas: { a: { required: ['b'] } } }, { b: 1 }, { a: 1 }],
  [{ $ref: '#/$defs/n', $defs: { n: { type: 'integer' } }, maximum: 5 }, 5, 6],
  [{ $ref: '#/$defs/tree', $defs: { tree: { items: { $ref: '#/$defs/tree' }, type: 'array' } } }, [[], [[]]], [[1]]],
  [{ prefixItems: [{ type: 'string' }], items: false }, ['a'], ['a', 1]],
  [{ $schema: draft07, items: [{ type: 'string' }], additionalItems: false }, ['a'], ['a', 1]],
  [{ $schema: draft07, definitions: { n: { type: 'integer' } }, $ref: '#/definitions/n' }, 1, 1.5],
  [{ format: 'date-time' }, '2026-01-01T00:00:00+01:00', 'today'],
  [{ format: 'uri' }, 'urn:a:b', 'no uri'],
  [{ format: 'something of ours' }, 'anything', undefined],
]

describe('a schema', () => {
  test.each(cases)('%j', (schema, valid, invalid) => {
    const check = schemaCheck({ $id, ...schema })
    if (valid !== undefined) expect(check(valid)).toEqual([])
    if (invalid !== undefined) expect(check(invalid)).not.toEqual([])
  })

  test('tells where a value is not so', () => {
    const check = schemaCheck({
      $id,
      properties: { after: { properties: { n: { type: 'integer' } }, additionalProperties: false } },
      required: ['op'],
    })
    expect(check({ op: 'c', after: { n: '1' } })).toEqual(['after.n: must be integer'])
    expect(check({ op: 'c', after: { m: 1 } })).toEqual(['after: must NOT have additional properties (m)'])
    expect(check({})).toEqual(["it: must have required property 'op'"])
  })
})

test('patterns may escape what need not be escaped, and what was stored of another draft goes on', () => {
  const schema = { $id, $schema: 'http://json-schema.org/draft-04/schema#', pattern: '^\\d{3}\\-\\d{4}$' }
  expect(() => schemaCheck(schema)).toThrow(/schema/)
  const faultsOf = storedSchemaCheck(schema)
  expect(faultsOf('123-4567')).toEqual([])
  expect(faultsOf('123')).toHaveLength(1)
})
