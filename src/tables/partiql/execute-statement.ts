import { validation } from '../requests/aws-error.js'
import { capacity } from '../requests/capacity.js'
import { doubleJson } from '../requests/double-json.js'
import { array, members } from '../requests/json-bytes.js'
import type { Input } from '../requests/request.js'
import { statementDigest } from './next-token.js'
import { compiled, type ExecuteInput, executeInput, parametersOf } from './requests.js'
import type { StatementReads } from './statement-reads.js'
import type { StatementWrites, WriteStatement } from './statement-writes.js'

export const existsOutsideTransaction = 'EXISTS can only be used in ExecuteTransaction write requests.'

/** ExecuteStatement: a parsed request in, the answer's bytes out. */
export class ExecuteStatement {
  readonly #reads: StatementReads
  readonly #writes: StatementWrites

  constructor(reads: StatementReads, writes: StatementWrites) {
    this.#reads = reads
    this.#writes = writes
  }

  async execute(input: Input): Promise<Buffer> {
    const request = executeInput(input)
    const parameters = parametersOf(request)
    const statement = compiled(request, parameters)
    if (statement.kind === 'exists') throw validation(existsOutsideTransaction)
    if (statement.kind !== 'select') return this.#write(statement, request)
    const { limit, consistent, token, show } = request
    const digest = statementDigest(statement.table, request.statement, parameters)
    const read = await this.#reads.select(statement, { limit, consistent, token, show, digest })
    return members([
      ['Items', array(read.items)],
      ['NextToken', json(read.token)],
      ['LastEvaluatedKey', json(read.lastKey)],
      ['ConsumedCapacity', read.consumed && doubleJson(read.consumed)],
    ])
  }

  async #write(statement: WriteStatement, { returnItem, show }: ExecuteInput): Promise<Buffer> {
    const { row, run } = this.#writes.prepare(statement)
    const { returned, units } = await run(returnItem)
    const used = show === 'NONE' ? undefined : units()
    const consumed = used && capacity(show, row.name, used.table, used.indexes)
    return members([
      ['Items', array(returned ? [returned] : [])],
      ['ConsumedCapacity', consumed && doubleJson(consumed)],
    ])
  }
}

const json = (value: string | object | undefined): Buffer | undefined =>
  value === undefined ? undefined : Buffer.from(JSON.stringify(value))
