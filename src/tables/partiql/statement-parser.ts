import { ExpressionParser, selectPrecedence } from './expression-parser.js'
import { StatementReader } from './reader.js'
import { notWellFormed } from './statement-error.js'
import type {
  AssignmentSyntax,
  DeleteSyntax,
  Expression,
  InsertSyntax,
  OrderTermSyntax,
  ProjectedSyntax,
  RemovalSyntax,
  ReturningSyntax,
  ReturningValues,
  SelectSyntax,
  SourceSyntax,
  StatementSyntax,
  UpdateSyntax,
} from './syntax.js'

/*
 * statement := select | insert | update | delete | from | expression, then at most one `;`
 * select    := SELECT (* | projected {, projected}) FROM source [WHERE condition] [ORDER BY term {, term}]
 * insert    := INSERT INTO path VALUE item
 * update    := UPDATE source operation {operation} [WHERE condition] [RETURNING returning]
 * from      := FROM source [WHERE condition] operation {operation} [RETURNING returning]
 * operation := SET path = expression {, path = expression} | REMOVE path
 * delete    := DELETE FROM source [WHERE condition] [RETURNING returning]
 * returning := (ALL | MODIFIED) (OLD | NEW) *
 *
 * As in PartiQL a statement is itself an expression: what is none (`SLECT * FROM t`) is read as far as it goes, and the
 * fault is where it stops making sense.
 */

export interface ParsedStatement {
  readonly text: string
  readonly root: Expression
}

/** Throws ValidationError. */
export function parseStatement(text: string): ParsedStatement {
  const reader = new StatementReader(text)
  const root = new StatementParser(reader).root()
  return { text, root }
}

class StatementParser {
  private readonly reader: StatementReader
  private readonly expressions: ExpressionParser

  constructor(reader: StatementReader) {
    this.reader = reader
    this.expressions = new ExpressionParser(reader, () => this.statement())
  }

  root(): Expression {
    const root = this.expressions.expression()
    const ended = this.reader.takeKind(';')
    if (this.reader.next.kind === 'end') return root
    throw notWellFormed(
      ended ? 'Unexpected token after semicolon. (Only one query is allowed.)' : 'Unexpected token after expression',
    )
  }

  /** A statement whose keyword is next; undefined when it is none of a statement. */
  private statement(): StatementSyntax | undefined {
    const { reader } = this
    switch (reader.next.text) {
      case 'select':
        reader.take()
        return this.select()
      case 'insert into':
        return this.insert()
      case 'set':
      case 'remove':
        this.operations()
        return { kind: 'loose' }
      case 'update':
        reader.take()
        return this.update()
      case 'delete':
        reader.take()
        return this.delete()
      case 'from':
        reader.take()
        return this.from()
      default:
        return undefined
    }
  }

  private select(): SelectSyntax {
    const { reader } = this
    const isDistinct = reader.takeWord('distinct')
    if (!isDistinct) reader.takeWord('all')
    const isValue = reader.takeWord('value')
    const first = reader.next
    const projection = isValue ? [{ expression: this.expressions.expression(), hasAlias: false }] : this.projection()
    if (!reader.takeWord('from')) throw notWellFormed('Expected FROM after SELECT list')
    const from = this.source(this.expressions.expression(selectPrecedence))
    const where = this.where(selectPrecedence)
    const order = this.order()
    const unsupported = isDistinct ? { clause: 'DISTINCT', place: first } : this.unsupportedClause()
    return { kind: 'select', projection, isValue, from, where, order, unsupported }
  }

  private projection(): '*' | ProjectedSyntax[] {
    const { reader } = this
    const list: ProjectedSyntax[] = []
    let hasStar = false
    do {
      if (reader.takeKind('*')) hasStar = true
      else {
        const expression = this.expressions.expression()
        list.push({ expression, hasAlias: this.alias() })
      }
    } while (reader.takeKind(','))
    if (!hasStar) return list
    if (list.length > 0) {
      throw notWellFormed(
        "Other expressions may not be present in the select list when '*' is used without dot notation.",
      )
    }
    return '*'
  }

  private order(): OrderTermSyntax[] | undefined {
    const { reader } = this
    if (!reader.takeWord('order')) return undefined
    if (!reader.takeWord('by')) throw notWellFormed('Expected BY')
    const terms: OrderTermSyntax[] = []
    do {
      const expression = this.expressions.expression(selectPrecedence)
      const isDescending = reader.takeWord('desc')
      if (!isDescending) reader.takeWord('asc')
      terms.push({ expression, isDescending })
    } while (reader.takeKind(','))
    return terms
  }

