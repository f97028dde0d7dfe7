import type { Commit } from '../../commit/index.js'
import type { Storage } from '../../storage/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { TableRow } from '../catalogue/table-row.js'
import { conditionPaths, evaluateCondition } from '../expressions/index.js'
import { mustFetch, positionOf, refuseUnprojected, type Target } from '../indexes/index.js'
import { decodeItem, itemKey, parseItem, type StoredItem } from '../items/item-row.js'
import { capacity, type IndexUnits, readUnits, type ShowCapacity } from '../requests/capacity.js'
import { refusePathsInKeys } from '../requests/key-paths.js'
import { type Item, ValidationError } from '../values/index.js'
import { decodeToken, encodeToken, invalidToken, type Position } from './next-token.js'
import { readPage, type Segment } from './page-reader.js'
import { type Column, selectColumns } from './projection.js'
import { type KeyRange, planRead, type ReadPlan } from './read-plan.js'
import { allRows, keyOfTarget, readTarget, refuseUnprojectedFilter, rowsOf } from './read-source.js'
import { isEmptyRange } from './sort-range.js'
import type { Select } from './statement.js'

export interface ReadOptions {
  /** Items that are looked at, before the filter. */
  readonly limit: number | undefined
  readonly consistent: boolean
  readonly token: string | undefined
  /** What tokens are bound to. */
  readonly digest: Buffer
  readonly show: ShowCapacity
}

export interface ReadAnswer {
  /** Items as DynamoDB JSON. */
  readonly items: readonly Buffer[]
  readonly token: string | undefined
  readonly lastKey: Item | undefined
  readonly consumed: object | undefined
}

/** The reads of statements. */
export class StatementReads {
  readonly #storage: Storage
  readonly #commit: Commit
  readonly #catalogue: Catalogue

  constructor(storage: Storage, commit: Commit, catalogue: Catalogue) {
    this.#storage = storage
    this.#commit = commit
    this.#catalogue = catalogue
  }

  /** A page of a SELECT. Throws ValidationError, ResourceNotFoundException. */
  async select(select: Select, options: ReadOptions): Promise<ReadAnswer> {
    const { columns } = select
    const target = readTarget(this.#catalogue.requested(select.table).row, select.index, options.consistent)
    const plan = planRead(select.where, keyOfTarget(target), select.order)
    const paths = (columns ?? []).map(({ path }) => path)
    refusePathsInKeys([...paths, ...(select.where ? conditionPaths(select.where) : [])], target.row)
    const one = onlyRange(plan)
    if (one?.key && !target.index) return this.#one(target.row, one, one.key, columns, options)
    refuseUnprojected(target, undefined, paths)
    // As on AWS, of several reads the first decides.
    if (plan.kind === 'ranges') refuseUnprojectedFilter(target, plan.ranges[0]?.filter)
    const segments = segmentsOf(plan, target)
    const from = options.token === undefined ? undefined : tokenPosition(options.token, options.digest, segments)
    const isReverse = plan.kind === 'ranges' && plan.isReverse
    const { limit, consistent } = options
    const fetches = mustFetch(target, undefined, paths)
    const reading = { target, segments, isReverse, limit, consistent, fetches }
    const { found, bytes, fetchedUnits, next, last } = await readPage(this.#storage, this.#commit, reading, from)
    return {
      items: found.map((stored) => shownItem(columns, stored)),
      token: next && encodeToken(options.digest, next),
      lastKey: next && last && positionOf(target, last),
      consumed: consumedBy(target, options.show, readUnits(bytes, consistent), fetchedUnits),
    }
  }

  async #one(
    row: TableRow,
    range: KeyRange,
    key: Item,
    columns: Select['columns'],
    options: ReadOptions,
  ): Promise<ReadAnswer> {
    if (options.token !== undefined) throw invalidToken()
    const stored = await this.get(row, key)
    const isFound = stored && (!range.filter || evaluateCondition(range.filter, parseItem(stored)))
    return {
      items: isFound ? [shownItem(columns, stored)] : [],
      token: undefined,
      lastKey: undefined,
      consumed: capacity(options.show, row.name, readUnits(stored?.size ?? 0, options.consistent)),
    }
  }

  async get(row: TableRow, key: Item): Promise<StoredItem | undefined> {
    const value = await this.#commit.readDurable(itemKey(row.id, row.schema, key).row)
    return value ? decodeItem(value) : undefined
  }

  /**
   * The table, and the key of the one item that a SELECT names and asks nothing else of. Throws ValidationError with the
   * refusal, and ResourceNotFoundException.
   */
  itemOf(select: Select, refusal: string): { readonly row: TableRow; readonly key: Item } {
    const target = readTarget(this.#catalogue.requested(select.table).row, select.index, false)
    const one = target.index ? undefined : onlyRange(planRead(select.where, keyOfTarget(target), select.order))
    if (!one?.key || one.filter || select.order) throw new ValidationError(refusal)
    return { row: target.row, key: one.key }
  }

  find(name: string): TableRow | undefined {
    return this.#catalogue.find(name)?.row
  }
}

const onlyRange = (plan: ReadPlan): KeyRange | undefined =>
  plan.kind === 'ranges' && plan.ranges.length === 1 ? plan.ranges[0] : undefined

function segmentsOf(plan: ReadPlan, target: Target): Segment[] {
  if (plan.kind === 'scan') return [{ ...allRows(target), filter: plan.filter }]
  return plan.ranges
    .filter(({ sort }) => !isEmptyRange(sort))
    .map(({ hash, sort, filter }) => ({ ...rowsOf(target, hash, sort), filter }))
}

/** Where a token says that the read goes on. Throws ValidationError when that lies outside of what the statement reads. */
function tokenPosition(token: string, digest: Buffer, segments: readonly Segment[]): Position {
  const position = decodeToken(token, digest)
  const segment = segments[position.range]
  const { row } = position
  if (!segment || (row && (Buffer.compare(row, segment.gte) < 0 || Buffer.compare(row, segment.lt) >= 0)))
    throw invalidToken()
  return position
}

function consumedBy({ row, index }: Target, show: ShowCapacity, units: number, fetched: number): object | undefined {
  if (!index) return capacity(show, row.name, units)
  const named = new Map([[index.name, units]])
  const none = new Map<string, number>()
  const indexes: IndexUnits = index.kind === 'global' ? { global: named, local: none } : { global: none, local: named }
  return capacity(show, row.name, fetched, indexes)
}

export function shownItem(columns: readonly Column[] | undefined, stored: StoredItem): Buffer {
  return columns ? Buffer.from(JSON.stringify(selectColumns(columns, parseItem(stored)))) : stored.json
}
