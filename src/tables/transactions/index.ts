export type { CancellationReason, TransactAction, TransactGet } from './actions.js'
export { type ClientToken, digestOf } from './tokens.js'
export { TransactionOperations } from './transaction-operations.js'
export { actionsMax, type Transacted, Transactions, transactionFactor } from './transactions.js'