  /** Clauses of SQL that DynamoDB has no use for; the place is that of what stands behind their keyword. */
  private unsupportedClause(): SelectSyntax['unsupported'] {
    const { reader } = this
    for (const [word, clause] of [
      ['group', 'GROUP BY'],
      ['having', 'HAVING'],
      ['limit', 'LIMIT'],
    ] as const) {
      if (!reader.takeWord(word)) continue
      if (word === 'group' && !reader.takeWord('by')) throw notWellFormed('Expected BY')
      const place = reader.next
      this.expressions.list(selectPrecedence)
      this.unsupportedClause()
      return { clause, place }
    }
    return undefined
  }

  private source(source: Expression): SourceSyntax {
    const { reader } = this
    const hasAlias = this.alias()
    let isJoined = false
    while (reader.next.kind === ',' || (reader.next.kind === 'keyword' && reader.next.text.endsWith('join'))) {
      isJoined = true
      reader.take()
      this.expressions.expression(selectPrecedence)
      this.alias()
      if (reader.takeWord('on')) this.expressions.expression(selectPrecedence)
    }
    return { source, hasAlias, isJoined }
  }

  private alias(): boolean {
    const { reader } = this
    const before = reader.left
    if (reader.takeWord('as')) this.aliasName('AS')
    else if (reader.next.kind === 'name' || reader.next.kind === 'quoted') reader.take()
    if (reader.takeWord('at')) this.aliasName('AT')
    if (reader.takeWord('by')) this.aliasName('BY')
    return reader.left < before
  }

  private aliasName(keyword: string): void {
    const { kind } = this.reader.next
    if (kind !== 'name' && kind !== 'quoted') throw notWellFormed(`Expected identifier for ${keyword}-alias`)
    this.reader.take()
  }

  private where(precedence?: number): Expression | undefined {
    return this.reader.takeWord('where') ? this.expressions.expression(precedence) : undefined
  }

  private insert(): InsertSyntax {
    const { reader } = this
    reader.take()
    const into = this.expressions.simplePath()
    const isSingle = reader.takeWord('value')
    const value = this.expressions.expression()
    const hasPosition = isSingle && reader.takeWord('at')
    if (hasPosition) this.expressions.expression()
    return { kind: 'insert', into, value, isSingle, hasPosition, returning: this.returning() }
  }

  private update(): UpdateSyntax {
    const from = this.target()
    const operations = this.operations()
    const where = this.where()
    return { kind: 'update', from, operations, where, returning: this.returning() }
  }

  private from(): UpdateSyntax {
    const from = this.source(this.expressions.expression())
    const where = this.where()
    const operations = this.operations()
    return { kind: 'update', from, operations, where, returning: this.returning() }
  }

  private delete(): DeleteSyntax {
    if (!this.reader.takeWord('from')) throw notWellFormed('Expected FROM after DELETE')
    const from = this.target()
    const where = this.where()
    return { kind: 'delete', from, where, returning: this.returning() }
  }

  private target(): SourceSyntax {
    const source = this.expressions.simplePath()
    return { source, hasAlias: this.alias(), isJoined: false }
  }

  private operations(): (AssignmentSyntax | RemovalSyntax | InsertSyntax)[] {
    const { reader } = this
    const operations: (AssignmentSyntax | RemovalSyntax | InsertSyntax)[] = []
    for (;;) {
      if (reader.takeWord('set')) {
        do operations.push(this.assignment())
        while (reader.takeKind(','))
      } else if (reader.takeWord('remove')) {
        operations.push({ kind: 'remove', target: this.expressions.simplePath() })
      } else if (reader.isWord('insert into')) operations.push(this.insert())
      else break
    }
    if (operations.length === 0) throw notWellFormed('Expected data manipulation')
    return operations
  }

  private assignment(): AssignmentSyntax {
    const target = this.expressions.simplePath()
    if (!this.reader.takeWord('=')) throw notWellFormed("Expected '='")
    return { kind: 'set', target, value: this.expressions.expression() }
  }

  private returning(): ReturningSyntax | undefined {
    const { reader } = this
    if (!reader.takeWord('returning')) return undefined
    const found: ReturningSyntax[] = []
    do {
      const { kind, text } = reader.next
      if (kind !== 'keyword' || !/^(all|modified) (old|new)$/.test(text))
        throw notWellFormed('Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element.')
      reader.take()
      const hasColumn = !reader.takeKind('*')
      if (hasColumn) this.expressions.expression()
      found.push({ values: text.toUpperCase() as ReturningValues, hasColumn, isList: found.length > 0 })
    } while (reader.takeKind(','))
    return found.at(-1)
  }
}
