export type { CancellationReason, TransactAction, TransactGet } from './actions.js'
export { actionsMax, Transactions, transactionBytesMax } from './transactions.js'
