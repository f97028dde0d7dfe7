import { expect, test } from 'vitest'
import { parseStatement } from '../../../src/tables/partiql/statement-parser.js'

/** What is wrong with a statement, behind the words that all have. */
function fault(statement: string): string {
  try {
    parseStatement(statement)
  } catch (error) {
    const words = "Statement wasn't well formed, can't be processed: "
    expect((error as Error).message.slice(0, words.length)).toBe(words)
    return (error as Error).message.slice(words.length)
  }
  return 'none'
}

/** The expression of a WHERE clause, in parentheses. */
function shape(condition: string): string {
  const { root } = parseStatement(`SELECT * FROM t WHERE ${condition}`)
  const show = (node: Record<string, unknown>): string => {
    const parts = (...names: string[]) => names.map((name) => show(node[name] as Record<string, unknown>))
    switch (node.kind) {
      case 'and':
      case 'or':
        return `(${(node.items as Record<string, unknown>[]).map(show).join(` ${node.kind} `)})`
      case 'compare':
      case 'binary':
        return `(${parts('left', 'right').join(` ${node.operator} `)})`
      case 'not':
      case 'minus':
        return `(${node.kind} ${parts('operand')})`
      case 'between':
        return `(${parts('value', 'low', 'high').join(' ~ ')})`
      case 'in':
        return `(${parts('value', 'options').join(' in ')})`
      case 'is':
        return `(${parts('value')} is ${node.type})`
      case 'list':
        return `[${(node.elements as Record<string, unknown>[]).map(show)}]`
      case 'path':
        return node.name as string
      default:
        return String(node.text ?? node.value ?? node.kind)
    }
  }
  const { statement } = root as unknown as { statement: { where: Record<string, unknown> } }
  return show(statement.where)
}

test('operators bind as in PartiQL', () => {
  expect(shape('a = 1 AND b = 2 OR NOT c = 3 AND d = 4')).toBe('(((a = 1) and (b = 2)) or ((not (c = 3)) and (d = 4)))')
  expect(shape('(a = 1 OR b = 2) AND c = 3 AND d = 4')).toBe('(((a = 1) or (b = 2)) and (c = 3) and (d = 4))')
  expect(shape('a BETWEEN 1 AND 2 AND b < 3 = true')).toBe('((a ~ 1 ~ 2) and ((b < 3) = true))')
  expect(shape('a + 1 - b * 2 < c')).toBe('(((a + 1) - (b * 2)) < c)')
  expect(shape('a NOT IN (1, 2) AND b IS NOT MISSING')).toBe('((not (a in [1,2])) and (not (b is missing)))')
  expect(shape('a = - - 1 AND b > -.5e1 AND c = +2 AND d = -e')).toBe(
    '((a = 1) and (b > -.5e1) and (c = 2) and (d = (minus e)))',
  )
  expect(shape('"SELECT" = 1 AND Not "a""b" = 2')).toBe('((SELECT = 1) and (not (a"b = 2)))')
})

test('comments are white space', () => {
  expect(shape("a/* key */='--' -- rest\n AND b = '/*' --")).toBe('((a = --) and (b = /*))')
  expect(fault('-- note\nSELECT/**/* FROM t;')).toBe('none')
})

test.each([
  ['SELECT * FROM t WHERE pk = 1 foo', 'Unexpected token after expression'],
  ['SELECT * FROM t WHERE pk = 1 e5', 'Unexpected token after expression'],
  ['SELECT * FROM t WHERE pk = 1)', 'Unexpected token after expression'],
  ['SELECT * FROM t ORDER BY pk WHERE pk = 1', 'Unexpected token after expression'],
  ["INSERT INTO t x VALUE {'pk': 1}", 'Unexpected token after expression'],
  ["INSERT INTO t VALUE {'pk': 1} RETURN", 'Unexpected token after expression'],
  ['DELETE FROM t WHERE pk = 1 ORDER BY pk', 'Unexpected token after expression'],
  ["FROM t SET a = 1 WHERE pk = 'x'", 'Unexpected token after expression'],
  ['SELECT * FROM t; SELECT * FROM t', 'Unexpected token after semicolon. (Only one query is allowed.)'],
  ['SELECT * FROM t WHERE', 'Unexpected term'],
  ['SELECT * FROM t WHERE;', 'Unexpected term'],
  ['DELETE FROM t WHERE NOT', 'Unexpected term'],
  ['SELECT * FROM', 'Unexpected term'],
  ['', 'Unexpected term'],
  ['SELECT * FROM t WHERE a = 1 AND', 'Missing right-hand side expression of infix operator'],
  ['SELECT * FROM t WHERE a =', 'Missing right-hand side expression of infix operator'],
  ['SELECT * FROM t WHERE a BETWEEN 1 AND', 'Expected expression after AND'],
  ['SELECT * FROM t WHERE ORDER BY pk', 'Unexpected keyword'],
  ['INSERT INTO t (key, b) VALUES (?, ?)', 'Unexpected keyword'],
  ['SELECT * FROM t WHERE IS NULL', 'Unexpected operator'],
  ['SELECT * FROM t WHERE a = LIKE', 'Unexpected operator'],
  ['SELECT * FROM t WHERE a IS FOO', 'Expected type name'],
  ['SELECT a.inner FROM t', 'Invalid path dot component'],
  ['DELETE FROM;', 'Expected identifier for simple path'],
  ["DELETE FROM WHERE pk = 'a'", 'Expected identifier for simple path'],
  ['DELETE t', 'Expected FROM after DELETE'],
  ['SELECT a, b', 'Expected FROM after SELECT list'],
  ['SLECT * FROM t WHERE a = 1', 'Expected data manipulation'],
  ['UPDATE t WHERE a = 1', 'Expected data manipulation'],
  ['UPDATE t SET a > 1', "Expected '='"],
  [
    'UPDATE t SET a = 1 WHERE b = 1 RETURNING *',
    'Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element.',
  ],
  [
    'SELECT *, a FROM t',
    "Other expressions may not be present in the select list when '*' is used without dot notation.",
  ],
  ['SELECT * FROM t WHERE a = 1e2147483648', ''],
  ['SELECT * FROM t WHERE a = 1.5e-2147483647', ''],
  ['SELECT * FROM t WHERE a = 1x', ''],
  ['SELECT * FROM t # note', ''],
  ['SELECT * FROM t /* note', ''],
  ["SELECT * FROM t WHERE a = 'x", ''],
  ['SELECT * FROM "t', ''],
])('%s', (statement, expected) => {
  expect(fault(statement)).toBe(expected)
})

test('nesting is bounded, a chain of AND is not', () => {
  const nested = 'Expressions are nested deeper than 128 levels'
  expect(fault('('.repeat(8000))).toBe(nested)
  expect(fault(`SELECT * FROM t WHERE ${'NOT '.repeat(2000)}a = 1`)).toBe(nested)
  expect(fault(`SELECT * FROM t WHERE a${' = a'.repeat(2000)}`)).toBe(nested)
  expect(fault(`UPDATE t SET a = 1${'+1'.repeat(4000)}`)).toBe(nested)
  expect(fault(`INSERT INTO t VALUE {'a': ${'['.repeat(4000)}`)).toBe(nested)
  expect(fault(`SELECT * FROM t WHERE a=1${' AND a=1'.repeat(1000)}`)).toBe('none')
  expect(fault(`SELECT * FROM t WHERE a = ${'('.repeat(60)}1${')'.repeat(60)}`)).toBe('none')
})
