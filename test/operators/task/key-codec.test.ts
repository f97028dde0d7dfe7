import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeKey,
  encodeKey,
  groupsOfTask,
  hashOfKey,
  keyGroups,
  taskOfGroup,
} from '../../../src/operators/task/index.js'
import { hashKey } from '../../../src/runtime/index.js'

const text = fc.string({ unit: 'binary' })
const { key: keys } = fc.letrec<{ key: unknown }>((tie) => ({
  key: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    text,
    fc.string({ unit: fc.constantFrom('a', '\ud800', '\udc00', 'é', '😀') }),
    fc.double({ noNaN: true }),
    fc.integer(),
    fc.boolean(),
    fc.bigInt(),
    fc.uint8Array({ maxLength: 20 }),
    fc.array(tie('key'), { maxLength: 3 }),
    fc.dictionary(text, tie('key'), { maxKeys: 3 }),
  ),
}))

/** Minus zero is zero, and nothing else is changed by a key's way into the store. */
function canonical(key: unknown): unknown {
  if (Object.is(key, -0)) return 0
  if (Array.isArray(key)) return key.map(canonical)
  if (typeof key !== 'object' || key === null || key instanceof Uint8Array) return key
  return Object.fromEntries(Object.entries(key).map(([name, value]) => [name, canonical(value)]))
}

describe('the encoding of keys', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const decoded = decodeKey(encodeKey(key))
        expect(decoded).toEqual(canonical(key))
        expect(encodeKey(decoded).equals(encodeKey(key))).toBe(true)
        expect(hashOfKey(key)).toEqual(hashKey(encodeKey(key)))
      }),
    )
  })

  it('is the same for the same key alone', () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        const isSame = encodeKey(a).equals(encodeKey(b))
        let isEqual = true
        try {
          expect(canonical(a)).toStrictEqual(canonical(b))
        } catch {
          isEqual = false
        }
        expect(isSame).toBe(isEqual)
      }),
    )
    expect(encodeKey({ b: 1, a: 2 }).equals(encodeKey({ a: 2, b: 1 }))).toBe(true)
    expect(encodeKey(-0).equals(encodeKey(0))).toBe(true)
    expect(encodeKey(1).equals(encodeKey(1n))).toBe(false)
    expect(encodeKey('1').equals(encodeKey(1))).toBe(false)
    expect(encodeKey('\ud800').equals(encodeKey('\ufffd'))).toBe(false)
  })

  it.each([
    ['NaN', Number.NaN],
    ['undefined', undefined],
    ['null', null],
    ['function', () => 1],
    ['Date', new Date(0)],
    ['Map', new Map()],
    ['symbol', Symbol('x')],
  ])('refuses %s, also within', (name, key) => {
    expect(() => encodeKey(key)).toThrow(new RegExp(`A key is .*${name}.*must be text`))
    expect(() => encodeKey({ a: [key] })).toThrow(/must be text/)
  })

  it('refuses what is too long or too deep, and what holds itself', () => {
    expect(() => encodeKey('x'.repeat(9000))).toThrow('A key is larger than 8192 bytes.')
    expect(() => encodeKey('é'.repeat(5000))).toThrow('A key is larger than 8192 bytes.')
    expect(() => encodeKey(new Array(70_000).fill(true))).toThrow('A key is larger than 8192 bytes.')
    const self: unknown[] = []
    self.push(self)
    expect(() => encodeKey(self)).toThrow('A key is nested deeper than 8 levels.')
  })
})

describe('key groups', () => {
  it('are owned by one task each', () => {
    for (let tasks = 1; tasks <= keyGroups; tasks++) {
      const owners = Array.from({ length: keyGroups }, (_, group) => taskOfGroup(group, tasks))
      const ranges = Array.from({ length: tasks }, (_, task) => groupsOfTask(task, tasks)).flatMap(
        ({ first, last }, task) => new Array<number>(last - first + 1).fill(task),
      )
      expect(owners).toEqual(ranges)
    }
  })
})
