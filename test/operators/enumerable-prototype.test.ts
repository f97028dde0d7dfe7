import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { pipeline, stream, table } from '../../src/index.js'
import { BatchBuilder, RowEncoder } from '../../src/log/bodies.js'
import { projectItem } from '../../src/tables/indexes/projection.js'
import { checkItem, itemSize } from '../../src/tables/values/index.js'
import { testPipeline } from '../../src/testing/index.js'

/** What a library in a user's module does to all objects of its thread. */
describe('an enumerable member of Object.prototype', () => {
  const all = Object.prototype as { added?: unknown }
  beforeEach(() => {
    all.added = () => 'added'
  })
  afterEach(() => {
    delete all.added
  })

  it('is no attribute of an item', () => {
    const raw = { id: { S: '1' }, map: { M: { a: { N: '1.0' } } } }
    const { item, size } = checkItem(raw)
    expect(Object.keys(item)).toEqual(['id', 'map'])
    expect(Object.keys((item.map as { M: object }).M)).toEqual(['a'])
    expect(itemSize(item)).toBe(size)
    expect(Object.hasOwn(projectItem(new Set(['id', 'added']), item), 'added')).toBe(false)
  })

  it('is no field of a row', () => {
    const builder = new BatchBuilder(new RowEncoder())
    builder.add({ key: 'k', value: { id: '1', n: 5 } }, 0)
    expect(builder.shapes.map(({ fields }) => fields)).toEqual([
      [
        ['id', 'string'],
        ['n', 'number'],
      ],
    ])
  })

  it('is in nothing that a pipeline reads or writes', async () => {
    const changes = pipeline('p').from(table<{ id: string; of: Record<string, number> }>('in'))
    const test = await testPipeline(
      [
        changes.to(
          table('out', ({ new: row }) => ({ id: row?.id as string, names: Object.keys(row as object), of: row?.of })),
        ),
        changes.to(stream('rows', ({ new: row }) => ({ key: row?.id as string, value: { id: row?.id } }))),
      ],
      { tables: { in: { hash: 'id' }, out: { hash: 'id' } } },
    )
    await test.push('in', { type: 'insert', new: { id: '1', of: { a: 1 } } })
    const own = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
    expect(own(test.items('out'))).toEqual([{ id: '1', names: ['id', 'of'], of: { a: 1 } }])
    expect(own(test.results('rows'))).toEqual([expect.objectContaining({ key: '1', value: { id: '1' } })])
  })
})
