import type { Condition, Path, Update } from '../expressions/index.js'
import { Constraints, tableName } from '../requests/request.js'
import { type AttributeValue, checkItem, type Item, itemBytesMax, ValidationError } from '../values/index.js'
import { ConditionCompiler } from './conditions.js'
import { Literals } from './literals.js'
import { nameOfKind } from './operation-names.js'
import { pathOf } from './paths.js'
import { type Column, compileProjection } from './projection.js'
import type { ParsedStatement } from './statement-parser.js'
import type {
  DeleteSyntax,
  Expression,
  InsertSyntax,
  OrderTermSyntax,
  ReturningSyntax,
  ReturningValues,
  SelectSyntax,
  SourceSyntax,
  UpdateSyntax,
} from './syntax.js'
import { compileUpdate } from './updates.js'

/*
 * A statement with its parameters put in: what is asked for, of a table by its name. What the table's keys make of it is
 * in read-plan.ts and key-equality.ts.
 */

export interface OrderTerm {
  readonly path: Path
  readonly isDescending: boolean
}

export interface Select {
  readonly kind: 'select'
  readonly table: string
  readonly index: string | undefined
  /** Undefined for `*`. */
  readonly columns: readonly Column[] | undefined
  readonly where: Condition | undefined
  readonly order: readonly OrderTerm[] | undefined
}

export interface Insert {
  readonly kind: 'insert'
  readonly table: string
  readonly item: Item
  readonly size: number
}

export interface UpdateOne {
  readonly kind: 'update'
  readonly table: string
  readonly update: Update
  readonly where: Condition | undefined
  readonly returning: ReturningValues | undefined
}

export interface DeleteOne {
  readonly kind: 'delete'
  readonly table: string
  readonly where: Condition | undefined
  readonly returning: ReturningValues | undefined
}

/** A condition on an item, for transactions. */
export interface Exists {
  readonly kind: 'exists'
  readonly select: Select
}

export type Statement = Select | Insert | UpdateOne | DeleteOne | Exists

/** Puts the parameters in and refuses what DynamoDB does not do. Throws ValidationError. */
export function compileStatement(parsed: ParsedStatement, parameters: readonly AttributeValue[]): Statement {
  return new StatementCompiler(new Literals(parsed.text, parameters)).statement(parsed.root)
}

const tableNamePattern = /^[a-zA-Z0-9_.-]{3,255}$/

class StatementCompiler {
  private readonly conditions: ConditionCompiler

  constructor(private readonly literals: Literals) {
    this.conditions = new ConditionCompiler(literals)
  }

  statement(root: Expression): Statement {
    if (root.kind === 'call' && root.name === 'exists') return this.exists(root)
    if (root.kind !== 'statement') throw new ValidationError(`Unsupported operation: ${nameOfKind(root)}`)
    const { statement } = root
    switch (statement.kind) {
      case 'select':
        return this.select(statement)
      case 'insert':
        return this.insert(statement)
      case 'update':
        return this.update(statement)
      case 'delete':
        return this.delete(statement)
      case 'loose':
        throw new ValidationError('FROM clause may only contain a single table name in data manipulation statements')
    }
  }

  private exists(call: Extract<Expression, { kind: 'call' }>): Exists {
    const [first] = call.operands
    if (call.operands.length !== 1 || first?.kind !== 'statement' || first.statement.kind !== 'select')
      throw new ValidationError('Unsupported operation in transaction.')
    return { kind: 'exists', select: this.select(first.statement) }
  }

  private select(syntax: SelectSyntax): Select {
    if (syntax.isValue) throw new ValidationError("Select projection doesn't support value or pivot keywords")
    if (syntax.unsupported) {
      const { clause, place } = syntax.unsupported
      throw new ValidationError(`Unsupported clause: ${clause}${this.literals.at(place)}`)
    }
    const { table, index } = this.source(syntax.from)
    const columns = syntax.projection === '*' ? undefined : compileProjection(syntax.projection, this.literals)
    const where = this.where(syntax.where)
    const order = syntax.order?.map((term) => this.orderTerm(term))
    return { kind: 'select', table, index, columns, where, order }
  }

