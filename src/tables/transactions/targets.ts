import { validation } from '../aws-error.js'
import type { Catalogue, Table } from '../catalogue.js'
import { evaluateCondition } from '../expressions/index.js'
import { itemKey } from '../item-row.js'
import { refuseKeyUpdates, updatedItem } from '../update-decision.js'
import { attributeOf, type Item, type KeySchema, keyOf } from '../values/index.js'
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
}

/**
 * The rows of a transaction's actions, held against their tables in AWS's order: the tables must be there, no key may be
 * empty, no two actions may be on one item; then the first action with a wrong key cancels the transaction.
 */
function keyAttributesOf(named: readonly Named[], check: (index: number) => void): Item[] {
  for (const { table, given } of named) refuseEmptyKeys(given, table.row.schema)
  let fault: { readonly index: number; readonly reason: CancellationReason } | undefined
  const seen = new Set<string>()
  const keys = named.map(({ table: { row }, given, isKey }, index) => {
    try {
      const key = keyOf(given, row.schema, isKey)
      const place = itemKey(row.id, row.schema, key).row.toString('latin1')
      if (seen.has(place)) throw new SecondOperation()
      seen.add(place)
      check(index)
      return key
    } catch (error) {
      if (error instanceof SecondOperation)
        throw validation('Transaction request cannot include multiple operations on one item')
      fault ??= { index, reason: reasonOf(error) }
      return empty
    }
  })
  if (fault) throw cancelled(named.map((_, index) => (index === fault?.index ? fault.reason : undefined)))
  return keys
}

class SecondOperation extends Error {}

/** An empty value of a key is a fault of the request, other faults of keys are one of the action. */
function refuseEmptyKeys(given: Item, schema: KeySchema): void {
  for (const attribute of [schema.hash, schema.range]) {
    const value = attribute && attributeOf(given, attribute.name)
    const type =
      value &&
      ('S' in value ? (value.S === '' ? 'string' : undefined) : 'B' in value && value.B === '' ? 'binary' : undefined)
    if (!attribute || !type || !(attribute.type in (value as object))) continue
    throw validation(
      'One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty ' +
        `${type} value. Key: ${attribute.name}`,
    )
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
  const keys = keyAttributesOf(named, () => {})
  return named.map(({ table }, i) => ({ table, keyAttributes: keys[i] as Item, decide: () => keep }))
}

/** The targets of actions; `reasons` gets what each has against the transaction when it is decided on. */
export function actionTargets(
  actions: readonly TransactAction[],
  catalogue: Catalogue,
  reasons: (CancellationReason | undefined)[],
): Target[] {
  const named = actions.map((action) => ({
    table: tableOf(catalogue, action.table),
    given: action.kind === 'put' ? action.item : action.key,
    isKey: action.kind !== 'put',
  }))
  const keys = keyAttributesOf(named, (index) => {
    const action = actions[index] as TransactAction
    if (action.kind === 'update') refuseKeyUpdates(action.update, (named[index] as Named).table.row.schema)
  })
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
