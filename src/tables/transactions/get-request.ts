import { ExpressionContext, parseProjection } from '../expressions/index.js'
import { type ShowCapacity, showCapacity } from '../requests/capacity.js'
import {
  Constraints,
  type Input,
  object,
  placeholders,
  refuseLonePlaceholders,
  tableName,
  text,
  withoutValues,
} from '../requests/request.js'
import { checkItem } from '../values/index.js'
import type { TransactGet } from './actions.js'
import { transactItems } from './write-request.js'

export interface GetRequest {
  readonly gets: readonly TransactGet[]
  readonly show: ShowCapacity
}

/** A request of TransactGetItems, checked as far as it can be without its tables, in AWS's order. */
export function getRequest(input: Input): GetRequest {
  const constraints = new Constraints()
  const show = showCapacity(input, constraints)
  const given = transactItems(input, constraints).map((item, i) => {
    const member = `transactItems.${i + 1}.member.get`
    const get = object(item, 'Get')
    constraints.check(get !== undefined, member, undefined, 'Member must not be null')
    if (!get) return { get: {}, table: '' }
    const hasKey = get.Key !== undefined && get.Key !== null
    constraints.check(hasKey, `${member}.key`, undefined, 'Member must not be null')
    return { get, table: tableName(get, constraints, { member: `${member}.tableName` }) }
  })
  constraints.done()
  return { gets: given.map(({ get, table }) => readGet(get, table)), show }
}

function readGet(get: Input, table: string): TransactGet {
  refuseLonePlaceholders(withoutValues(get), ['ProjectionExpression'])
  const { item: key } = checkItem(get.Key)
  const context = new ExpressionContext(placeholders(withoutValues(get)))
  const projectionText = text(get, 'ProjectionExpression')
  const projection = projectionText === undefined ? undefined : parseProjection(projectionText, context)
  context.checkAllUsed()
  return { table, key, ...(projection ? { projection } : {}) }
}
