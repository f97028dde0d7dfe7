import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  applyUpdate,
  ExpressionContext,
  parseProjection,
  parseUpdate,
  project,
  updatedAttributes,
} from '../../../src/tables/expressions/index.js'
import { type AttributeValue, type Item, ValidationError } from '../../../src/tables/values/index.js'

function update(text: string, item: Item, values?: Record<string, unknown>, names?: Record<string, string>) {
  const context = new ExpressionContext({ ...(values ? { values } : {}), ...(names ? { names } : {}) })
  const parsed = parseUpdate(text, context)
  context.checkAllUsed()
  return applyUpdate(parsed, item)
}

const list = (...numbers: readonly number[]): AttributeValue => ({ L: numbers.map((number) => ({ N: `${number}` })) })

test('elements are set, removed and appended by the places of the list as it was', () => {
  const numbers = fc.array(fc.nat(9), { maxLength: 6 })
  const places = fc.uniqueArray(fc.nat(9), { maxLength: 5 })
  fc.assert(
    fc.property(numbers, places, fc.nat(5), (before, chosen, cut) => {
      fc.pre(chosen.length > 0)
      const [sets, removes] = [chosen.slice(0, cut), chosen.slice(cut)]
      const text = [
        ...(sets.length > 0 ? [`SET ${sets.map((place) => `l[${place}] = :v${place}`).join(', ')}`] : []),
        ...(removes.length > 0 ? [`REMOVE ${removes.map((place) => `l[${place}]`).join(', ')}`] : []),
      ].join(' ')
      const values = Object.fromEntries(sets.map((place) => [`:v${place}`, { N: `${100 + place}` }]))
      const { item } = update(text, { l: list(...before) }, sets.length > 0 ? values : undefined)
      const kept = before.flatMap((number, i) => {
        if (removes.includes(i)) return []
        return [sets.includes(i) ? 100 + i : number]
      })
      const appended = sets.filter((place) => place >= before.length).sort((a, b) => a - b)
      expect(item.l).toEqual(list(...kept, ...appended.map((place) => 100 + place)))
    }),
  )
})

test('ADD and DELETE are union and difference, and no empty set is left', () => {
  const sets = fc.uniqueArray(fc.nat(12), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(sets, sets, (one, two) => {
      const set = (numbers: readonly number[]) => ({ NS: [...numbers].sort((a, b) => a - b).map(String) })
      const added = update('ADD s :v', { s: set(one) }, { ':v': set(two) }).item
      expect(added.s).toEqual(set([...new Set([...one, ...two])]))
      const left = one.filter((number) => !two.includes(number))
      const { item } = update('DELETE s :v', { s: set(one) }, { ':v': set(two) })
      expect(item).toEqual(left.length > 0 ? { s: set(left) } : {})
    }),
  )
})

test('every value is of the item as it was, which stays as it is', () => {
  const item: Item = { a: { N: '1' }, b: { N: '2' }, m: { M: { x: { S: 'x' } } } }
  const frozen = JSON.stringify(item)
  const result = update('SET a = b, b = a, c = a + b, d = if_not_exists(z, m.x), m.y = m.x REMOVE m.x', item)
  expect(result.item).toEqual({
    a: { N: '2' },
    b: { N: '1' },
    c: { N: '3' },
    d: { S: 'x' },
    m: { M: { y: { S: 'x' } } },
  })
  expect(JSON.stringify(item)).toBe(frozen)
  expect(updatedAttributes(result.touched, item)).toEqual({ ...item, m: { M: { x: { S: 'x' } } } })
})

test.for([
  ['SET a.b = :v, a = :v', 'Two document paths overlap'],
  ['SET a = :v REMOVE a[0]', 'Two document paths overlap'],
  ['SET a.b = :v, a[0] = :v', 'Two document paths conflict'],
  ['SET a = :v SET b = :v', 'The "SET" section can only be used once'],
  ['SET a = :v + :v + :v', 'Syntax error; token: "+"'],
  ['SET a = list_append(:v, b)', 'operator or function: list_append, operand type: N'],
  [
    'SET a = if_not_exists(b, list_append(c, d)), e = :v',
    'not allowed to be used this way in an expression; function: list_append',
  ],
  ['SET a = list_append(b, c) + :v', 'not allowed to be used this way in an expression; function: list_append'],
  [
    'SET a = if_not_exists(b[1], b[1]), c = :v',
    'must be distinct from the remaining operands for this operator or function; operator: if_not_exists, first operand: [b, [1]]',
  ],
  ['SET a = size(b), c = :v', 'The function is not allowed in an update expression; function: size'],
  ['ADD a b, c :v', 'Syntax error; token: "b"'],
  ['DELETE a :v', 'operator: DELETE, operand type: NUMBER'],
  ['SET name = :v', 'Attribute name is a reserved keyword; reserved keyword: name'],
  ['SET a = :w, b = :v', 'An expression attribute value used in expression is not defined; attribute value: :w'],
  ['SET #x = :v', 'An expression attribute name used in the document path is not defined; attribute name: #x'],
  ['REMOVE a', 'Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}'],
  ['SET x.y = :v', 'The document path provided in the update expression is invalid for update'],
  ['SET x = y, z = :v', 'The provided expression refers to an attribute that does not exist in the item'],
  ['SET x = n + s, z = :v', 'An operand in the update expression has an incorrect data type'],
  ['ADD s :v', 'An operand in the update expression has an incorrect data type'],
] as const)('%s is refused: %s', ([text, message]) => {
  const run = () => update(text, { n: { N: '1' }, s: { S: 'x' } }, { ':v': { N: '1' } })
  expect(run).toThrow(ValidationError)
  expect(run).toThrow(message)
})

test('a projection keeps the places of maps and closes up lists, in list order', () => {
  const item: Item = {
    a: { L: [{ N: '0' }, { M: { b: { S: 'x' }, c: { S: 'y' } } }, { N: '2' }] },
    m: { M: { n: { M: { o: { N: '1' }, p: { N: '2' } } }, q: { N: '3' } } },
  }
  const shown = (text: string) => project(parseProjection(text, new ExpressionContext({})), item)
  expect(shown('a[2], a[0]')).toEqual({ a: { L: [{ N: '0' }, { N: '2' }] } })
  expect(shown('a[1].b, m.n.o')).toEqual({
    a: { L: [{ M: { b: { S: 'x' } } }] },
    m: { M: { n: { M: { o: { N: '1' } } } } },
  })
  expect(shown('a.b, m[0], x.y.z')).toEqual({})
  expect(() => shown('m, m.n')).toThrow('Two document paths overlap')
  expect(() => shown('m.n, m[0]')).toThrow('Two document paths conflict')
})
