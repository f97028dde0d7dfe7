import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Cell, KeyEntry } from '../../../src/operators/task/key-entry.js'

const name = fc.oneof(
  fc.constant(undefined),
  fc.constantFrom('a', 'b', 'c'),
  fc.integer({ min: 0, max: 12 }).map((step) => step * 1_700_000_000),
)
const ops = fc.array(
  fc.record({ kind: fc.constantFrom('put', 'put', 'drop'), slot: fc.integer({ min: 0, max: 1 }), name }),
  { maxLength: 80 },
)

const cellOf = (entry: KeyEntry, slot: number, named: Cell['name']): Cell => ({
  ...{ value: 1, slot, name: named, entry, isDirty: false, isStored: false, sequence: 0, barrier: 0, bytes: 0 },
})

describe('the cells of a key', () => {
  it('are found by step and name, however many there are', () =>
    fc.assert(
      fc.property(ops, (list) => {
        const entry = new KeyEntry('key', 'key', 2)
        const model = new Map<string, Cell>()
        for (const { kind, slot, name: named } of list) {
          const id = `${slot} ${typeof named} ${named}`
          const found = model.get(id)
          expect(entry.cell(slot, named)).toBe(found)
          if (kind === 'put' && !found) {
            const cell = cellOf(entry, slot, named)
            entry.add(cell)
            model.set(id, cell)
          } else if (kind === 'drop' && found) {
            entry.drop(found)
            model.delete(id)
          }
          expect(new Set(entry.cells())).toEqual(new Set(model.values()))
          expect(entry.isEmpty).toBe(model.size === 0)
        }
      }),
    ))

  it('may be dropped while they are gone through', () => {
    for (const count of [3, 20]) {
      const entry = new KeyEntry('key', 'key', 1)
      for (let i = 0; i < count; i++) entry.add(cellOf(entry, 0, i))
      let seen = 0
      for (const cell of entry.cells()) {
        entry.drop(cell)
        seen++
      }
      expect(seen).toBe(count)
      expect(entry.isEmpty).toBe(true)
    }
  })
})
