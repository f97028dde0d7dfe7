import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExpressionContext, evaluateCondition, parseCondition } from '../../../src/tables/expressions/index.js'
import { type AttributeValue, compareValues, type Item, valuesEqual } from '../../../src/tables/values/index.js'

const values: readonly AttributeValue[] = [
  { N: '1' },
  { N: '2' },
  { N: '10' },
  { S: 'a' },
  { S: 'ab' },
  { B: 'AQ==' },
  { BOOL: true },
  { SS: ['a', 'b'] },
]
const ordered = values.filter((value) => 'N' in value || 'S' in value || 'B' in value)
const attributes = ['a', 'b', 'c']
const items = fc.dictionary(fc.constantFrom(...attributes), fc.constantFrom(...values)) as fc.Arbitrary<Item>

type Tree =
  | { readonly kind: 'compare'; readonly name: string; readonly operator: string; readonly value: AttributeValue }
  | { readonly kind: 'between'; readonly name: string; readonly low: AttributeValue; readonly high: AttributeValue }
  | { readonly kind: 'in'; readonly name: string; readonly options: readonly AttributeValue[] }
  | { readonly kind: 'exists'; readonly name: string }
  | { readonly kind: 'not'; readonly item: Tree }
  | { readonly kind: 'and' | 'or'; readonly left: Tree; readonly right: Tree }

const name = fc.constantFrom(...attributes)
const leaves: fc.Arbitrary<Tree> = fc.oneof(
  fc.record({
    kind: fc.constant('compare' as const),
    name,
    operator: fc.constantFrom('=', '<>'),
    value: fc.constantFrom(...values),
  }),
  fc.record({
    kind: fc.constant('compare' as const),
    name,
    operator: fc.constantFrom('<', '<=', '>', '>='),
    value: fc.constantFrom(...ordered),
  }),
  fc
    .record({
      kind: fc.constant('between' as const),
      name,
      low: fc.constantFrom(...ordered),
      high: fc.constantFrom(...ordered),
    })
    .filter(({ low, high }) => (compareValues(low, high) ?? 1) <= 0),
  fc.record({
    kind: fc.constant('in' as const),
    name,
    options: fc.array(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('exists' as const), name }),
)
const { tree: trees } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'medium' },
    leaves,
    fc.record({ kind: fc.constant('not' as const), item: tie('tree') }),
    fc.record({ kind: fc.constantFrom('and' as const, 'or' as const), left: tie('tree'), right: tie('tree') }),
  ),
}))

/** The text of a tree with no more parentheses than the order of operators needs: OR below AND below NOT. */
class Printer {
  readonly values: Record<string, AttributeValue> = {}

  print(tree: Tree, level = 0): string {
    const [text, own] = this.#text(tree)
    return own < level ? `(${text})` : text
  }

  #text(tree: Tree): [string, number] {
    switch (tree.kind) {
      case 'compare':
        return [`${tree.name} ${tree.operator} ${this.#value(tree.value)}`, 3]
      case 'between':
        return [`${tree.name} BETWEEN ${this.#value(tree.low)} and ${this.#value(tree.high)}`, 3]
      case 'in':
        return [`${tree.name} In (${tree.options.map((option) => this.#value(option)).join(',')})`, 3]
      case 'exists':
        return [`attribute_exists(${tree.name})`, 3]
      case 'not':
        return [`NOT ${this.print(tree.item, 2)}`, 2]
      case 'and':
        return [`${this.print(tree.left, 1)} AND ${this.print(tree.right, 1)}`, 1]
      case 'or':
        return [`${this.print(tree.left)} or ${this.print(tree.right)}`, 0]
    }
  }

  #value(value: AttributeValue): string {
    const reference = `:v${Object.keys(this.values).length}`
    this.values[reference] = value
    return reference
  }
}

