import { kept } from '../kept.js'
import { packable } from '../state-value.js'
import type { Cell } from './key-entry.js'
import type { KeyedStateOptions } from './keyed-state.js'

/**
 * What a keyed step did with one row so far, so that it can be put back. Cells are copied when they are first touched; timers
 * and values that were given on take effect only when the step is done.
 */
export class Journal {
  readonly #codec: Pick<KeyedStateOptions, 'pack' | 'unpack'>
  readonly #cells = new Map<Cell, { readonly value: unknown; readonly packed: Buffer | undefined }>()
  #deferred: (() => void)[] = []

  constructor(codec: Pick<KeyedStateOptions, 'pack' | 'unpack'>) {
    this.#codec = codec
  }

  touch(cell: Cell): void {
    if (this.#cells.has(cell)) return
    const { value } = cell
    const isObject = typeof value === 'object' && value !== null
    this.#cells.set(cell, { value, packed: isObject ? this.#codec.pack(packable(kept(value))) : undefined })
  }

  defer(run: () => void): void {
    this.#deferred.push(run)
  }

  /** Throws TypeError for a state that the next barrier could not store. */
  check(): void {
    for (const { isDirty, value } of this.#cells.keys()) if (isDirty) this.#codec.pack(packable(value))
  }

  undo(): void {
    for (const [cell, { value, packed }] of this.#cells) cell.value = packed ? this.#codec.unpack(packed) : value
    this.#cells.clear()
    this.#deferred = []
  }

  /** The step is done: what it set and gave on takes effect, in its order. */
  apply(): void {
    const deferred = this.#deferred
    this.#deferred = []
    this.#cells.clear()
    for (const run of deferred) run()
  }
}
