import type { TableRow } from '../catalogue/table-row.js'
import { refuseKeyUpdates } from '../items/update-decision.js'
import { AwsError, asAwsError, validation } from '../requests/aws-error.js'
import { readUnits, type ShowCapacity } from '../requests/capacity.js'
import { array, members } from '../requests/json-bytes.js'
import type { Input } from '../requests/request.js'
import {
  type CancellationReason,
  type ClientToken,
  cancelled,
  capacities,
  digestOf,
  reasonOf,
  refuseBytes,
  type TransactAction,
  type TransactGet,
  type Transactions,
  transactionFactor,
  writtenUnits,
} from '../transactions/index.js'
import { type KeySchema, keyOf, ValidationError } from '../values/index.js'
import { isWholeKey, KeyTypeError, keyEquality, requireOneItem } from './key-equality.js'
import { compiled, type ManyInput, parametersOf, type StatementInput, transactionInput } from './requests.js'
import type { Exists, Select } from './statement.js'
import { type StatementReads, shownItem } from './statement-reads.js'
import { guardOf, type WriteStatement } from './statement-writes.js'

const keyRequired = 'Select statements within ExecuteTransaction must specify the primary key in the where clause.'

const duplicate: CancellationReason = { Code: 'DuplicateItem', Message: 'Duplicate primary key exists in table' }

/** ExecuteTransaction: reads of one moment, or writes that are done together. */
export class ExecuteTransaction {
  readonly #reads: StatementReads
  readonly #transactions: Transactions

  constructor(reads: StatementReads, transactions: Transactions) {
    this.#reads = reads
    this.#transactions = transactions
  }

  async execute(input: Input): Promise<Buffer> {
    const request = transactionInput(input)
    const parameters = request.statements.map(parametersOf)
    const statements = request.statements.map((each, i) =>
      inStatement(i, () => compiled(each, parameters[i] as ReturnType<typeof parametersOf>)),
    )
    const selects = statements.filter((statement) => statement.kind === 'select')
    if (selects.length === statements.length) return this.#read(selects, request.show)
    const writes = statements.filter((statement) => statement.kind !== 'select')
    if (selects.length > 0) {
      throw validation('ExecuteTransaction API does not support both read and write operations in the same request.')
    }
    const { token } = request
    const digest = () => digestOf(['ExecuteTransaction', input.TransactStatements])
    return this.#write(request, writes, token === undefined ? undefined : { text: token, digest: digest() })
  }

  async #read(selects: readonly Select[], show: ShowCapacity): Promise<Buffer> {
    const gets = this.#resolve(selects, (select): TransactGet => {
      if (select.index !== undefined)
        throw new ValidationError('Reads on indices are not supported within transactions.')
      const { row, key } = this.#reads.itemOf(select, keyRequired)
      return { table: row.name, key }
    })
    const found = await this.#transactions.get(gets)
    refuseBytes(found.reduce((bytes, stored) => bytes + (stored?.size ?? 0), 0))
    const units = gets.map(({ table }, i) => [table, transactionFactor * readUnits(found[i]?.size ?? 0, true)] as const)
    const responses = selects.map(({ columns }, i) => {
      const stored = found[i]
      return members([['Item', stored && shownItem(columns, stored)]])
    })
    return members([
      ['Responses', array(responses)],
      ['ConsumedCapacity', capacities(show, units, 'ReadCapacityUnits')],
    ])
  }

  async #write(
    { statements, show }: ManyInput,
    writes: readonly Write[],
    token: ClientToken | undefined,
  ): Promise<Buffer> {
    const actions = this.#resolve(writes, (write, row, i) => actionOf(write, row, statements[i] as StatementInput))
    const done = await this.#transactions.write(actions, token)
    const consumed =
      'repeated' in done
        ? capacities(show, done.repeated, 'ReadCapacityUnits')
        : capacities(show, show === 'NONE' ? [] : writtenUnits(actions, done.written), 'WriteCapacityUnits')
    return members([
      ['Responses', array([])],
      ['ConsumedCapacity', consumed],
    ])
  }

  /**
   * What the statements are to their tables. A fault of a statement ends the request; a table that is not there and a key
   * that does not fit cancel the transaction, and every statement with one is named.
   */
  #resolve<S extends Select | Write, T>(
    statements: readonly S[],
    resolve: (statement: S, row: TableRow, index: number) => T,
  ): T[] {
    const reasons: (CancellationReason | undefined)[] = statements.map(() => undefined)
    const resolved: T[] = []
    statements.forEach((statement, i) => {
      const row = this.#reads.find(statement.kind === 'exists' ? statement.select.table : statement.table)
      if (!row) {
        reasons[i] = { Code: 'ResourceNotFound', Message: 'Requested resource not found' }
        return
      }
      try {
        resolved.push(inStatement(i, () => resolve(statement, row, i)))
      } catch (error) {
        if (!(error instanceof ActionFault)) throw error
        reasons[i] = error.reason
      }
    })
    if (reasons.some((reason) => reason !== undefined)) throw cancelled(reasons)
    return resolved
  }
}

