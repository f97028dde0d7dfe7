import type { Commit } from '../../commit/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import type { Throttle } from '../control/throttle.js'
import {
  ExpressionContext,
  evaluateCondition,
  type PathList,
  type Projection,
  parseCondition,
  parseUpdate,
  project,
  updatedAttributes,
} from '../expressions/index.js'
import {
  checkIndexKeysOfUpdate,
  type ItemCollections,
  indexWriteUnits,
  showCollectionMetrics,
} from '../indexes/index.js'
import { checkLegacy, expectedCondition, legacyProjection, legacyUpdate, refuseMixed } from '../legacy/index.js'
import { projectionOf } from '../reads/range-request.js'
import { validation } from '../requests/aws-error.js'
import { capacity, readUnits, type ShowCapacity, showCapacity, writeUnits } from '../requests/capacity.js'
import { doubleJson } from '../requests/double-json.js'
import { members } from '../requests/json-bytes.js'
import { refuseKeyPathsOfWrite, refusePathsInKeys } from '../requests/key-paths.js'
import {
  Constraints,
  flag,
  type Input,
  oneOf,
  placeholders,
  refuseLonePlaceholders,
  tableName,
  text,
  withoutValues,
} from '../requests/request.js'
import { checkItem, type Item, itemBytesMax, keyOf, ValidationError } from '../values/index.js'
import { decodeBytesText, itemKey, type StoredText } from './item-row.js'
import type { Present } from './present.js'
import { refuseKeyUpdates, updateDecision } from './update-decision.js'
import type { Decision, Writer, Written } from './writer.js'

const empty: Item = {}

type ReturnValues = 'NONE' | 'ALL_OLD' | 'ALL_NEW' | 'UPDATED_OLD' | 'UPDATED_NEW'
const returnValues: readonly ReturnValues[] = ['ALL_NEW', 'UPDATED_OLD', 'ALL_OLD', 'NONE', 'UPDATED_NEW']

/** PutItem, GetItem, UpdateItem, DeleteItem: a parsed request in, the answer's bytes out. */
export class ItemOperations {
  readonly #commit: Commit
  readonly #catalogue: Catalogue
  readonly #writer: Writer
  readonly #throttle: Throttle
  readonly #collections: ItemCollections

  constructor(commit: Commit, catalogue: Catalogue, writer: Writer, throttle: Throttle, collections: ItemCollections) {
    this.#commit = commit
    this.#catalogue = catalogue
    this.#writer = writer
    this.#throttle = throttle
    this.#collections = collections
  }

