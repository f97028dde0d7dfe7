import type { Commit } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { Throttle } from '../control/throttle.js'
import {
  attributeConditionsOf,
  conditionPaths,
  ExpressionContext,
  type KeyConditions,
  readKeyCondition,
} from '../expressions/index.js'
import {
  conditionsOf,
  indexConditionsMax,
  mustFetch,
  partitionOf,
  refuseUnprojected,
  StartKey,
  segmentOf,
  targetOf,
} from '../indexes/index.js'
import { legacyKeyConditions, legacyReading, refuseMixed } from '../legacy/index.js'
import { validation } from '../requests/aws-error.js'
import { refusePathsInKeys } from '../requests/key-paths.js'
import { flag, type Input, placeholders, refuseLonePlaceholders, text, whole } from '../requests/request.js'
import { encodeKeyValue } from '../values/index.js'
import { PageCache } from './page-cache.js'
import { type Bounds, boundsOf, continueFrom, isInside } from './range-bounds.js'
import { RangeReader } from './range-reader.js'
import {
  filterOf,
  projectionOf,
  rangeCommon,
  refuseConditionalOperator,
  refuseHalfSegment,
  segmentOfScan,
  startItemOf,
} from './range-request.js'

/** Query and Scan: pages of a range of item rows, or of the entries of an index. */
export class RangeOperations {
  readonly #reader: RangeReader
  readonly #catalogue: Catalogue
  readonly pages: PageCache

  /** `cacheBytesMax`: what answers of Queries may take in memory. */
  constructor(storage: Storage, commit: Commit, catalogue: Catalogue, throttle: Throttle, cacheBytesMax: number) {
    this.pages = new PageCache(cacheBytesMax)
    commit.onRowsReturned((rows) => this.pages.returned(rows))
    this.#reader = new RangeReader(storage, commit, throttle, this.pages)
    this.#catalogue = catalogue
  }

  query(input: Input): Buffer | Promise<Buffer> {
    // In a Query AWS has other words for this than in a Scan.
    if ((whole(input, 'Limit') ?? 1) < 1) {
      throw validation(
        "1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
      )
    }
    refuseConditionalOperator(input)
    const common = rangeCommon(input, 'Query')
    refuseMixed('Query', input)
    refuseLonePlaceholders(input, ['KeyConditionExpression', 'FilterExpression', 'ProjectionExpression'])
    const legacy = legacyReading(input, 'QueryFilter')
    const startItem = startItemOf(input)
    const context = new ExpressionContext(placeholders(input))
    const keyText = text(input, 'KeyConditionExpression')
    if (keyText === undefined && (input.KeyConditions ?? undefined) === undefined)
      throw validation('Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.')
    const keyCondition = keyText === undefined ? undefined : readKeyCondition(keyText, context)
    const filter = filterOf(input, context) ?? legacy.filter
    const projection = projectionOf(input, context) ?? legacy.projection
    context.checkAllUsed()
    const found = keyCondition
      ? attributeConditionsOf(keyCondition)
      : legacyKeyConditions(input, common.index === undefined ? undefined : indexConditionsMax)
    const row = this.#catalogue.requested(common.table).row
    const target = targetOf(row, common.index, common.reading.consistent)
    const startKey = startItem && new StartKey(startItem, target, false)
    const conditions = conditionsOf(found, target, (attribute) => startKey?.check(attribute))
    const start = startKey?.row()
    const partition = partitionOf(target, Buffer.concat(conditions.hash.map(encodeKeyValue)))
    // Behind the key of an index lies that of the item, behind a range attribute of several the next of them.
    const range = boundsOf(partition, conditions, target.index !== undefined)
    if (startKey) refuseOutside(startKey, partition, range, conditions)
    refusePathsInKeys(projection?.paths ?? [], row)
    const filtered = filter ? conditionPaths(filter) : []
    for (const { name } of [...target.hash, ...target.range]) {
      if (filtered.some(([first]) => first === name))
        throw validation(
          `${legacy.filter ? 'QueryFilter' : 'Filter Expression'} can only contain non-primary key attributes: Primary key attribute: ${name}`,
        )
    }
    refuseUnprojected(target, common.select, projection?.paths ?? [])
    refusePathsInKeys(filtered, row)
    const reverse = flag(input, 'ScanIndexForward') === false
    const bounds = continueFrom(range, start, reverse)
    const fetches = mustFetch(target, common.select, [...(projection?.paths ?? []), ...filtered])
    return this.#reader.read({ target, bounds, partition, reverse, filter, projection, fetches, ...common.reading })
  }

  scan(input: Input): Buffer | Promise<Buffer> {
    const common = rangeCommon(input, 'Scan')
    const { segment, total } = segmentOfScan(input)
    refuseMixed('Scan', input)
    refuseLonePlaceholders(input, ['FilterExpression', 'ProjectionExpression'])
    const legacy = legacyReading(input, 'ScanFilter')
    const startItem = startItemOf(input)
    refuseHalfSegment({ segment, total })
    const context = new ExpressionContext(placeholders(input))
    const filter = filterOf(input, context) ?? legacy.filter
    const projection = projectionOf(input, context) ?? legacy.projection
    context.checkAllUsed()
    const row = this.#catalogue.requested(common.table).row
    const target = targetOf(row, common.index, common.reading.consistent)
    const startKey = startItem && new StartKey(startItem, target, true)
    if (startKey && target.index) for (const attribute of [...target.hash, ...target.range]) startKey.check(attribute)
    refuseUnprojected(target, common.select, projection?.paths ?? [])
    const used = [...(projection?.paths ?? []), ...(filter ? conditionPaths(filter) : [])]
    const start = startKey?.row()
    const range = segmentOf(target, segment ?? 0, total ?? 1)
    if (start && !isInside(start, range)) {
      throw validation(
        'The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. TotalSegments: ' +
          `${total} Segment: ${segment}`,
      )
    }
    refusePathsInKeys(used, row)
    const bounds = continueFrom(range, start, false)
    const fetches = mustFetch(target, common.select, used)
    return this.#reader.read({
      target,
      bounds,
      partition: undefined,
      reverse: false,
      filter,
      projection,
      fetches,
      ...common.reading,
    })
  }
}

/** A starting key must lie among what the conditions ask for; the texts are AWS's, fitting or not. */
function refuseOutside(
  startKey: StartKey,
  partition: Buffer,
  range: Bounds,
  { hash, equal, range: last }: KeyConditions,
): void {
  const isOfPartition = startKey.row().subarray(0, partition.length).equals(partition)
  if (equal.length === 0 && !last) {
    if (isOfPartition) return
    throw validation('The provided starting key is outside query boundaries based on provided conditions')
  }
  if (!isInside(startKey.row(hash), range))
    throw validation('The provided starting key does not match the range key predicate')
  if (!isOfPartition) throw validation('The query can return at most one row and cannot be restarted')
}
