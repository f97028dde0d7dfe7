import { holds, Refused, select, update } from '../naive/evaluate.js'
import type { Change, Path, Tree } from '../naive/syntax.js'
import { canonicalItem, compareValues, type Item, itemSize, itemText, type Value } from '../naive/values.js'

export type Returns = 'NONE' | 'ALL_OLD' | 'ALL_NEW' | 'UPDATED_OLD' | 'UPDATED_NEW'

export type Write = {
  readonly key: Item
  readonly condition?: Tree | undefined
  readonly returns: Returns
  /** Whether a failed condition shall show the item. */
  readonly shows: boolean
} & (
  | { readonly do: 'put'; readonly attributes: Item }
  | { readonly do: 'update'; readonly changes: readonly Change[] }
  | { readonly do: 'delete' }
  /** Only in a transaction: the condition must hold. */
  | { readonly do: 'check' }
)

export type Outcome =
  | { readonly is: 'refused' }
  | { readonly is: 'failed'; readonly item: Item | undefined }
  | {
      readonly is: 'done'
      readonly before: Item | undefined
      readonly after: Item | undefined
      readonly attributes: Item | undefined
      readonly units: number
    }

export interface Event {
  readonly name: 'INSERT' | 'MODIFY' | 'REMOVE'
  readonly key: Item
  readonly old: Item | undefined
  readonly new: Item | undefined
}

export type RangeTest = {
  readonly operator: '=' | '<' | '<=' | '>' | '>=' | 'BETWEEN'
  readonly values: readonly Value[]
}

/** An index by attributes that the random names and paths do not have, so that every write of them is of the right type. */
export interface ModelIndex {
  readonly name: string
  readonly isLocal: boolean
  readonly hash: 'pk' | 'g'
  readonly range: 'h' | undefined
  /** Whether it has all attributes, or only those of its keys and the table's. */
  readonly hasAll: boolean
}

/** A table as a map, with the history of its changes. */
export class ModelTable {
  readonly name: string
  readonly hasRange: boolean
  readonly indexes: readonly ModelIndex[]
  readonly history: Event[] = []
  readonly #items = new Map<string, Item>()

  constructor(name: string, hasRange: boolean, indexes: readonly ModelIndex[] = []) {
    this.name = name
    this.hasRange = hasRange
    this.indexes = indexes
  }

  /** The keys of an entry of an index, with those of the table. */
  indexKeys({ hash, range }: ModelIndex): readonly string[] {
    return [...new Set([hash, ...(range ? [range] : []), 'pk', ...(this.hasRange ? ['sk'] : [])])]
  }

  /** The items that have all of an index's keys, as the index shows them; of one hash key in the order of the range key. */
  entries(index: ModelIndex, hash?: Value): readonly Item[] {
    const keys = this.indexKeys(index)
    return this.all()
      .filter((item) => keys.every((key) => item[key] !== undefined))
      .filter((item) => hash === undefined || compareValues(item[index.hash], hash) === 0)
      .map((item) => (index.hasAll ? item : Object.fromEntries(keys.map((key) => [key, item[key] as Value]))))
      .sort((a, b) => (index.range ? (compareValues(a[index.range], b[index.range]) as number) : 0))
  }

  get(key: Item): Item | undefined {
    return this.#items.get(itemText(key))
  }

  /** What a write would come to; nothing is changed. */
  outcome(write: Write): Outcome {
    const before = this.get(write.key)
    if (write.condition && !holds(write.condition, before ?? {})) return { is: 'failed', item: before }
    let after = write.do === 'check' ? before : undefined
    if (write.do === 'put') after = { ...write.attributes, ...write.key }
    else if (write.do === 'update') {
      try {
        const takesAway = write.changes.every((change) => change.do === 'REMOVE' || change.do === 'DELETE')
        // Where there is nothing to take away from, nothing is made.
        if (before || !takesAway || write.changes.length === 0)
          after = update(write.changes, before ?? write.key, before !== undefined)
      } catch (error) {
        if (error instanceof Refused) return { is: 'refused' }
        throw error
      }
    }
    const paths = write.do === 'update' ? write.changes.map(({ path }) => path) : []
    const size = Math.max(before ? itemSize(before) : 0, after ? itemSize(after) : 0, 1)
    return {
      is: 'done',
      before,
      after: after && canonicalItem(after),
      attributes: returned(write.returns, paths, before, after),
      units: Math.ceil(size / 1024),
    }
  }

  /** Makes the outcome of a write so; a write that changes nothing is no event. */
  apply(write: Write): Outcome {
    const outcome = this.outcome(write)
    if (outcome.is !== 'done') return outcome
    const { before, after } = outcome
    if (itemText(before) === itemText(after)) return outcome
    const name = before === undefined ? 'INSERT' : after === undefined ? 'REMOVE' : 'MODIFY'
    this.history.push({ name, key: canonicalItem(write.key), old: before, new: after })
    if (after) this.#items.set(itemText(write.key), after)
    else this.#items.delete(itemText(write.key))
    return outcome
  }

  /** All of the writes or none. */
  transact(writes: readonly Write[]): readonly Outcome[] {
    const outcomes = writes.map((write) => this.outcome(write))
    if (outcomes.every(({ is }) => is === 'done')) for (const write of writes) this.apply(write)
    return outcomes
  }

  all(): readonly Item[] {
    return [...this.#items.values()]
  }

  /** The items of a partition in the order of their sort keys. */
  partition(pk: Value, test: RangeTest | undefined): readonly Item[] {
    return this.all()
      .filter((item) => compareValues(item.pk, pk) === 0 && (!test || meets(item.sk as Value, test)))
      .sort((a, b) => (this.hasRange ? (compareValues(a.sk, b.sk) as number) : 0))
  }
}

function meets(value: Value, { operator, values }: RangeTest): boolean {
  const [first, second] = values.map((each) => compareValues(value, each) as number) as [number, number]
  if (operator === 'BETWEEN') return first >= 0 && second <= 0
  if (first === 0) return operator.endsWith('=')
  return operator.startsWith(first < 0 ? '<' : '>')
}

function returned(
  returns: Returns,
  paths: readonly Path[],
  before: Item | undefined,
  after: Item | undefined,
): Item | undefined {
  const found =
    returns === 'ALL_OLD'
      ? before
      : returns === 'ALL_NEW'
        ? after
        : returns === 'UPDATED_OLD'
          ? select(paths, before ?? {})
          : returns === 'UPDATED_NEW'
            ? select(paths, after ?? {})
            : undefined
  return found === undefined || Object.keys(found).length === 0 ? undefined : found
}
