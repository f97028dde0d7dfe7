import type { CellKey, NodeId, StageBarrier, StoredCell } from '../../operators/task/index.js'
import { type PackedRows, RowBuffer } from './row-buffer.js'
import { cellOfState, type RowStart, stateKey, stateValue } from './state-rows.js'
import { timerKey, timerValue } from './timer-rows.js'

/** Where the rows of a pipeline lie. */
export interface RowsOfPipeline {
  /** What rows of state begin with, and those of timers. */
  readonly state: RowStart
  readonly timer: RowStart
  /** The numbers of the states of nodes. */
  readonly numbers: Readonly<Record<NodeId, number>>
}

/** A barrier as it goes to the main thread: what it does to the store is made into rows here, where there are threads. */
export interface PackedBarrier extends Omit<StageBarrier, 'cells' | 'timers'> {
  readonly rows: PackedRows
  /** How many rows there are. */
  readonly changes: number
}

/** Makes rows of what a task says, and the other way round. */
export class TaskRows {
  readonly #of: RowsOfPipeline
  readonly #buffer = new RowBuffer()

  constructor(of: RowsOfPipeline) {
    this.#of = of
  }

  barrier({ cells, timers, outputs, watermarks, now }: StageBarrier): PackedBarrier {
    const { state, timer, numbers } = this.#of
    const buffer = this.#buffer
    for (const { node, hashHi, hashLo, key, name, cell } of cells)
      buffer.add(
        stateKey(state, { state: numbers[node] as number, hashHi, hashLo, key, name }),
        cell && stateValue(cell),
      )
    for (const { node, isSet, ...rest } of timers)
      buffer.add(timerKey(timer, { ...rest, state: numbers[node] as number }), isSet ? timerValue : undefined)
    return { rows: buffer.take(), changes: cells.length + timers.length, outputs, watermarks, now }
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
