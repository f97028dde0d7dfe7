import fc from 'fast-check'
import { expect, test } from 'vitest'
import { evaluateCondition } from '../../../src/tables/expressions/index.js'
import { compileStatement, type Select } from '../../../src/tables/partiql/statement.js'
import { parseStatement } from '../../../src/tables/partiql/statement-parser.js'
import type { Item } from '../../../src/tables/values/index.js'
import { running, type Values } from './running.js'

const numRuns = process.env.MILLRACE_LONG === undefined ? 300 : 20_000

const attribute = (name: string, values: readonly string[]) =>
  fc.oneof(
    ...['=', '<>', '<', '<=', '>', '>='].map((operator) =>
      fc.constantFrom(...values).map((value) => `${name} ${operator} ${value}`),
    ),
    fc.subarray([...values], { minLength: 1 }).map((some) => `${name} IN [${some}]`),
    fc.tuple(fc.constantFrom(...values), fc.constantFrom(...values)).map((pair) => {
      const [low, high] = pair.sort((a, b) => values.indexOf(a) - values.indexOf(b))
      return `${name} BETWEEN ${low} AND ${high}`
    }),
    fc.constantFrom(`${name} IS MISSING`, `attribute_exists(${name})`),
  )
const letters = ["'a'", "'b'", "'c'"]
const numbers = ['1', '2', '3', '4']
const conditions = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small' },
    { arbitrary: attribute('pk', letters), weight: 2 },
    { arbitrary: attribute('sk', numbers), weight: 2 },
    { arbitrary: attribute('x', letters), weight: 2 },
    { arbitrary: fc.constantFrom("begins_with(pk, 'a')", "begins_with(x, '')"), weight: 1 },
    { arbitrary: tie('condition').map((inner) => `NOT (${inner})`), weight: 1 },
    {
      arbitrary: fc
        .tuple(tie('condition'), fc.constantFrom(' AND ', ' OR '), tie('condition'))
        .map(([left, operator, right]) => `(${left}${operator}${right})`),
      weight: 4,
    },
  ),
})).condition

/** What AWS refuses of conditions that say something. */
const refusals = /^(Overlapping conditions|Too many decomposed|One or more parameter values are not valid)/

test('whatever the plan, a SELECT gives every item that fulfils its condition, once', async () => {
  const { ask, run, put } = await running()
  const TableName = 'planned'
  const definition = (AttributeName: string, AttributeType: string) => ({ AttributeName, AttributeType })
  await ask('CreateTable', {
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [definition('pk', 'S'), definition('sk', 'N'), definition('x', 'S')],
    KeySchema: [
      { AttributeName: 'pk', KeyType: 'HASH' },
      { AttributeName: 'sk', KeyType: 'RANGE' },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: 'by-x',
        KeySchema: [
          { AttributeName: 'x', KeyType: 'HASH' },
          { AttributeName: 'sk', KeyType: 'RANGE' },
        ],
        Projection: { ProjectionType: 'ALL' },
      },
    ],
  })
  const items: Item[] = []
  for (const [i, pk] of ['a', 'b', 'c'].entries()) {
    for (const sk of [1, 2, 3, 4]) {
      const x = [{ S: 'a' }, { S: 'b' }, undefined][(i + sk) % 3]
      const item: Item = { pk: { S: pk }, sk: { N: `${sk}` }, ...(x ? { x } : {}) }
      items.push(item)
      await put(TableName, item)
    }
  }
  const refused = { count: 0 }
  await fc.assert(
    fc.asyncProperty(
      conditions,
      fc.constantFrom('', '."by-x"'),
      fc.constantFrom(undefined, 1, 3),
      async (where, index, Limit) => {
        const statement = `SELECT * FROM "${TableName}"${index} WHERE ${where}`
        const condition = (compileStatement(parseStatement(statement), []) as Select).where
        const expected = items.filter((item) => (index === '' || item.x) && evaluateCondition(condition!, item))
        const found: Values[] = []
        let NextToken: string | undefined
        do {
          const more = { ...(Limit ? { Limit } : {}), ...(NextToken ? { NextToken } : {}) }
          const { body, message } = await run(statement, more)
          if (message !== undefined) {
            expect(message).toMatch(refusals)
            refused.count++
            return
          }
          found.push(...body.Items)
          NextToken = body.NextToken
        } while (NextToken !== undefined)
        const sorted = (list: readonly object[]) => list.map((item) => JSON.stringify(item)).sort()
        expect(sorted(found)).toEqual(sorted(expected))
      },
    ),
    { numRuns },
  )
  // A test of refusals alone would be none.
  expect(refused.count).toBeLessThan(numRuns / 2)
}, 600_000)
