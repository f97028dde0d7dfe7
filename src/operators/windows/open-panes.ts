import type { KeyedContext } from '../task/keyed-operator.js'

/** Accumulators in the main cell of a key: more than these get a cell each, so that no commit writes a whole backlog. */
export const panesInMainCellMax = 32

/** Part of a pane that counts for the later windows over it only, since its rows were too late for the others. */
export interface LatePart {
  readonly pane: number
  /** Start of the first window that it counts for. */
  readonly from: number
  value: unknown
}

/**
 * The main cell of a key: its panes, which are stretches of time that windows are put together of (or whole windows).
 * Few small accumulators lie in it, so that a row touches one cell; the others have a cell each, named by the pane's start.
 * It says which panes there are, so that none is looked for in the store in vain.
 */
export interface OpenPanes {
  /** Starts of the panes whose accumulators lie here, ascending. */
  readonly starts: number[]
  readonly values: unknown[]
  /** Starts of the panes that have a cell each, ascending. */
  readonly own: number[]
  parts?: LatePart[]
}

/** A cell of one pane. */
export interface PaneCell {
  value: unknown
}

export const noPanes = (): OpenPanes => ({ starts: [], values: [], own: [] })

/** What a list holds from the start needs no room for more, of which most keys have none. */
export const onePane = (pane: number, value: unknown): OpenPanes => ({ starts: [pane], values: [value], own: [] })

export const panesIn = (context: KeyedContext): OpenPanes | undefined => context.get() as OpenPanes | undefined

/** Index of a start, or -1. Rows are mostly of the last pane. */
export function indexOfStart(starts: readonly number[], start: number): number {
  for (let i = starts.length - 1; i >= 0; i--) {
    const each = starts[i] as number
    if (each <= start) return each === start ? i : -1
  }
  return -1
}

/** Where a start belongs in an ascending list. */
export function placeOfStart(starts: readonly number[], start: number): number {
  let i = starts.length
  while (i > 0 && (starts[i - 1] as number) > start) i--
  return i
}

/** The starts from `from` on and before `to`. */
export const startsWithin = (starts: readonly number[], from: number, to: number): number[] =>
  starts.filter((start) => start >= from && start < to)

/** Adds a pane that is not there. A cell of its own must have been brought. */
export function addPane(
  panes: OpenPanes,
  pane: number,
  value: unknown,
  context: KeyedContext,
  inMainMax: number,
): void {
  if (panes.starts.length < inMainMax) {
    const i = placeOfStart(panes.starts, pane)
    if (i === panes.starts.length) {
      panes.starts.push(pane)
      panes.values.push(value)
    } else {
      panes.starts.splice(i, 0, pane)
      panes.values.splice(i, 0, value)
    }
  } else {
    panes.own.splice(placeOfStart(panes.own, pane), 0, pane)
    context.put({ value } satisfies PaneCell, pane)
  }
  context.put(panes)
}

/** The accumulator of a pane; undefined when there is none. A cell of its own must have been brought. */
export function valueOfPane(panes: OpenPanes, pane: number, context: KeyedContext): unknown {
  const i = indexOfStart(panes.starts, pane)
  if (i >= 0) return panes.values[i]
  return indexOfStart(panes.own, pane) < 0 ? undefined : (context.get(pane) as PaneCell).value
}

/** Puts the accumulator of a pane that is there. */
export function setPane(panes: OpenPanes, pane: number, value: unknown, context: KeyedContext): void {
  const i = indexOfStart(panes.starts, pane)
  if (i >= 0) {
    panes.values[i] = value
    context.put(panes)
    return
  }
  const cell = context.get(pane) as PaneCell
  cell.value = value
  context.put(cell, pane)
}

/**
 * Removes all panes before a start; their own cells must have been brought. With the last one the main cell goes. Where there are
 * none, as with most firings of hopping windows, nothing is put: the next commit need not write the key again.
 */
export function dropPanesBefore(panes: OpenPanes, start: number, context: KeyedContext): void {
  const { starts, values, own, parts } = panes
  const inMain = countBefore(starts, start)
  const inOwn = countBefore(own, start)
  if (inMain === 0 && inOwn === 0 && parts === undefined && starts.length + own.length > 0) return
  removeFirst(starts, inMain)
  removeFirst(values, inMain)
  if (inOwn > 0) for (const pane of own.splice(0, inOwn)) context.put(undefined, pane)
  if (parts) {
    const left = parts.filter((part) => part.pane >= start)
    if (left.length > 0) panes.parts = left
    else delete panes.parts
  }
  context.put(isEmpty(panes) ? undefined : panes)
}

/** There are few, so that moving the others costs less than a list of those that go. */
function removeFirst(list: unknown[], count: number): void {
  for (let i = 0; i < count; i++) list.shift()
}

export const isEmpty = ({ starts, own, parts }: OpenPanes): boolean =>
  starts.length === 0 && own.length === 0 && parts === undefined

/** The earliest pane at or after a start, +Infinity when there is none. */
export function firstPaneFrom({ starts, own, parts }: OpenPanes, start: number): number {
  let first = Number.POSITIVE_INFINITY
  for (const pane of starts) if (pane >= start && pane < first) first = pane
  for (const pane of own) if (pane >= start && pane < first) first = pane
  if (parts) for (const { pane } of parts) if (pane >= start && pane < first) first = pane
  return first
}

function countBefore(starts: readonly number[], start: number): number {
  let i = 0
  while (i < starts.length && (starts[i] as number) < start) i++
  return i
}

/** The state with a function applied to each accumulator: a main cell, or the cell of a pane. */
export function mapAccumulators(cell: unknown, run: (accumulator: unknown) => unknown): unknown {
  if (!('own' in (cell as object))) return { value: run((cell as PaneCell).value) } satisfies PaneCell
  const panes = cell as OpenPanes
  const { starts, own, parts } = panes
  const mapped: OpenPanes = { starts, own, values: panes.values.map(run) }
  return parts ? { ...mapped, parts: parts.map((part) => ({ ...part, value: run(part.value) })) } : mapped
}
