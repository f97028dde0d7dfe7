import { type Condition, ExpressionContext, parseCondition, parseUpdate, type Update } from '../expressions/index.js'
import { showCollectionMetrics } from '../indexes/index.js'
import { validation } from '../requests/aws-error.js'
import { type ShowCapacity, showCapacity } from '../requests/capacity.js'
import {
  Constraints,
  type Input,
  list,
  object,
  oneOf,
  placeholders,
  refuseLonePlaceholders,
  tableName,
  text,
} from '../requests/request.js'
import { checkItem, type Item, itemBytesMax } from '../values/index.js'
import type { TransactAction } from './actions.js'
import { actionsMax, transactionBytesMax } from './transactions.js'

const tokenLengthMax = 36

export interface WriteRequest {
  readonly actions: readonly TransactAction[]
  readonly token: string | undefined
  readonly show: ShowCapacity
  readonly showMetrics: boolean
}

/** A request of TransactWriteItems, checked as far as it can be without its tables, in AWS's order. */
export function writeRequest(input: Input): WriteRequest {
  const constraints = new Constraints()
  const token = text(input, 'ClientRequestToken')
  checkToken(token, constraints)
  const show = showCapacity(input, constraints)
  const showMetrics = showCollectionMetrics(input, constraints)
  const items = transactItems(input, constraints)
  const given = items.map((item, i) => givenActions(item, `transactItems.${i + 1}.member`, constraints))
  constraints.done()
  let bytes = 0
  const actions = given.map((of) => {
    const { action, size } = readAction(of)
    bytes += size
    return action
  })
  refuseBytes(bytes)
  return { actions, token, show, showMetrics }
}

function checkToken(token: string | undefined, constraints: Constraints): void {
  constraints.check(
    token === undefined || token.length <= tokenLengthMax,
    'clientRequestToken',
    token,
    `Member must have length less than or equal to ${tokenLengthMax}`,
  )
  constraints.check(token !== '', 'clientRequestToken', token, 'Member must have length greater than or equal to 1')
}

/** TransactItems of a request: 1 to 100. A missing element is one without an action. */
export function transactItems(input: Input, constraints: Constraints): readonly Input[] {
  const items = list(input, 'TransactItems')
  const member = 'transactItems'
  constraints.check(items !== undefined, member, undefined, 'Member must not be null')
  const count = items?.length ?? 1
  constraints.check(count >= 1, member, '[]', 'Member must have length greater than or equal to 1')
  // AWS shows all of the items here; their number says as much.
  constraints.check(
    count <= actionsMax,
    member,
    `[${count} items]`,
    `Member must have length less than or equal to ${actionsMax}`,
  )
  return (items ?? []).slice(0, actionsMax).map((item) => (item ?? {}) as Input)
}

export function refuseBytes(bytes: number): void {
  if (bytes > transactionBytesMax) throw validation('Transaction payload size cannot exceed 4 MB')
}

const kinds = ['ConditionCheck', 'Put', 'Delete', 'Update'] as const
type Kind = (typeof kinds)[number]

interface Given {
  readonly kind: Kind
  readonly input: Input
  readonly table: string
  readonly returnItem: boolean
}

/** The actions of one element: there should be one. Adds to the constraints. */
function givenActions(item: Input, member: string, constraints: Constraints): Given[] {
  return kinds.flatMap((kind) => {
    const input = object(item, kind)
    if (!input) return []
    const place = `${member}.${kind.charAt(0).toLowerCase()}${kind.slice(1)}`
    const require = (name: string) =>
      constraints.check(
        (input[name] ?? undefined) !== undefined,
        `${place}.${name.charAt(0).toLowerCase()}${name.slice(1)}`,
        undefined,
        'Member must not be null',
      )
    require(kind === 'Put' ? 'Item' : 'Key')
    const table = tableName(input, constraints, { member: `${place}.tableName` })
    if (kind === 'ConditionCheck') require('ConditionExpression')
    if (kind === 'Update') require('UpdateExpression')
    const returns = oneOf(
      input,
      'ReturnValuesOnConditionCheckFailure',
      `${place}.returnValuesOnConditionCheckFailure`,
      ['ALL_OLD', 'NONE'],
      constraints,
    )
    return [{ kind, input, table, returnItem: returns === 'ALL_OLD' }]
  })
}

/** An action, and the bytes that the request has for it. */
function readAction(given: readonly Given[]): { action: TransactAction; size: number } {
  const [only, ...others] = given
  if (!only) throw validation('Invalid Request: TransactWriteRequest should contain Delete or Put or Update request')
  if (others.length > 0) throw validation('TransactItems can only contain one of Check, Put, Update or Delete')
  const { kind, input, table, returnItem } = only
  refuseLonePlaceholders(
    input,
    kind === 'Update' ? ['UpdateExpression', 'ConditionExpression'] : ['ConditionExpression'],
  )
  const { item, size } = checkItem(kind === 'Put' ? input.Item : input.Key)
  if (kind === 'Put' && size > itemBytesMax) throw validation('Item size has exceeded the maximum allowed size')
  const context = new ExpressionContext(placeholders(input))
  const update = kind === 'Update' ? parseUpdate(text(input, 'UpdateExpression') as string, context) : undefined
  const conditionText = text(input, 'ConditionExpression')
  const condition =
    conditionText === undefined ? undefined : parseCondition('ConditionExpression', conditionText, context)
  context.checkAllUsed()
  const common = { table, returnItem, ...(condition ? { condition } : {}) }
  return { action: actionOf(kind, common, item, size, update), size: size + context.bytes }
}

type Common = Pick<TransactAction, 'table' | 'returnItem' | 'condition'>

function actionOf(kind: Kind, common: Common, item: Item, size: number, update: Update | undefined): TransactAction {
  switch (kind) {
    case 'Put':
      return { ...common, kind: 'put', item, size }
    case 'Update':
      return { ...common, kind: 'update', key: item, update }
    case 'Delete':
      return { ...common, kind: 'delete', key: item }
    case 'ConditionCheck':
      return { ...common, kind: 'check', key: item, condition: common.condition as Condition }
  }
}
