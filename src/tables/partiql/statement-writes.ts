import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { type Condition, evaluateCondition, type PathList, updatedAttributes } from '../expressions/index.js'
import { checkIndexKeysOfUpdate, indexWriteUnits } from '../indexes/index.js'
import type { Present } from '../items/present.js'
import { refuseKeyUpdates, updateDecision } from '../items/update-decision.js'
import type { Decision, Writer, Written } from '../items/writer.js'
import { AwsError, duplicateItem } from '../requests/aws-error.js'
import { type IndexUnits, writeUnits } from '../requests/capacity.js'
import { refuseKeyPathsOfWrite } from '../requests/key-paths.js'
import { attributeOf, type Item, type KeySchema, keyOf, ValidationError } from '../values/index.js'
import { type KeyEquality, keyEquality, requireKeyTypes, requireOneItem } from './key-equality.js'
import type { DeleteOne, Insert, UpdateOne } from './statement.js'
import type { ReturningValues } from './syntax.js'

export type WriteStatement = Insert | UpdateOne | DeleteOne

const empty: Item = {}

/** A write of one item that is known to be possible, as far as that shows without the item. */
export interface PreparedWrite {
  readonly row: TableRow
  readonly key: Item
  /** `returnItem`: whether the error of a failed condition shows the item. */
  run(returnItem: boolean): Promise<WriteAnswer>
}

export interface WriteAnswer {
  /** What RETURNING asks for, as DynamoDB JSON; undefined when there is nothing of it. */
  readonly returned: Buffer | undefined
  /** What it took; counted when it is asked for. */
  units(): WrittenUnits
}

/** What a write took. */
export interface WrittenUnits {
  readonly table: number
  readonly indexes: IndexUnits | undefined
}

/** The writes of statements: through the one Writer, as all others. */
export class StatementWrites {
  readonly #catalogue: Catalogue
  readonly #writer: Writer

  constructor(catalogue: Catalogue, writer: Writer) {
    this.#catalogue = catalogue
    this.#writer = writer
  }

  /** Throws ValidationError, ResourceNotFoundException. */
  prepare(statement: WriteStatement): PreparedWrite {
    const { row } = this.#catalogue.requested(statement.table)
    if (statement.kind === 'insert') {
      const key = insertedKey(statement, row.schema)
      return { row, key, run: () => this.#insert(statement, row, key) }
    }
    const equality = keyEquality(statement.where, row.schema)
    requireOneItem(equality, row.schema)
    requireKeyTypes(equality.key, row.schema)
    if (statement.kind === 'update') {
      refuseKeyUpdates(statement.update, row.schema)
      checkIndexKeysOfUpdate(row, statement.update)
    }
    const key = keyOf(equality.key, row.schema, true)
    const guard = guardOf(statement.kind, equality, row.schema)
    refuseKeyPathsOfWrite(row, { condition: guard, update: statement.kind === 'update' ? statement.update : undefined })
    return { row, key, run: (returnItem) => this.#change(statement, row, key, guard, returnItem) }
  }

  async #insert(statement: Insert, row: TableRow, key: Item): Promise<WriteAnswer> {
    try {
      const written = await this.#writer.write(statement.table, key, true, (before) =>
        before.stored
          ? { kind: 'refuse', returnItem: false }
          : { kind: 'put', item: statement.item, size: statement.size },
      )
      return { returned: undefined, units: () => unitsOf(row, key, written) }
    } catch (error) {
      if (error instanceof AwsError && error.type.endsWith('#ConditionalCheckFailedException')) throw duplicateItem()
      throw error
    }
  }

  async #change(
    statement: UpdateOne | DeleteOne,
    row: TableRow,
    key: Item,
    guard: Condition | undefined,
    returnItem: boolean,
  ): Promise<WriteAnswer> {
    let touched: PathList | undefined
    const decide = (before: Present): Decision => {
      if (guard && !evaluateCondition(guard, before.item() ?? empty)) return { kind: 'refuse', returnItem }
      if (statement.kind === 'delete') return { kind: 'delete' }
      const updated = updateDecision(statement.update, key, before)
      touched = updated.touched
      return updated.decision
    }
    const written = await this.#writer.write(statement.table, key, true, decide)
    return { returned: returnedItem(statement.returning, written, touched), units: () => unitsOf(row, key, written) }
  }
}

const unitsOf = (row: TableRow, key: Item, written: Written): WrittenUnits => ({
  table: writeUnits(written.size),
  indexes: indexWriteUnits(row, key, written),
})

/**
 * What must hold of the item as it is. An UPDATE is of an item that is there; a DELETE of one that is not does nothing, and
 * asks for nothing.
 */
export function guardOf(
  kind: 'update' | 'delete',
  { condition }: KeyEquality,
  schema: KeySchema,
): Condition | undefined {
  const path = [schema.hash.name] as const
  if (kind === 'delete') return condition && { kind: 'or', items: [{ kind: 'attribute_not_exists', path }, condition] }
  const exists: Condition = { kind: 'attribute_exists', path }
  return condition ? { kind: 'and', items: [exists, condition] } : exists
}

function insertedKey({ item }: Insert, schema: KeySchema): Item {
  for (const attribute of [schema.hash, schema.range]) {
    if (attribute && attributeOf(item, attribute.name) === undefined)
      throw new ValidationError(`Key attribute should be present in the item: Key ${attribute.name}`)
  }
  requireKeyTypes(item, schema)
  return keyOf(item, schema)
}

function returnedItem(
  values: ReturningValues | undefined,
  written: Written,
  touched: PathList | undefined,
): Buffer | undefined {
  const old = written.before
  switch (values) {
    case 'ALL OLD':
      return old.stored?.json
    case 'ALL NEW':
      return written.after && Buffer.from(JSON.stringify(written.after))
    case 'MODIFIED OLD':
    case 'MODIFIED NEW': {
      const item = values === 'MODIFIED OLD' ? old.item() : written.after
      const modified = touched && item ? updatedAttributes(touched, item) : empty
      return Object.keys(modified).length > 0 ? Buffer.from(JSON.stringify(modified)) : undefined
    }
    default:
      return undefined
  }
}