  private orderTerm({ expression, isDescending }: OrderTermSyntax): OrderTerm {
    if (expression.kind !== 'path') {
      throw new ValidationError(
        `Argument to ORDER BY must be of type VariableReference. Type: ${nameOfKind(expression)}`,
      )
    }
    return { path: pathOf(expression, this.literals), isDescending }
  }

  private insert(syntax: InsertSyntax): Insert {
    const { table, index } = this.source({ source: syntax.into, hasAlias: false, isJoined: false })
    if (index !== undefined)
      throw new ValidationError('FROM clause may only contain a single table name in data manipulation statements')
    if (!syntax.isSingle) {
      throw new ValidationError(
        'Unsupported operation: Inserting multiple items in a single statement is not supported, use "INSERT INTO tableName VALUE item" instead',
      )
    }
    if (syntax.hasPosition) throw new ValidationError('AT is not supported in insert statements.')
    if (syntax.returning) throw new ValidationError('RETURNING is not supported in INSERT')
    if (syntax.value.kind !== 'struct') {
      throw new ValidationError(
        'Unsupported format in item expression. Please use struct format {...} to express item values for insert statement.',
      )
    }
    const { item, size } = checkItem(this.literals.item(syntax.value.members))
    if (size > itemBytesMax) throw new ValidationError('Item size has exceeded the maximum allowed size')
    return { kind: 'insert', table, item, size }
  }

  private update(syntax: UpdateSyntax): UpdateOne {
    const table = this.target(syntax.from)
    const update = compileUpdate(syntax.operations, this.literals)
    const where = this.where(syntax.where)
    return { kind: 'update', table, update, where, returning: returningOf(syntax.returning) }
  }

  private delete(syntax: DeleteSyntax): DeleteOne {
    const table = this.target(syntax.from)
    const where = this.where(syntax.where)
    const returning = returningOf(syntax.returning)
    if (returning !== undefined && returning !== 'ALL OLD') {
      throw new ValidationError(
        `Invalid returning clause: RETURNING ${returning} *. Only RETURNING ALL OLD * is allowed in DELETE statements.`,
      )
    }
    return { kind: 'delete', table, where, returning }
  }

  private where(expression: Expression | undefined): Condition | undefined {
    return expression && this.conditions.condition(expression)
  }

  /** The table of a write. */
  private target(from: SourceSyntax): string {
    const { table, index } = this.source(from)
    if (index !== undefined) throw new ValidationError('This operation is not supported on an index')
    return table
  }

  private source({ source, hasAlias, isJoined }: SourceSyntax): { table: string; index: string | undefined } {
    if (isJoined) throw new ValidationError('Only select from a single table or index is supported.')
    if (source.kind !== 'path') throw new ValidationError('Unexpected from source')
    if (source.steps.length > 1) throw new ValidationError('A path may contain at most 2 components in the FROM clause')
    const [step] = source.steps
    if (step !== undefined && step.kind !== 'member') {
      throw new ValidationError(
        step.kind === 'unpivot'
          ? 'Invalid path dot component in this operation, expecting either an IDENTIFIER or STAR.'
          : 'Invalid list expression in source.',
      )
    }
    if (source.name === '' || step?.name === '') throw new ValidationError('Path component cannot be an empty string')
    if (hasAlias) throw new ValidationError('Aliasing is not supported')
    // A table can be named by its ARN.
    const table = tableName({ TableName: source.name }, new Constraints())
    if (!tableNamePattern.test(table)) {
      throw new ValidationError(
        "Table name should be within the length [3, 255] and only contain 'a-z', 'A-Z', '0-9', '-', '_', '.'.",
      )
    }
    return { table, index: step?.name }
  }
}

function returningOf(syntax: ReturningSyntax | undefined): ReturningValues | undefined {
  if (syntax?.isList) throw new ValidationError('Invalid syntax with multiple returning elements in RETURNING clause')
  if (syntax?.hasColumn)
    throw new ValidationError("Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause")
  return syntax?.values
}
