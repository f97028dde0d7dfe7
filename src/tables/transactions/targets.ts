import { validation } from '../aws-error.js'
import type { Catalogue, Table } from '../catalogue.js'
import { evaluateCondition, type Update } from '../expressions/index.js'
import { itemKey } from '../item-row.js'
import { refuseKeyUpdates, updatedItem } from '../update-decision.js'
import { attributeOf, checkKeyValue, type Item, type KeySchema, keyOf } from '../values/index.js'
import { type Decision, type Present, resourceNotFound, type Target } from '../writer.js'
import type { CancellationReason, TransactAction, TransactGet } from './actions.js'
import { cancelled, reasonOf } from './cancellation.js'

const empty: Item = {}
const keep: Decision = { kind: 'keep' }
const refuse: Decision = { kind: 'refuse', returnItem: false }

interface Named {
  readonly table: Table
  /** An item, or a key. */
  readonly given: Item
  readonly isKey: boolean
  readonly update?: Update | undefined
}

type KeyOrReason = { readonly key: Item } | { readonly reason: CancellationReason }

/**
 * The keys of a transaction's actions, held against their tables as AWS does it: no key may be empty, no two actions may be
 * on one item; then the first action with a wrong key cancels the transaction, before any condition is looked at.
 */
function keysOf(named: readonly Named[]): Item[] {
  for (const { table, given } of named) refuseEmptyKeys(given, table.row.schema)
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

function keyOrReason({ table, given, isKey, update }: Named): KeyOrReason {
  const { schema } = table.row
  try {
    const key = keyOf(given, schema, isKey)
    refuseKeyUpdates(update, schema)
    return { key }
  } catch (error) {
    return { reason: reasonOf(error) }
  }
}

/** An empty value of a key is a fault of the request, other faults of keys are one of the action. */
function refuseEmptyKeys(given: Item, { hash, range }: KeySchema): void {
  for (const attribute of range ? [hash, range] : [hash]) {
    const value = attributeOf(given, attribute.name)
    const isEmpty = value && (('S' in value && value.S === '') || ('B' in value && value.B === ''))
    if (isEmpty && attribute.type in value) checkKeyValue(attribute, value, 'hash')
  }
}

function tableOf(catalogue: Catalogue, name: string): Table {
  const table = catalogue.find(name)
  if (!table) throw resourceNotFound()
  return table
}

/** The targets of gets. Throws ResourceNotFoundException, ValidationException, TransactionCanceledException. */
export function getTargets(gets: readonly TransactGet[], catalogue: Catalogue): Target[] {
  const named = gets.map(({ table, key }) => ({ table: tableOf(catalogue, table), given: key, isKey: true }))
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
  const named = actions.map((action): Named => {
    const table = tableOf(catalogue, action.table)
    if (action.kind === 'put') return { table, given: action.item, isKey: false }
    return { table, given: action.key, isKey: true, update: action.kind === 'update' ? action.update : undefined }
  })
  const keys = keysOf(named)
  return actions.map((action, i) => {
    const keyAttributes = keys[i] as Item
    const decide = (before: Present): Decision => {
      try {
        if (!action.condition || evaluateCondition(action.condition, before.item() ?? empty))
          return decisionOf(action, keyAttributes, before)
        reasons[i] = failureOf(action, before)
      } catch (error) {
        reasons[i] = reasonOf(error)
      }
      return refuse
    }
    return { table: (named[i] as Named).table, keyAttributes, decide }
  })
}

function decisionOf(action: TransactAction, key: Item, before: Present): Decision {
  switch (action.kind) {
    case 'put':
      return { kind: 'put', item: action.item, size: action.size }
    case 'update': {
      const { item, size } = updatedItem(action.update, key, before)
      return { kind: 'put', item, size }
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