type Write = WriteStatement | Exists

/** A fault that is a reason of a transaction's cancellation, and not one of the request. */
class ActionFault extends Error {
  constructor(readonly reason: CancellationReason) {
    super('a reason of a cancellation')
  }
}

/** Runs a check whose failure cancels the transaction. */
function orCancel<T>(check: () => T): T {
  try {
    return check()
  } catch (error) {
    throw new ActionFault(reasonOf(error))
  }
}

/** Says which statement a fault is in; a key of a wrong type is one of its action. */
function inStatement<T>(index: number, run: () => T): T {
  try {
    return run()
  } catch (thrown) {
    if (thrown instanceof KeyTypeError)
      throw new ActionFault({ Code: 'ValidationError', Message: 'The provided key element does not match the schema' })
    const error = asAwsError(thrown, 'ExecuteTransaction')
    if (!(error instanceof AwsError) || !error.type.endsWith('#ValidationException')) throw error
    throw validation(`Validation failed in TransactStatements[${index}]: ${error.message}`)
  }
}

function actionOf(write: Write, { name: table, schema }: TableRow, { returnItem }: StatementInput): TransactAction {
  if (write.kind === 'insert') {
    orCancel(() => keyOf(write.item, schema))
    const condition = { kind: 'attribute_not_exists', path: [schema.hash.name] } as const
    return { kind: 'put', table, item: write.item, size: write.size, condition, failure: duplicate }
  }
  if (write.kind === 'exists') return checkOf(write.select, table, schema, returnItem)
  if (write.returning !== undefined)
    throw new ValidationError('RETURNING clause is not supported in ExecuteTransaction.')
  const equality = keyEquality(write.where, schema)
  const key = orCancel(() => {
    const whole = keyOf(equality.key, schema, true)
    requireOneItem(equality, schema)
    if (write.kind === 'update') refuseKeyUpdates(write.update, schema)
    return whole
  })
  const condition = guardOf(write.kind, equality, schema)
  const common = { table, key, returnItem, ...(condition ? { condition } : {}) }
  return write.kind === 'update' ? { kind: 'update', ...common, update: write.update } : { kind: 'delete', ...common }
}

function checkOf(select: Select, table: string, schema: KeySchema, returnItem: boolean): TransactAction {
  if (select.index !== undefined) throw new ValidationError('Operations on indices are not supported in transactions')
  const { key, condition } = keyEquality(select.where, schema)
  if (!isWholeKey(key, schema) || !condition)
    throw new ValidationError('EXISTS() must contain a single item read with additional condition')
  return { kind: 'check', table, key: orCancel(() => keyOf(key, schema, true)), condition, returnItem }
}