  async put(input: Input): Promise<Buffer> {
    const common = writeCommon(input, 'Item', 'item')
    refuseReturnsOfUpdate(common.returns)
    refuseMixed('PutItem', input)
    refuseLonePlaceholders(input, ['ConditionExpression'])
    const { item, size } = checkItem(input.Item)
    if (size > itemBytesMax) throw validation('Item size has exceeded the maximum allowed size')
    const condition = conditionOf(input)
    const row = this.#catalogue.requested(common.table).row
    const key = keyOf(item, row.schema)
    refuseKeyPathsOfWrite(row, { condition })
    const written = await this.#writer.write(
      common.table,
      key,
      // What a write consumes is by the larger of the item as it was and as it is.
      condition !== undefined || common.returns === 'ALL_OLD' || common.show !== 'NONE',
      (before) =>
        condition && !evaluateCondition(condition, before.item() ?? empty)
          ? { kind: 'refuse', returnItem: common.returnItem }
          : { kind: 'put', item, size },
    )
    return this.#answer(row, common, key, written)
  }

  async delete(input: Input): Promise<Buffer> {
    const common = writeCommon(input, 'Key', 'key')
    refuseReturnsOfUpdate(common.returns)
    refuseMixed('DeleteItem', input)
    refuseLonePlaceholders(input, ['ConditionExpression'])
    const { item } = checkItem(input.Key)
    const condition = conditionOf(input)
    const row = this.#catalogue.requested(common.table).row
    const key = keyOf(item, row.schema, true)
    refuseKeyPathsOfWrite(row, { condition })
    const written = await this.#writer.write(common.table, key, true, (before) =>
      condition && !evaluateCondition(condition, before.item() ?? empty)
        ? { kind: 'refuse', returnItem: common.returnItem }
        : { kind: 'delete' },
    )
    return this.#answer(row, common, key, written)
  }

  async update(input: Input): Promise<Buffer> {
    const common = writeCommon(input, 'Key', 'key', true)
    refuseMixed('UpdateItem', input)
    refuseLonePlaceholders(input, ['UpdateExpression', 'ConditionExpression'])
    const { item: given } = checkItem(input.Key)
    const context = new ExpressionContext(placeholders(input))
    const updateText = text(input, 'UpdateExpression')
    const conditionText = text(input, 'ConditionExpression')
    const update = updateText === undefined ? legacyUpdate(input) : parseUpdate(updateText, context)
    const condition =
      conditionText === undefined
        ? expectedCondition(input)
        : parseCondition('ConditionExpression', conditionText, context)
    context.checkAllUsed()
    const row = this.#catalogue.requested(common.table).row
    const { schema } = row
    const key = keyOf(given, schema, true)
    refuseKeyUpdates(update, schema)
    if (update) checkIndexKeysOfUpdate(row, update)
    refuseKeyPathsOfWrite(row, { condition, update })
    let touched: PathList | undefined
    const decide = (before: Present): Decision => {
      if (condition && !evaluateCondition(condition, before.item() ?? empty))
        return { kind: 'refuse', returnItem: common.returnItem }
      const decided = updateDecision(update, key, before)
      touched = decided.touched
      return decided.decision
    }
    const written = await this.#writer.write(common.table, key, true, decide)
    return this.#answer(row, common, key, written, touched)
  }

  async #answer(row: TableRow, common: WriteCommon, key: Item, written: Written, touched?: PathList): Promise<Buffer> {
    const units = common.show === 'NONE' ? undefined : indexWriteUnits(row, key, written)
    const consumed = capacity(common.show, common.table, writeUnits(written.size), units)
    const metrics = common.showMetrics ? await this.#collections.of(row, key) : undefined
    return members([
      ['Attributes', attributesOf(common.returns, written, touched)],
      ['ConsumedCapacity', consumed && doubleJson(consumed)],
      ['ItemCollectionMetrics', metrics && doubleJson(metrics)],
    ])
  }

  /** An item that is in memory is answered at once. */
  get(input: Input): Buffer | Promise<Buffer> {
    const constraints = new Constraints()
    const table = tableName(input, constraints)
    constraints.check(input.Key !== undefined && input.Key !== null, 'key', undefined, 'Member must not be null')
    const show = showCapacity(input, constraints)
    checkLegacy(input, constraints)
    constraints.done()
    refuseMixed('GetItem', input)
    refuseLonePlaceholders(withoutValues(input), ['ProjectionExpression'])
    const consistent = flag(input, 'ConsistentRead') ?? false
    const { item } = checkItem(input.Key)
    const context = new ExpressionContext(placeholders(withoutValues(input)))
    const projection = projectionOf(input, context) ?? legacyProjection(input)
    context.checkAllUsed()
    const { row } = this.#catalogue.requested(table)
    refusePathsInKeys(projection?.paths ?? [], row)
    const key = itemKey(row.id, row.schema, keyOf(item, row.schema, true))
    this.#throttle.admit(row, 'read')
    const answer = (value: string | undefined): Buffer => {
      const stored = value === undefined ? undefined : decodeBytesText(value)
      const units = readUnits(stored?.size ?? 0, consistent)
      this.#throttle.take(row, 'read', units)
      return answerOfGet(stored, projection, capacity(show, table, units))
    }
    const value = this.#commit.readDurableText(key.row)
    return value instanceof Promise ? value.then(answer) : answer(value)
  }
}

