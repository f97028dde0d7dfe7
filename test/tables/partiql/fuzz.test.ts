import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyUpdate, evaluateCondition } from '../../../src/tables/expressions/index.js'
import { keyEquality } from '../../../src/tables/partiql/key-equality.js'
import { selectColumns } from '../../../src/tables/partiql/projection.js'
import { planRead } from '../../../src/tables/partiql/read-plan.js'
import { statementLengthMax } from '../../../src/tables/partiql/requests.js'
import { compileStatement } from '../../../src/tables/partiql/statement.js'
import { parseStatement } from '../../../src/tables/partiql/statement-parser.js'
import { type AttributeValue, type Item, ValidationError } from '../../../src/tables/values/index.js'

const isLong = process.env.MILLRACE_LONG !== undefined

const item: Item = {
  a: { S: 'x' },
  b: { N: '1' },
  c: { L: [{ N: '1' }, { M: { d: { SS: ['x', 'y'] } } }] },
  d: { M: { a: { BOOL: true }, b: { NULL: true } } },
}
const parameters: AttributeValue[] = [{ S: 'x' }, { N: '1' }, { SS: ['x'] }, { L: [] }]
const schema = { hash: { name: 'a', type: 'S' }, range: { name: 'b', type: 'N' } } as const

const words = (
  `SELECT * FROM "table" "table" table-1 . "index" WHERE AND OR NOT = <> != < <= > >= BETWEEN IN IS MISSING NULL BOOL STRING ` +
  `( ) ( ) , , [ ] { } << >> [0] [1] : ; ? ? ? a b c d a b 'x' 'y' '' 1 1 -1 .5 1e3 1e99999999999 true false null missing ` +
  `begins_with contains attribute_type attribute_exists size EXISTS count ORDER BY ASC DESC LIMIT GROUP INSERT INTO VALUE ` +
  `UPDATE SET SET REMOVE DELETE list_append set_add set_delete + - * / || RETURNING ALL MODIFIED OLD NEW AS AT LIKE key ` +
  `-- /* */ ' " \` # @ $ \n é \ud83d`
).split(' ')
const keyed = [
  "a = 'x'",
  "a IN ['x', 'y']",
  'b > 1',
  'b IN [1, 2]',
  'c = 1',
  "begins_with(a, 'x')",
  'NOT b = 1',
  'd.a IS MISSING',
  'b BETWEEN 1 AND ?',
]
/** Conditions that make sense, so that plans are made of them. */
const conditions = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(...keyed),
    fc
      .tuple(tie('condition'), fc.constantFrom(' AND ', ' OR '), tie('condition'))
      .map(([left, operator, right]) => `(${left}${operator}${right})`),
  ),
})).condition
const frames = fc
  .tuple(
    fc.constantFrom(
      'SELECT * FROM "table" WHERE ',
      'SELECT a, c[1].d FROM "table" WHERE ',
      'UPDATE "table" SET e = 1, c[1].d = set_add(c[1].d, <<\'z\'>>) REMOVE d.b WHERE ',
      'DELETE FROM "table" WHERE ',
      'FROM "table" WHERE ',
    ),
    conditions,
    fc.constantFrom('', ' ORDER BY b DESC', ' SET e = b + 1 RETURNING ALL NEW *', ' RETURNING ALL OLD *'),
  )
  .map((parts) => parts.join(''))
const texts = fc.oneof(
  fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((parts) => parts.join(' ')),
  fc.array(fc.constantFrom(...words), { maxLength: 40 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 200 }),
  frames,
  // A statement that is nearly right.
  fc
    .tuple(frames, fc.nat(200), fc.nat(20), fc.constantFrom(...words))
    .map(([text, at, length, word]) => text.slice(0, at) + word + text.slice(at + length)),
)

/** All that is done with a statement but reading and writing; throws only what AWS would answer. */
function use(text: string): void {
  try {
    const statement = compileStatement(parseStatement(text), parameters)
    const select = statement.kind === 'exists' ? statement.select : statement
    if (select.kind === 'insert') return
    if (select.where) {
      evaluateCondition(select.where, item)
      keyEquality(select.where, schema)
    }
    if (select.kind === 'update') applyUpdate(select.update, item)
    if (select.kind !== 'select') return
    selectColumns(select.columns ?? [], item)
    planRead(select.where, schema, select.order)
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error
  }
}

test('any text at all is a statement, or refused with a ValidationError', () => {
  fc.assert(fc.property(texts, use), { numRuns: isLong ? 200_000 : 3000 })
}, 600_000)

/** As much of a repetition as fits into a statement. */
const long = (prefix: string, part: string, suffix: string): string =>
  prefix + part.repeat(Math.floor((statementLengthMax - prefix.length - suffix.length) / part.length)) + suffix

test.each([
  ['parentheses', long('SELECT * FROM "table" WHERE ', '(', '')],
  ['conditions', long('SELECT * FROM "table" WHERE a = \'x\'', ' AND b=1', '')],
  ['alternatives', long('SELECT * FROM "table" WHERE a = \'x\'', " OR a='y'", '')],
  ['alternatives of each other', long('SELECT * FROM "table" WHERE a = \'x\'', ' AND (b=1 OR b=2)', '')],
  ['negations', long('SELECT * FROM "table" WHERE ', 'NOT ', 'a = 1')],
  ['comparisons', long('SELECT * FROM "table" WHERE a', ' = a', '')],
  ['lists', long('INSERT INTO "table" VALUE {\'a\': ', '[', '')],
  ['maps', long('INSERT INTO "table" VALUE ', "{'a':", '')],
  ['members', long('INSERT INTO "table" VALUE {\'a\': [1', ',1', ']}')],
  ['sets', long('INSERT INTO "table" VALUE {\'a\': <<1', ',1', '>>}')],
  ['assignments', long('UPDATE "table" SET a = 1', ', a = 1', '')],
  ['paths', long('SELECT a', '[0]', ' FROM "table"')],
  ['digits', long('SELECT * FROM "table" WHERE a = 1', '0', '')],
  ['quotes', long('SELECT * FROM "table" WHERE a = \'', "''", "'")],
  ['comments', long('SELECT ', '/**/', '* FROM "table"')],
  ['lines', long('SELECT ', '\n', 'count(*) FROM "table"')],
  ['columns', long('SELECT a0', ', a1', ' FROM "table"')],
  ['statements', long('', 'SELECT * FROM ', '')],
  ['parts of a FROM', long('SELECT * FROM a', ', a', '')],
])('a statement full of %s is read in bounded time', (_, text) => {
  expect(text.length).toBeLessThanOrEqual(statementLengthMax)
  // What never ends, or overflows the stack, fails; the runner's limit is far above what any of these takes.
  for (let i = 0; i < 10; i++) use(text)
})
