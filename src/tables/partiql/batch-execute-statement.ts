import { MillraceError } from '../../runtime/index.js'
import { AwsError, asAwsError, validation } from '../requests/aws-error.js'
import { addIndexUnits, capacity, readUnits, type ShowCapacity } from '../requests/capacity.js'
import { doubleJson } from '../requests/double-json.js'
import { array, members } from '../requests/json-bytes.js'
import type { Input } from '../requests/request.js'
import { existsOutsideTransaction } from './execute-statement.js'
import { batchInput, compiled, parametersOf, type StatementInput } from './requests.js'
import type { Statement } from './statement.js'
import { type StatementReads, shownItem } from './statement-reads.js'
import type { StatementWrites, WrittenUnits } from './statement-writes.js'

const keyRequired = 'Select statements within BatchExecuteStatement must specify the primary key in the where clause.'

/** What became of one statement. */
interface Outcome {
  /** Undefined when the statement was refused before it came to its table. */
  readonly table: string | undefined
  readonly item?: Buffer | undefined
  readonly units?: () => WrittenUnits
  readonly error?: object
}

/** A statement that its table can run. */
interface Runnable {
  readonly table: string
  run(): Promise<{ readonly item: Buffer | undefined; readonly units: () => WrittenUnits }>
}

/** BatchExecuteStatement: every statement is for itself, and the batch succeeds whatever becomes of them. */
export class BatchExecuteStatement {
  readonly #reads: StatementReads
  readonly #writes: StatementWrites

  constructor(reads: StatementReads, writes: StatementWrites) {
    this.#reads = reads
    this.#writes = writes
  }

  async execute(input: Input): Promise<Buffer> {
    const { statements, show } = batchInput(input)
    const compiledOnes = statements.map((statement) => attempt(() => compiled(statement, parametersOf(statement))))
    refuseMixed(compiledOnes.flatMap(({ value }) => value ?? []))
    const outcomes = await Promise.all(
      compiledOnes.map((each, i): Promise<Outcome> | Outcome => {
        const { value, thrown } = each.value ? this.#attempt(each.value, statements[i] as StatementInput) : each
        return value ? run(value) : { table: undefined, error: errorOf(thrown) }
      }),
    )
    const consumed = show === 'NONE' ? undefined : consumedBy(outcomes, show)
    return members([
      ['Responses', array(outcomes.map(responseOf))],
      ['ConsumedCapacity', consumed && doubleJson(consumed)],
    ])
  }

  #attempt(statement: Statement, input: StatementInput): Attempt<Runnable> {
    return attempt(() => this.#prepare(statement, input))
  }

  #prepare(statement: Statement, { consistent, returnItem }: StatementInput): Runnable {
    if (statement.kind === 'exists') throw validation(existsOutsideTransaction)
    const { table } = statement
    if (statement.kind === 'select') {
      const { row, key } = this.#reads.itemOf(statement, keyRequired)
      return {
        table,
        run: async () => {
          const stored = await this.#reads.get(row, key)
          const item = stored && shownItem(statement.columns, stored)
          return { item, units: () => ({ table: readUnits(stored?.size ?? 0, consistent), indexes: undefined }) }
        },
      }
    }
    const write = this.#writes.prepare(statement)
    return {
      table,
      run: async () => {
        const { returned, units } = await write.run(returnItem)
        return { item: returned, units }
      },
    }
  }
}

type Attempt<T> = { readonly value: T; readonly thrown?: never } | { readonly value?: never; readonly thrown: unknown }

function attempt<T>(what: () => T): Attempt<T> {
  try {
    return { value: what() }
  } catch (thrown) {
    return { thrown }
  }
}

function refuseMixed(statements: readonly Statement[]): void {
  const reads = statements.filter(({ kind }) => kind === 'select').length
  if (reads > 0 && reads < statements.length)
    throw validation('Read and write requests together in the same batch is not supported.')
}

async function run({ table, run: start }: Runnable): Promise<Outcome> {
  try {
    return { table, ...(await start()) }
  } catch (error) {
    return { table, error: errorOf(error) }
  }
}

/** What the statements took together, table by table. */
function consumedBy(outcomes: readonly Outcome[], show: ShowCapacity): (object | undefined)[] {
  const sums = new Map<string, WrittenUnits>()
  for (const { table, units } of outcomes) {
    if (table === undefined || !units) continue
    const sum = sums.get(table)
    const used = units()
    sums.set(table, { table: (sum?.table ?? 0) + used.table, indexes: addIndexUnits(sum?.indexes, used.indexes) })
  }
  return [...sums].map(([table, used]) => capacity(show, table, used.table, used.indexes))
}

function responseOf({ table, item, error }: Outcome): Buffer {
  return members([
    ['Error', error && Buffer.from(JSON.stringify(error))],
    ['TableName', table === undefined ? undefined : Buffer.from(JSON.stringify(table))],
    ['Item', item],
  ])
}

const codes: Readonly<Record<string, string>> = {
  ValidationException: 'ValidationError',
  SerializationException: 'ValidationError',
  ConditionalCheckFailedException: 'ConditionalCheckFailed',
  DuplicateItemException: 'DuplicateItem',
  ResourceNotFoundException: 'ResourceNotFound',
  ItemCollectionSizeLimitExceededException: 'ItemCollectionSizeLimitExceeded',
  ProvisionedThroughputExceededException: 'ProvisionedThroughputExceeded',
  RequestLimitExceeded: 'RequestLimitExceeded',
}

/** A fault of one statement with AWS's short code. Rethrows what would befall every statement. */
function errorOf(thrown: unknown): object {
  const error = asAwsError(thrown, 'BatchExecuteStatement')
  if (error instanceof MillraceError && error.code === 'TOO_BUSY')
    return { Code: 'ThrottlingError', Message: `${error.message} ${error.remedy}` }
  if (!(error instanceof AwsError)) throw error
  const name = error.type.slice(error.type.indexOf('#') + 1)
  const code = Object.hasOwn(codes, name) ? codes[name] : undefined
  if (code === undefined) throw error
  return { Code: code, Message: error.message, ...error.extra }
}