const noItem = Buffer.from('{}')

/** The JSON of a stored item is put into the answer byte by byte: latin1 holds any bytes as they are. */
function answerOfGet(
  stored: StoredText | undefined,
  projection: Projection | undefined,
  consumed: object | undefined,
): Buffer {
  let text = stored ? `"Item":${projection ? projected(projection, stored) : stored.json}` : ''
  if (consumed) text += `${stored ? ',' : ''}"ConsumedCapacity":${doubleJson(consumed)}`
  return text === '' ? noItem : Buffer.from(`{${text}}`, 'latin1')
}

function projected(projection: Projection, { json }: StoredText): string {
  const item = JSON.parse(Buffer.from(json, 'latin1').toString()) as Item
  return Buffer.from(JSON.stringify(project(projection, item))).toString('latin1')
}

interface WriteCommon {
  readonly table: string
  readonly returns: ReturnValues
  readonly returnItem: boolean
  readonly show: ShowCapacity
  readonly showMetrics: boolean
}

function writeCommon(input: Input, required: string, member: string, isUpdate = false): WriteCommon {
  const isThere = input[required] !== undefined && input[required] !== null
  if (isThere) refuseAlone(input, isUpdate)
  const constraints = new Constraints()
  const show = showCapacity(input, constraints)
  const showMetrics = showCollectionMetrics(input, constraints)
  const table = tableName(input, constraints)
  const returns = oneOf(input, 'ReturnValues', 'returnValues', returnValues, constraints) ?? 'NONE'
  const onFailure = oneOf(
    input,
    'ReturnValuesOnConditionCheckFailure',
    'returnValuesOnConditionCheckFailure',
    ['ALL_OLD', 'NONE'],
    constraints,
  )
  checkLegacy(input, constraints)
  constraints.check(isThere, member, undefined, 'Member must not be null')
  constraints.done()
  return { table, returns, returnItem: onFailure === 'ALL_OLD', show, showMetrics }
}

/** What the newer layer looks at first and answers by itself, whatever else is wrong; without a Key or Item it is not asked. */
function refuseAlone(input: Input, isUpdate: boolean): void {
  if (input.TableName === '') {
    throw new ValidationError(
      "Value at 'TableName' failed to satisfy constraint: Member must have length greater than or equal to 1",
    )
  }
  const returns = text(input, 'ReturnValues')
  if (isUpdate && returns !== undefined && !(returnValues as readonly string[]).includes(returns)) {
    // The misspelling is AWS's.
    throw new ValidationError(
      'Failed to satisfy constraint: Member must satisfy enum value set: [ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]',
    )
  }
}

function refuseReturnsOfUpdate(returns: ReturnValues): void {
  if (returns !== 'NONE' && returns !== 'ALL_OLD')
    throw new ValidationError(
      'ReturnValues can only be ALL_OLD or NONE',
      'validation',
      'Return values set to invalid value',
    )
}

function conditionOf(input: Input): ReturnType<typeof parseCondition> | undefined {
  const conditionText = text(input, 'ConditionExpression')
  if (conditionText === undefined) return expectedCondition(input)
  const context = new ExpressionContext(placeholders(input))
  const condition = parseCondition('ConditionExpression', conditionText, context)
  context.checkAllUsed()
  return condition
}

function attributesOf(returns: ReturnValues, written: Written, touched: PathList | undefined): Buffer | undefined {
  const json = (item: Item | undefined): Buffer | undefined =>
    item && Object.keys(item).length > 0 ? Buffer.from(JSON.stringify(item)) : undefined
  switch (returns) {
    case 'ALL_OLD':
      return written.before.stored?.json
    case 'ALL_NEW':
      return json(written.after)
    case 'UPDATED_OLD':
      return touched && json(updatedAttributes(touched, written.before.item() ?? empty))
    case 'UPDATED_NEW':
      return touched && json(updatedAttributes(touched, written.after ?? empty))
    default:
      return undefined
  }
}
