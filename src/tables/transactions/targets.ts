import type { Catalogue, Table } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { evaluateCondition } from '../expressions/index.js'
import { checkIndexedItem, checkIndexKeysOfUpdate } from '../indexes/index.js'
import { itemKey } from '../items/item-row.js'
import type { Present } from '../items/present.js'
import { refuseKeyUpdates, updateDecision } from '../items/update-decision.js'
import type { Decision, Target } from '../items/writer.js'
import { validation } from '../requests/aws-error.js'
import { refuseKeyPathsOfWrite, refusePathsInKeys } from '../requests/key-paths.js'
import { type Item, keyOf } from '../values/index.js'
import type { CancellationReason, TransactAction, TransactGet } from './actions.js'
import { cancelled, reasonOf } from './cancellation.js'

const empty: Item = {}
const keep: Decision = { kind: 'keep' }
const refuse: Decision = { kind: 'refuse', returnItem: false }

interface Named {
  readonly table: Table
  readonly action: TransactAction | (TransactGet & { readonly kind: 'get' })
}

type KeyOrReason = { readonly key: Item } | { readonly reason: CancellationReason }

/**
 * The keys of a transaction's actions, held against their tables as AWS does it: no key may be empty, no two actions may be
 * on one item; then the first action that its table cannot take cancels the transaction, before any condition is looked at.
 */
function keysOf(named: readonly Named[]): Item[] {
  const keys = named.map(keyOrReason)
  const seen = new Set<string>()
  keys.forEach((each, i) => {
    if (!('key' in each)) return
    const { id, schema } = (named[i] as Named).table.row
    const place = itemKey(id, schema, each.key).row.toString('latin1')
    if (seen.has(place)) throw validation('Transaction request cannot include multiple operations on one item')
    seen.add(place)
  })
  const wrong = keys.findIndex((each) => 'reason' in each)
  return keys.map((each) => {
    if ('key' in each) return each.key
    throw cancelled(keys.map((_, i) => (i === wrong ? each.reason : undefined)))
  })
}

function keyOrReason({ table: { row }, action }: Named): KeyOrReason {
  try {
    if (action.kind === 'put') {
      const key = keyOf(action.item, row.schema)
      refuseKeyPathsOfWrite(row, action)
      checkIndexedItem(row, action)
      return { key }
    }
    const key = keyOf(action.key, row.schema, true)
    if (action.kind === 'get') refusePathsInKeys(action.projection?.paths ?? [], row)
    else if (action.kind === 'update' && action.update) {
      refuseKeyUpdates(action.update, row.schema)
      checkIndexKeysOfUpdate(row, action.update)
      refuseKeyPathsOfWrite(row, action)
    } else refuseKeyPathsOfWrite(row, action)
    return { key }
  } catch (error) {
    return { reason: reasonOf(error) }
  }
}

/** The targets of gets. Throws ResourceNotFoundException, ValidationException, TransactionCanceledException. */
export function getTargets(gets: readonly TransactGet[], catalogue: Catalogue): Target[] {
  const named = gets.map((get): Named => ({ table: catalogue.requested(get.table), action: { ...get, kind: 'get' } }))
  return keysOf(named).map((keyAttributes, i) => ({
    table: (named[i] as Named).table,
    keyAttributes,
    decide: () => keep,
  }))
}

/** The targets of actions; `reasons` gets what each has against the transaction when it is decided on. Throws as getTargets. */
export function actionTargets(
  actions: readonly TransactAction[],
  catalogue: Catalogue,
  reasons: (CancellationReason | undefined)[],
): Target[] {
  const named = actions.map((action): Named => ({ table: catalogue.requested(action.table), action }))
  const keys = keysOf(named)
  return actions.map((action, i) => {
    const { table } = named[i] as Named
    const keyAttributes = keys[i] as Item
    const decide = (before: Present): Decision => {
      try {
        if (!action.condition || evaluateCondition(action.condition, before.item() ?? empty))
          return decisionOf(action, table.row, keyAttributes, before)
        reasons[i] = failureOf(action, before)
      } catch (error) {
        reasons[i] = reasonOf(error)
      }
      return refuse
    }
    return { table, keyAttributes, decide }
  })
}

function decisionOf(action: TransactAction, row: TableRow, key: Item, before: Present): Decision {
  switch (action.kind) {
    case 'put':
      return { kind: 'put', item: action.item, size: action.size }
    case 'update': {
      const { decision } = updateDecision(action.update, key, before)
      if (row.indexes && decision.kind === 'put') checkIndexedItem(row, decision)
      return decision
    }
    case 'delete':
      return { kind: 'delete' }
    case 'check':
      return keep
  }
}

function failureOf(action: TransactAction, before: Present): CancellationReason {
  const item = action.returnItem ? before.item() : undefined
  const failure = action.failure ?? {
    Code: 'ConditionalCheckFailed',
    Message: 'The conditional request failed',
  }
  return item ? { ...failure, Item: item } : failure
}
