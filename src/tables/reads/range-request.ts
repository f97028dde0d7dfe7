import {
  type Condition,
  type ExpressionContext,
  type Projection,
  parseCondition,
  parseProjection,
} from '../expressions/index.js'
import type { Select } from '../indexes/index.js'
import { checkLegacy } from '../legacy/index.js'
import { counted, validation } from '../requests/aws-error.js'
import { showCapacity } from '../requests/capacity.js'
import {
  atMost,
  Constraints,
  checkTableName,
  flag,
  type Input,
  object,
  oneOf,
  tableName,
  text,
  whole,
} from '../requests/request.js'
import { checkItem, type Item, ValidationError } from '../values/index.js'

const segmentsMax = 1_000_000
const indexNameLengthMin = 3

/** What Query and Scan have in common. */
export function rangeCommon(input: Input, operation: 'Query' | 'Scan') {
  const constraints = new Constraints()
  const table = tableName(input, constraints)
  const index = text(input, 'IndexName')
  if (index !== undefined) checkTableName(index, 'indexName', constraints, indexNameLengthMin)
  const limit = atMost(input, 'Limit', 'limit', 2 ** 31 - 1, constraints)
  const select: Select | undefined = oneOf(
    input,
    'Select',
    'select',
    ['SPECIFIC_ATTRIBUTES', 'COUNT', 'ALL_ATTRIBUTES', 'ALL_PROJECTED_ATTRIBUTES'],
    constraints,
  )
  const show = showCapacity(input, constraints)
  checkLegacy(input, constraints)
  constraints.done()
  const projected = ['ProjectionExpression', 'AttributesToGet'].find((name) => (input[name] ?? undefined) !== undefined)
  const fault = faultOfSelect(select, index !== undefined, projected)
  if (fault !== undefined) throw validation(operation === 'Query' ? counted(fault) : fault)
  const consistent = flag(input, 'ConsistentRead') ?? false
  return { table, index, select, reading: { limit, show, countOnly: select === 'COUNT', consistent } }
}

/** How two conditions of a QueryFilter are joined is what AWS looks at first in a Query, and it answers that alone. */
export function refuseConditionalOperator(input: Input): void {
  const operator = text(input, 'ConditionalOperator')
  if (operator === undefined || operator === 'AND' || operator === 'OR') return
  if (Object.keys(object(input, 'QueryFilter') ?? {}).length < 2) return
  // ALL is AWS's word; what it takes is AND.
  throw validation('Failed to satisfy constraint: Member must satisfy enum value set: [ALL, OR]')
}

/** What is wrong with Select beside the rest, which AWS counts in a Query and not in a Scan. */
function faultOfSelect(
  select: Select | undefined,
  hasIndex: boolean,
  projected: string | undefined,
): string | undefined {
  if (select === 'ALL_PROJECTED_ATTRIBUTES' && !hasIndex)
    return 'ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName'
  if (select === 'SPECIFIC_ATTRIBUTES' && !projected)
    return 'Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES'
  if (select !== undefined && select !== 'SPECIFIC_ATTRIBUTES' && projected)
    return `Cannot specify the ${projected} when choosing to get ${select === 'COUNT' ? 'only the Count' : select}`
  return undefined
}

export function filterOf(input: Input, context: ExpressionContext): Condition | undefined {
  const filter = text(input, 'FilterExpression')
  return filter === undefined ? undefined : parseCondition('FilterExpression', filter, context)
}

export function projectionOf(input: Input, context: ExpressionContext): Projection | undefined {
  const projection = text(input, 'ProjectionExpression')
  return projection === undefined ? undefined : parseProjection(projection, context)
}

/** ExclusiveStartKey, each value for itself. AWS says whose fault it is, but for some. */
export function startItemOf(input: Input): Item | undefined {
  const given = object(input, 'ExclusiveStartKey')
  if (!given) return undefined
  try {
    return checkItem(given).item
  } catch (error) {
    if (!(error instanceof ValidationError) || error.variant !== 'validation' || isUnnamed.test(error.message))
      throw error
    throw validation(`The provided starting key is invalid: ${error.message}`)
  }
}

const isUnnamed = /contains duplicates|number set|numeric value|significant digits|number with magnitude/

export interface Segment {
  readonly segment: number | undefined
  readonly total: number | undefined
}

/** Segment and TotalSegments, each for itself. */
export function segmentOfScan(input: Input): Segment {
  const constraints = new Constraints()
  const total = whole(input, 'TotalSegments')
  const segment = whole(input, 'Segment')
  const check = (member: string, value: number | undefined, min: number, max: number) => {
    if (value === undefined) return
    constraints.check(value >= min, member, value, `Member must have value greater than or equal to ${min}`)
    constraints.check(value <= max, member, value, `Member must have value less than or equal to ${max}`)
  }
  check('totalSegments', total, 1, segmentsMax)
  check('segment', segment, 0, segmentsMax - 1)
  constraints.done()
  return { segment, total }
}

/** Both or none, and one of them. Throws ValidationException. */
export function refuseHalfSegment({ segment, total }: Segment): void {
  if (segment !== undefined && total === undefined) {
    throw validation(
      'The TotalSegments parameter is required but was not present in the request when Segment parameter is present',
    )
  }
  if (total !== undefined && segment === undefined) {
    throw validation(
      'The Segment parameter is required but was not present in the request when parameter TotalSegments is present',
    )
  }
  if (segment !== undefined && segment >= (total as number)) {
    throw validation(
      `The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: ${segment} is not less than TotalSegments: ${total}`,
    )
  }
}
