import type { Condition, Projection, Update } from '../expressions/index.js'
import type { Item } from '../values/index.js'

interface OneItem {
  /** Name of its table. */
  readonly table: string
  /** All must hold for the whole transaction. */
  readonly condition?: Condition
  /** Whether the reason of a failed condition shows the item. */
  readonly returnItem?: boolean
  /** What a failed condition is called, where that is not ConditionalCheckFailed. */
  readonly failure?: CancellationReason
}

/** What a transaction does to one item; values are checked, keys are not yet held against the table's. */
export type TransactAction =
  | (OneItem & { readonly kind: 'put'; readonly item: Item; readonly size: number })
  | (OneItem & { readonly kind: 'update'; readonly key: Item; readonly update: Update | undefined })
  | (OneItem & { readonly kind: 'delete'; readonly key: Item })
  | (OneItem & { readonly kind: 'check'; readonly key: Item; readonly condition: Condition })

export interface TransactGet {
  readonly table: string
  readonly key: Item
  readonly projection?: Projection
}

/** Why an action cancels its transaction, as AWS answers it. `None` is of one that would have gone through. */
export interface CancellationReason {
  readonly Code:
    | 'None'
    | 'ConditionalCheckFailed'
    | 'DuplicateItem'
    | 'ItemCollectionSizeLimitExceeded'
    | 'ResourceNotFound'
    | 'TransactionConflict'
    | 'ValidationError'
  readonly Message?: string
  readonly Item?: Item
}
