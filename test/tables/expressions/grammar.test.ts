import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import {
  applyUpdate,
  ExpressionContext,
  evaluateCondition,
  expressionBytesMax,
  keyConditionOf,
  parseCondition,
  parseKeyCondition,
  parseProjection,
  parseUpdate,
  project,
} from '../../../src/tables/expressions/index.js'
import { ExpressionReader } from '../../../src/tables/expressions/reader.js'
import { checkItem, type Item, ValidationError } from '../../../src/tables/values/index.js'
import { Random } from '../../simulation/random.js'
import { items, projections, trees, updates } from '../naive/arbitraries.js'
import { Renderer } from '../naive/render.js'

/** Each goes through four parsers. */
const inputs = process.env.MILLRACE_LONG === undefined ? 25_000 : 1_000_000
const samples = 500

const pieces = (
  'SET|REMOVE|ADD|DELETE|AND|OR|NOT|BETWEEN|IN|(|)|(|)|,|.|[0]|[01]|[-1]|[99999999999]|[|]|=|<>|<|<=|>|>=|+|-|a|b|c|' +
  '#n0|:v1|:missing|#missing|#|:|size(|attribute_exists(|attribute_not_exists(|attribute_type(|begins_with(|contains(|' +
  'if_not_exists(|list_append(|Size(|select|name|\0|\ud83d|é|"|\'|\\|/*|--|;|_a|1e5|0|007|\u2028|\t\n'
).split('|')

interface Sample {
  readonly text: string
  readonly names: Readonly<Record<string, string>>
  readonly values: Readonly<Record<string, unknown>>
}

/** Expressions of all kinds that can be parsed, with what their placeholders stand for. */
function sampled(seed: number): Sample[] {
  const random = new Random(seed)
  const render = <Part>(parts: readonly Part[], write: (renderer: Renderer, part: Part) => string): Sample[] =>
    parts.map((part) => {
      const renderer = new Renderer(random)
      return { text: write(renderer, part), names: renderer.names, values: renderer.values }
    })
  const options = { seed, numRuns: samples }
  return [
    ...render(fc.sample(trees, options), (renderer, tree) => renderer.condition(tree)),
    ...render(fc.sample(updates, options), (renderer, changes) => renderer.update(changes)),
    ...render(fc.sample(projections, options), (renderer, paths) => renderer.projection(paths)),
  ]
}

/** A text with a few parts of it taken out, doubled, moved or replaced, now and then so often that it is as long as allowed. */
function mutated(text: string, random: Random): string {
  const rounds = random.chance(0.01) ? 300 : 1 + random.below(4)
  let parts = text.split(/(\s+|\b)/)
  for (let round = 0; round < rounds; round++) {
    const from = random.below(parts.length + 1)
    const to = Math.min(parts.length, from + random.below(6))
    const cut = parts.slice(from, to)
    switch (random.below(5)) {
      case 0:
        parts.splice(from, to - from)
        break
      case 1:
        parts.splice(random.below(parts.length + 1), 0, ...cut)
        break
      case 2:
        parts.splice(from, 0, random.pick(pieces))
        break
      case 3:
        parts = ['(', ...parts, ')']
        break
      default:
        parts.splice(from, to - from, ...Array.from({ length: 1 + random.below(3) }, () => random.pick(pieces)))
    }
  }
  return parts.join('').slice(0, random.chance(0.99) ? expressionBytesMax : undefined)
}

const soup = (random: Random): string =>
  Array.from({ length: random.below(30) }, () => random.pick(pieces)).join(random.chance(0.5) ? ' ' : '')

/** Counts how often a parser looks at a token, until the test ends. */
function countLooks(): { count: number } {
  const looks = { count: 0 }
  const original = Object.getOwnPropertyDescriptor(ExpressionReader.prototype, 'next') as PropertyDescriptor
  const read = original.get as () => string
  Object.defineProperty(ExpressionReader.prototype, 'next', {
    ...original,
    get() {
      looks.count++
      return read.call(this)
    },
  })
  onTestFinished(() => {
    Object.defineProperty(ExpressionReader.prototype, 'next', original)
  })
  return looks
}

test('whatever is written is run or refused in AWS words, and read in steps that grow with its length alone', () => {
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? 20_261_125)
  const random = new Random(seed)
  const known = sampled(seed)
  const item: Item = checkItem(fc.sample(items, { seed, numRuns: 1 })[0]).item
  const schema = { hash: { name: 'a', type: 'S' }, range: { name: 'c', type: 'N' } } as const
  const looks = countLooks()
  let run = 0
  for (let i = 0; i < inputs; i++) {
    const { text: start, names, values } = random.pick(known)
    const text = random.chance(0.1) ? soup(random) : mutated(start, random)
    const context = new ExpressionContext({
      names: { ...names, '#n0': 'a' },
      values: { ...values, ':v1': { N: '1' } },
    })
    for (const take of [
      () => evaluateCondition(parseCondition('ConditionExpression', text, context), item),
      () => applyUpdate(parseUpdate(text, context), item),
      () => project(parseProjection(text, context), item),
      () => keyConditionOf(parseKeyCondition(text, context), schema),
    ]) {
      looks.count = 0
      try {
        take()
        run++
      } catch (error) {
        if (!(error instanceof ValidationError)) {
          throw new Error(`seed ${seed}, input ${i}: ${JSON.stringify(text)}`, { cause: error })
        }
      }
      if (looks.count > 20 * (text.length + 2)) {
        throw new Error(`seed ${seed}, input ${i}: ${looks.count} steps for ${JSON.stringify(text)}`)
      }
    }
  }
  // Some of what is mutated is an expression still.
  expect(run).toBeGreaterThan(inputs / 20)
  expect(looks.count).toBeGreaterThan(0)
})
