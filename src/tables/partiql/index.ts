import type { Commit } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { Writer } from '../items/writer.js'
import type { Input } from '../requests/request.js'
import type { Transactions } from '../transactions/index.js'
import { BatchExecuteStatement } from './batch-execute-statement.js'
import { ExecuteStatement } from './execute-statement.js'
import { ExecuteTransaction } from './execute-transaction.js'
import { StatementReads } from './statement-reads.js'
import { StatementWrites } from './statement-writes.js'

export interface StatementOptions {
  readonly storage: Storage
  readonly commit: Commit
  readonly catalogue: Catalogue
  readonly writer: Writer
  readonly transactions: Transactions
}

/** The operations that take PartiQL, by their names. */
export function statementOperations({
  storage,
  commit,
  catalogue,
  writer,
  transactions,
}: StatementOptions): Readonly<Record<string, (input: Input) => Promise<Buffer>>> {
  const reads = new StatementReads(storage, commit, catalogue)
  const writes = new StatementWrites(catalogue, writer)
  const one = new ExecuteStatement(reads, writes)
  const batch = new BatchExecuteStatement(reads, writes)
  const transaction = new ExecuteTransaction(reads, transactions)
  return {
    ExecuteStatement: (input) => one.execute(input),
    BatchExecuteStatement: (input) => batch.execute(input),
    ExecuteTransaction: (input) => transaction.execute(input),
  }
}
