import type {
  CellChange,
  CellKey,
  NodeId,
  ParkPlace,
  StageBarrier,
  StoredCell,
  TimerChange,
} from '../../operators/task/index.js'
import { encodeName } from './cell-names.js'
import { parkedKey, parkedValue } from './parked-rows.js'
import { copyInto, type PackedRows, RowBuffer } from './row-buffer.js'
import {
  cellOfState,
  nameBytesOf,
  type RowStart,
  stateKey,
  stateKeyBytes,
  stateValueBytes,
  writeStateKey,
  writeStateValue,
} from './state-rows.js'
import { timerKeyBytes, timerValue, writeTimerKey } from './timer-rows.js'

/** Where the rows of a pipeline lie. */
export interface RowsOfPipeline {
  /** What rows of state begin with, and those of timers. */
  readonly state: RowStart
  readonly timer: RowStart
  /** What rows of what is parked begin with. */
  readonly parked: RowStart
  /** The numbers of the states of nodes. */
  readonly numbers: Readonly<Record<NodeId, number>>
}

/** A barrier as it goes to the main thread: what it does to the store is made into rows here, where there are threads. */
export interface PackedBarrier extends Omit<StageBarrier, 'cells' | 'timers' | 'parked'> {
  readonly rows: PackedRows
  /** undefined: nothing was parked, and nothing is through. */
  readonly parked: PackedRows | undefined
  /** How many rows there are. */
  readonly changes: number
}

/** Makes rows of what a task says, and the other way round. */
export class TaskRows {
  readonly #of: RowsOfPipeline
  readonly #buffer = new RowBuffer()

  /** The numbers of the places of the task's stage where rows may wait. */
  readonly #places: Readonly<Record<ParkPlace, number>>

  constructor(of: RowsOfPipeline, places: Readonly<Record<ParkPlace, number>> = {}) {
    this.#of = of
    this.#places = places
  }

  barrier({ cells, timers, outputs, watermarks, now, parked, isBehind }: StageBarrier): PackedBarrier {
    const buffer = this.#buffer
    for (const change of cells) this.#addCell(change)
    for (const change of timers) this.#addTimer(change)
    const rows = buffer.take()
    const changes = cells.length + timers.length
    return { rows, changes, outputs, watermarks, now, parked: this.#parked(parked), isBehind }
  }

  #addCell(change: CellChange): void {
    const { node, cell } = change
    const { state, numbers } = this.#of
    const name = nameBytesOf(change)
    const keyBytes = stateKeyBytes(change, name)
    const at = this.#buffer.begin(keyBytes, cell && stateValueBytes(cell))
    writeStateKey(this.#buffer.bytes, at, state, numbers[node] as number, change, name)
    if (cell) writeStateValue(this.#buffer.bytes, at + keyBytes, cell)
  }

  #addTimer(change: TimerChange): void {
    const { node, isSet, tag } = change
    const { timer, numbers } = this.#of
    const tagBytes = encodeName(tag)
    const keyBytes = timerKeyBytes(change, tagBytes)
    const at = this.#buffer.begin(keyBytes, isSet ? timerValue.length : undefined)
    writeTimerKey(this.#buffer.bytes, at, timer, numbers[node] as number, change, tagBytes)
    if (isSet) copyInto(this.#buffer.bytes, timerValue, at + keyBytes)
  }

  #parked(changes: StageBarrier['parked']): PackedRows | undefined {
    if (changes.length === 0) return undefined
    for (const { place, row, ...key } of changes)
      this.#buffer.add(
        parkedKey(this.#of.parked, { ...key, step: this.#places[place] as number }),
        row && parkedValue(row),
      )
    return this.#buffer.take()
  }

  /** The keys of cells that are asked for. */
  wanted(cells: readonly CellKey[]): PackedRows {
    const { state, numbers } = this.#of
    for (const { node, hashHi, hashLo, key, name } of cells)
      this.#buffer.add(stateKey(state, { state: numbers[node] as number, hashHi, hashLo, key, name }), undefined)
    return this.#buffer.take()
  }

  found(values: readonly (Uint8Array | undefined)[]): (StoredCell | undefined)[] {
    return values.map((value) => value && cellOfState(Buffer.from(value.buffer, value.byteOffset, value.length)))
  }
}