function holds(tree: Tree, item: Item): boolean {
  switch (tree.kind) {
    case 'compare': {
      const found = item[tree.name]
      if (tree.operator === '=') return found !== undefined && valuesEqual(found, tree.value)
      if (tree.operator === '<>') return found === undefined || !valuesEqual(found, tree.value)
      const order = found && compareValues(found, tree.value)
      if (order === undefined) return false
      if (order === 0) return tree.operator.endsWith('=')
      return tree.operator.startsWith(order < 0 ? '<' : '>')
    }
    case 'between': {
      const found = item[tree.name]
      const [low, high] = [found && compareValues(found, tree.low), found && compareValues(found, tree.high)]
      return low !== undefined && high !== undefined && low >= 0 && high <= 0
    }
    case 'in':
      return tree.options.some((option) => item[tree.name] !== undefined && valuesEqual(item[tree.name]!, option))
    case 'exists':
      return item[tree.name] !== undefined
    case 'not':
      return !holds(tree.item, item)
    case 'and':
      return holds(tree.left, item) && holds(tree.right, item)
    case 'or':
      return holds(tree.left, item) || holds(tree.right, item)
  }
}

function matches(text: string, given: Record<string, unknown>, item: Item, names?: Record<string, string>): boolean {
  const context = new ExpressionContext({
    ...(Object.keys(given).length > 0 ? { values: given } : {}),
    ...(names ? { names } : {}),
  })
  const condition = parseCondition('ConditionExpression', text, context)
  context.checkAllUsed()
  return evaluateCondition(condition, item)
}

test('a condition means what its tree means, whatever the parentheses leave to the order of operators', () => {
  fc.assert(
    fc.property(trees, fc.array(items, { minLength: 3, maxLength: 3 }), (tree, some) => {
      const printer = new Printer()
      const text = printer.print(tree)
      fc.pre(Buffer.byteLength(text) <= 4096)
      for (const item of some) expect(matches(text, printer.values, item)).toBe(holds(tree, item))
    }),
  )
})

describe('an attribute that is not there', () => {
  test.for([
    ['a = b', false],
    ['a <> b', true],
    ['NOT a = b', true],
    ['a < b', false],
    ['NOT a < b', true],
    ['size(a) = size(b)', false],
    ['a IN (b)', false],
    ['attribute_not_exists(a.b[0].c)', true],
    ['contains(a, b)', false],
    ['begins_with(a, b)', false],
  ] as const)('%s is %s', ([text, expected]) => {
    expect(matches(text, {}, {})).toBe(expected)
  })
})

const item: Item = {
  s: { S: 'héllo' },
  b: { B: 'AQID' },
  n: { N: '1.5' },
  l: { L: [{ N: '1' }, { M: { x: { S: 'deep' } } }, { SS: ['q'] }] },
  ss: { SS: ['a', 'b'] },
  ns: { NS: ['1', '2'] },
  m: { M: { x: { N: '1' }, y: { NULL: true } } },
  t: { BOOL: true },
}
test.for([
  ['size(s) = :v', { N: '5' }, true],
  ['size(b) = :v', { N: '3' }, true],
  ['size(l) = :v', { N: '3' }, true],
  ['size(m) = :v', { N: '2' }, true],
  ['size(ss) = :v', { N: '2' }, true],
  ['size(n) = :v', { N: '3' }, false],
  ['n = :v', { N: '15e-1' }, true],
  ['contains(ns, :v)', { N: '1.0' }, true],
  ['contains(ss, :v)', { S: 'a' }, true],
  ['contains(s, :v)', { S: 'él' }, true],
  ['contains(l, :v)', { N: '1.00' }, true],
  ['contains(l, :v)', { SS: ['q'] }, true],
  ['contains(b, :v)', { B: 'AgM=' }, true],
  ['begins_with(b, :v)', { B: 'AQI=' }, true],
  ['l[1].x = :v', { S: 'deep' }, true],
  ['l[9] = :v', { S: 'deep' }, false],
  ['ss = :v', { SS: ['b', 'a'] }, true],
  ['attribute_type(m.y, :v)', { S: 'NULL' }, true],
  ['attribute_type(l[2], :v)', { S: 'SS' }, true],
  ['n BETWEEN n AND :v', { N: '2' }, 'The first operand must be distinct'],
  ['s > :v', { N: '1' }, false],
  ['t = :v', { BOOL: true }, true],
  ['t < :v', { BOOL: true }, 'Incorrect operand type'],
  ['attribute_type(n, :v)', { S: 'STRING' }, 'Invalid attribute type name found; type: STRING'],
] as const)('%s with %j: %s', ([text, value, expected]) => {
  if (typeof expected === 'string') expect(() => matches(text, { ':v': value }, item)).toThrow(expected)
  else expect(matches(text, { ':v': value }, item)).toBe(expected)
})
