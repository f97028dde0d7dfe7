import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  applyUpdate,
  ExpressionContext,
  evaluateCondition,
  parseCondition,
  parseProjection,
  parseUpdate,
  project,
  updatedAttributes,
} from '../../../src/tables/expressions/index.js'
import {
  checkItem,
  checkValue,
  compareValues,
  type Item,
  itemSize,
  ValidationError,
  valuesEqual,
} from '../../../src/tables/values/index.js'
import { Random } from '../../simulation/random.js'
import { items, projections, sets, trees, updates, values } from '../naive/arbitraries.js'
import * as naive from '../naive/evaluate.js'
import { Renderer } from '../naive/render.js'
import * as naiveValues from '../naive/values.js'

const isLong = process.env.MILLRACE_LONG !== undefined
const numRuns = isLong ? 200_000 : 1500
const seeds = fc.nat()
/** Without names or values an expression has no such member at all. */
const placeholdersOf = (renderer: Renderer) => ({
  ...(Object.keys(renderer.names).length > 0 ? { names: renderer.names } : {}),
  ...(Object.keys(renderer.values).length > 0 ? { values: renderer.values } : {}),
})
const open = (renderer: Renderer) => new ExpressionContext(placeholdersOf(renderer))
const checked = (item: naiveValues.Item): Item => checkItem(item).item

test('a condition holds when a second evaluator, of another make, says so', () => {
  let held = 0
  fc.assert(
    fc.property(trees, items, seeds, (tree, item, seed) => {
      const renderer = new Renderer(new Random(seed))
      const text = renderer.condition(tree)
      const context = open(renderer)
      const condition = parseCondition(seed % 2 === 0 ? 'ConditionExpression' : 'FilterExpression', text, context)
      context.checkAllUsed()
      const holds = naive.holds(tree, item)
      if (holds) held++
      expect([text, evaluateCondition(condition, checked(item))]).toEqual([text, holds])
    }),
    { numRuns },
  )
  // Both answers are met often.
  expect(held).toBeGreaterThan(numRuns / 10)
  expect(held).toBeLessThan((numRuns * 9) / 10)
})

test('an update makes of an item what a second evaluator makes of it, or both refuse', () => {
  let refused = 0
  fc.assert(
    fc.property(updates, items, fc.boolean(), seeds, (changes, item, exists, seed) => {
      const renderer = new Renderer(new Random(seed))
      const text = renderer.update(changes)
      const context = open(renderer)
      const update = parseUpdate(text, context)
      context.checkAllUsed()
      const before = checked(exists ? item : {})
      const kept = JSON.stringify(before)
      let wanted: naiveValues.Item
      try {
        wanted = naive.update(changes, exists ? item : {}, exists)
      } catch (error) {
        if (!(error instanceof naive.Refused)) throw error
        refused++
        expect(() => applyUpdate(update, before, exists), text).toThrow(ValidationError)
        return
      }
      const after = applyUpdate(update, before, exists)
      expect([text, naiveValues.itemText(after.item as naiveValues.Item)]).toEqual([text, naiveValues.itemText(wanted)])
      // What is made is canonical: checked again it stays as it is.
      expect(checkItem(structuredClone(after.item)).item).toEqual(after.item)
      expect(JSON.stringify(before)).toBe(kept)
      const paths = changes.map(({ path }) => path)
      for (const each of [before, after.item]) {
        expect(naiveValues.itemText(updatedAttributes(after.touched, each) as naiveValues.Item)).toBe(
          naiveValues.itemText(naive.select(paths, each as naiveValues.Item)),
        )
      }
    }),
    { numRuns },
  )
  // Both answers are met often.
  expect(refused).toBeGreaterThan(numRuns / 10)
  expect(refused).toBeLessThan(numRuns / 2)
})

test('a projection takes the parts of an item that a second evaluator takes', () => {
  fc.assert(
    fc.property(projections, items, seeds, (paths, item, seed) => {
      const renderer = new Renderer(new Random(seed))
      const text = renderer.projection(paths)
      const projection = parseProjection(text, open(renderer))
      expect([text, naiveValues.itemText(project(projection, checked(item)) as naiveValues.Item)]).toEqual([
        text,
        naiveValues.itemText(naive.select(paths, item)),
      ])
    }),
    { numRuns },
  )
})

test('values are made canonical, compared and measured as a second implementation does it', () => {
  fc.assert(
    fc.property(values, values, items, (a, b, item) => {
      const [one, two] = [checkValue(a), checkValue(b)]
      expect(naiveValues.textOf(one as naiveValues.Value)).toBe(naiveValues.textOf(a))
      expect(one).toEqual(naiveValues.canonical(a))
      expect(valuesEqual(one, two)).toBe(naiveValues.isEqual(a, b))
      const order = compareValues(one, two)
      expect(order === undefined ? undefined : Math.sign(order)).toBe(naiveValues.compareValues(a, b))
      const found = checkItem(structuredClone(item))
      expect(found.size).toBe(naiveValues.itemSize(item))
      expect(itemSize(found.item)).toBe(naiveValues.itemSize(item))
    }),
    { numRuns },
  )
})

test('sets are equal whatever the order and the spelling of their members, and no member more or less', () => {
  fc.assert(
    fc.property(sets, seeds, (set, seed) => {
      const random = new Random(seed)
      const [type, members] = Object.entries(set)[0] as ['SS' | 'NS' | 'BS', string[]]
      const mixed = [...members].sort(() => random.next() - 0.5)
      const spelled = type === 'NS' ? mixed.map((number) => `${/[eE]/.test(number) ? number : `${number}e0`}`) : mixed
      expect(valuesEqual(checkValue(set), checkValue({ [type]: spelled }))).toBe(true)
      if (members.length > 1) expect(valuesEqual(checkValue(set), checkValue({ [type]: members.slice(1) }))).toBe(false)
    }),
    { numRuns: numRuns / 4 },
  )
})
