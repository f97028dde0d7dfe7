import type { Random } from '../../simulation/random.js'
import { Renderer } from '../naive/render.js'
import type { Step } from './steps.js'
import type { ModelTable, Write } from './table.js'

/** The request that a write is; its expressions in one of their many spellings. */
export function writeRequest(table: ModelTable, write: Write, random: Random): readonly [string, object] {
  const renderer = new Renderer(random)
  const changes = write.do === 'update' && write.changes.length > 0 ? write.changes : undefined
  const expressions = {
    ...(changes ? { UpdateExpression: renderer.update(changes) } : {}),
    ...(write.condition ? { ConditionExpression: renderer.condition(write.condition) } : {}),
  }
  const common = {
    TableName: table.name,
    ...expressions,
    ...renderer.placeholders,
    ReturnValues: write.returns,
    ReturnConsumedCapacity: 'TOTAL',
    ...(write.shows ? { ReturnValuesOnConditionCheckFailure: 'ALL_OLD' } : {}),
  }
  if (write.do === 'put') return ['PutItem', { ...common, Item: { ...write.attributes, ...write.key } }]
  return [write.do === 'update' ? 'UpdateItem' : 'DeleteItem', { ...common, Key: write.key }]
}

/** A transaction of writes; placeholders belong to each action. */
export function transactRequest(
  table: ModelTable,
  writes: readonly Write[],
  token: string | undefined,
  random: Random,
): readonly [string, object] {
  const kinds = { put: 'Put', update: 'Update', delete: 'Delete', check: 'ConditionCheck' } as const
  const TransactItems = writes.map((write) => {
    const {
      ReturnValues: _,
      ReturnConsumedCapacity: __,
      ...action
    } = writeRequest(table, write, random)[1] as Record<string, unknown>
    return { [kinds[write.do]]: action }
  })
  return ['TransactWriteItems', { TransactItems, ...(token ? { ClientRequestToken: token } : {}) }]
}

export function batchRequest(table: ModelTable, writes: readonly Write[]): readonly [string, object] {
  const requests = writes.map((write) =>
    write.do === 'put'
      ? { PutRequest: { Item: { ...write.attributes, ...write.key } } }
      : { DeleteRequest: { Key: write.key } },
  )
  return ['BatchWriteItem', { RequestItems: { [table.name]: requests } }]
}

export function queryRequest(table: ModelTable, step: Extract<Step, { do: 'query' }>, random: Random): object {
  const renderer = new Renderer(random)
  const filter = step.filter && renderer.condition(step.filter)
  const values: Record<string, unknown> = { ...renderer.values, ':pk': step.pk }
  let text = random.chance(0.5) ? 'pk = :pk' : '(:pk = pk)'
  if (step.range) {
    const { operator, values: bounds } = step.range
    for (const [i, bound] of bounds.entries()) values[`:sk${i}`] = bound
    const range = operator === 'BETWEEN' ? 'sk BETWEEN :sk0 AND :sk1' : `sk ${operator} :sk0`
    text = random.chance(0.5) ? `${text} AND ${range}` : `${range} and ${text}`
  }
  return {
    TableName: table.name,
    KeyConditionExpression: text,
    ...(filter ? { FilterExpression: filter } : {}),
    ...renderer.placeholders,
    ExpressionAttributeValues: values,
    ScanIndexForward: !step.reverse,
    ...(step.limit ? { Limit: step.limit } : {}),
  }
}

export function scanRequest(table: ModelTable, step: Extract<Step, { do: 'scan' }>, random: Random): object {
  const renderer = new Renderer(random)
  const filter = step.filter && renderer.condition(step.filter)
  return {
    TableName: table.name,
    ...(filter ? { FilterExpression: filter } : {}),
    ...renderer.placeholders,
    ...(step.limit ? { Limit: step.limit } : {}),
  }
}
