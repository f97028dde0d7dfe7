import type { Commit } from '../commit/index.js'
import type { NodeDescription, NodeId, StateQuestion } from '../operators/index.js'
import { type CellName, encodeKey, hashOfKey, opened, type Stages, unpackState } from '../operators/task/index.js'
import { hashKey, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { encodeKeyValue, normaliseNumber } from '../tables/index.js'
import { cellOfState, namedCellsOf, nameOfCell, type StoredCellKey, stateKey } from '../workers/index.js'
import { rowsOfPipeline } from './barrier-commit.js'
import type { PipelineRow } from './rows.js'

/** Named cells of one step and key that are shown. */
const cellsMax = 1000
const cellsBytesMax = 1 << 20

/** One cell of a step's state for a key. */
export interface ShownCell {
  /** null: the cell without a name, which is all of the state of most steps. */
  readonly name: string | number | null
  /** As JSON can say it: bigints as text, binary as base64, sets as arrays, maps as arrays of pairs, dates as ISO text. */
  readonly value: unknown
}

/** What a step has committed for a key. */
export interface ShownState {
  readonly step: string
  readonly operator: string
  readonly cells: readonly ShownCell[]
  /** Whether there are more cells than are shown. */
  readonly more: boolean
}

export interface StateQuery {
  readonly row: PipelineRow
  readonly stages: Stages
  readonly commit: Pick<Commit, 'readDurable'>
  readonly storage: Pick<Storage, 'page'>
}

/**
 * The committed state of a key: of one step, or of all that have some. A key is given as text: text that is JSON stands for
 * that value too (`42`, `["a", 1]`). Throws NOT_FOUND for a step that is not there.
 */
export async function stateOfKey(query: StateQuery, text: string, step: string | undefined): Promise<ShownState[]> {
  const { row } = query
  const found: ShownState[] = []
  let isKnown = step === undefined
  for (const [node, description] of row.plan.nodes.entries()) {
    if (description.kind !== 'keyed' || (step !== undefined && description.name !== step)) continue
    isKnown = true
    for (const key of keysOf(query, node, valuesOf(text))) {
      const shown = await cellsOf(query, node, key)
      if (shown.cells.length > 0) found.push({ step: description.name, operator: description.operator, ...shown })
    }
  }
  if (!isKnown) throw noStep(row, step as string)
  return found
}

/**
 * What a step has committed for a key in one cell, packed as it was stored; undefined: nothing. The key is a value, as functions
 * of the pipeline are given it. Throws NOT_FOUND for a step that is not there.
 */
export async function cellOfKey(
  query: StateQuery,
  { step, key, cell }: Pick<StateQuestion, 'step' | 'key' | 'cell'>,
): Promise<Buffer | undefined> {
  const { row, commit } = query
  const node = row.plan.nodes.findIndex((each) => each.kind === 'keyed' && each.name === step)
  if (node < 0) throw noStep(row, step)
  const { state: start, numbers } = rowsOfPipeline(row)
  for (const bytes of keysOf(query, node, [key])) {
    const stored = await commit.readDurable(
      stateKey(start, { ...bytes, state: numbers[node] as number, name: cell as CellName | undefined }),
    )
    if (stored) return Buffer.from(cellOfState(stored).value)
  }
  return undefined
}

const noStep = ({ plan }: PipelineRow, step: string): MillraceError =>
  new MillraceError('NOT_FOUND', `The pipeline ${plan.name} has no step ${step} that keeps state.`)

type KeyBytes = Pick<StoredCellKey, 'hashHi' | 'hashLo' | 'key'>

/** The keys that a text may stand for. */
function valuesOf(text: string): unknown[] {
  const json = parsed(text)
  return json === undefined ? [text] : [text, json]
}

/** Texts that can be no part of a path by themselves: they are asked for as JSON, also where a key is given by its text alone. */
const isPathless = (value: unknown): boolean => value === '' || value === '.' || value === '..'

/** The stored forms of keys at a step. */
function keysOf({ row, stages }: StateQuery, node: NodeId, values: readonly unknown[]): KeyBytes[] {
  const stage = stages.stages.find(({ nodes }) => nodes.includes(node))
  if (stage?.kind === 'source') return partitionKeys(row, stage.root, partitionOf(values.find(isPathless) ?? values[0]))
  const names = new Set(row.sources.map(({ hashKeyName = 'key' }) => hashKeyName))
  // Where partition keys meet others, they are sent as people see them: `{ListId: 1}`.
  const isPartition = (stage?.entries ?? []).some((entry) => row.plan.nodes[entry]?.kind === 'keyByPartition')
  const all = isPartition ? values.flatMap((value) => asPartition(value, [...names])) : values
  return all.flatMap((value) => {
    try {
      const { hi, lo } = hashOfKey(value)
      return [{ hashHi: hi, hashLo: lo, key: encodeKey(value) }]
    } catch {
      // null, or too large: no key of any row.
      return []
    }
  })
}

const asPartition = (value: unknown, names: readonly string[]): unknown[] =>
  typeof value === 'object' && value !== null ? [value] : names.map((name) => ({ [name]: value }))

/** A partition key as a text; it may be given as functions see it, `{ListId: 1}`. */
function partitionOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  return String(Object.values(value)[0])
}

/** Behind keyByPartition in place state lies under the partition key's own bytes. */
function partitionKeys(row: PipelineRow, root: NodeId, text: string): KeyBytes[] {
  const source = row.sources.find(({ node }) => node === root)
  const isTable = isTableSource(row.plan.nodes[root])
  const keys = isTable ? tableKeys(text) : [Buffer.from(text)]
  if (!source) return []
  return keys.map((key) => {
    const { hi, lo } = hashKey(key)
    return { hashHi: hi, hashLo: lo, key }
  })
}

/** A text may be a key of text, or of a number. */
function tableKeys(text: string): Buffer[] {
  const keys = [encodeKeyValue({ S: text })]
  try {
    keys.push(encodeKeyValue({ N: normaliseNumber(text) }))
  } catch {
    // No number.
  }
  return keys
}

const isTableSource = (node: NodeDescription | undefined): boolean =>
  node?.kind === 'source' && node.source.kind === 'table'

async function cellsOf(
  { row, commit, storage }: StateQuery,
  node: NodeId,
  key: KeyBytes,
): Promise<Pick<ShownState, 'cells' | 'more'>> {
  const { state: start, numbers } = rowsOfPipeline(row)
  const state = numbers[node] as number
  const cells: ShownCell[] = []
  const main = await commit.readDurable(stateKey(start, { ...key, state, name: undefined }))
  if (main) cells.push({ name: null, value: contentOf(main) })
  const prefix = namedCellsOf(start, { ...key, state })
  const { keys, values, more } = await storage.page({
    gte: prefix,
    lt: Buffer.concat([prefix, Buffer.from([0xff])]),
    limit: cellsMax,
    bytesMax: cellsBytesMax,
  })
  keys.forEach((each, i) => {
    cells.push({ name: nameOfCell(each, prefix.length) ?? null, value: contentOf(values[i] as Buffer) })
  })
  return { cells, more }
}

/** What a cell holds, without what is known of it beside. */
function contentOf(row: Buffer): unknown {
  const content = unpackState(cellOfState(row).value)
  const envelope = opened(content)
  return shown(envelope ? envelope.value : content)
}

function shown(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? String(value) : value.toISOString()
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  if (value instanceof Set) return [...value].map(shown)
  if (value instanceof Map) return [...value].map(([key, each]) => [shown(key), shown(each)])
  if (Array.isArray(value)) return value.map(shown)
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shown(each)]))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
