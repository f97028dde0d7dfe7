import { kept } from '../kept.js'
import type { NodeId } from '../plan/nodes.js'
import { packable } from '../state-value.js'
import { StepError } from '../step-error.js'
import type { KeyDirectory } from './key-directory.js'
import type { Cell, KeyEntry, Slot } from './key-entry.js'
import type { CellName } from './keyed-operator.js'
import type { CellChange, CellKey, StoredCell } from './stage-task.js'

/** A step that keeps state, as the state of its task sees it. */
export interface StateStep {
  readonly node: NodeId
  /** Written with its cells. What older versions wrote, the operator itself brings to this one. */
  readonly version: number
}

export interface KeyedStateOptions {
  /** By slot. */
  readonly steps: readonly StateStep[]
  readonly directory: KeyDirectory
  /** Whether the store has nothing of the task. */
  readonly isNew: boolean
  readonly bytesMax: () => number
  readonly fetch: (cells: readonly CellKey[]) => Promise<readonly (StoredCell | undefined)[]>
  readonly pack: (value: unknown) => Buffer
  readonly unpack: (bytes: Uint8Array) => unknown
}

/** What a key and a cell cost in memory beside key and packed value, bytes. */
const entryOverheadBytes = 250
const cellOverheadBytes = 120

/** A cell that is wanted in memory. */
export interface WantedCell {
  readonly entry: KeyEntry
  readonly slot: Slot
  readonly name: CellName | undefined
}

/** The cells of one task. What is in memory is the newest; what is not lies in the store as it was committed. */
export class KeyedState {
  readonly #options: KeyedStateOptions
  #dirty: Cell[] = []
  /** Removed cells, in the order of their barriers. */
  #removed: Cell[] = []
  #bytes = 0
  #barrier = 0
  #committed = 0
  /** The last commit after which removed cells were dropped. */
  #cleanedAt = 0
  /** The last commit after which everything was looked through in vain. */
  #sweptAt = -1
  /** Whether what is not in memory is nowhere. */
  #isWhole: boolean

  constructor(options: KeyedStateOptions) {
    this.#options = options
    this.#isWhole = options.isNew
    options.directory.onAdded = (entry) => {
      this.#bytes += entryBytes(entry)
    }
  }

  /** Whether a cell can be read and written now. */
  has(entry: KeyEntry, slot: Slot, name: CellName | undefined): boolean {
    return this.#isWhole || entry.cell(slot, name) !== undefined
  }

  /** Whether every named cell can be; undefined names the main cell alone. */
  hasAll(entry: KeyEntry, slot: Slot, names: readonly (CellName | undefined)[] | undefined): boolean {
    if (this.#isWhole) return true
    if (names === undefined) return entry.main[slot] !== undefined
    for (const name of names) if (entry.cell(slot, name) === undefined) return false
    return true
  }

  /** Throws Error for a cell that was not brought: a fault of the operator. */
  cell(entry: KeyEntry, slot: Slot, name: CellName | undefined): Cell {
    const cell = entry.cell(slot, name)
    if (cell !== undefined) return cell
    if (!this.#isWhole) throw new Error(`The cell ${name ?? '(main)'} was not brought before it was asked for.`)
    return this.#add(entry, slot, name, undefined)
  }

  put(cell: Cell, value: unknown, sequence: number): void {
    // What was changed in place has been kept before.
    if (cell.value !== value) cell.value = typeof value === 'object' ? kept(value) : value
    cell.sequence = sequence
    if (cell.isDirty) return
    cell.isDirty = true
    this.#dirty.push(cell)
  }

  #add(entry: KeyEntry, slot: Slot, name: CellName | undefined, stored: StoredCell | undefined): Cell {
    const cell: Cell = {
      value: stored && this.#options.unpack(stored.value),
      slot,
      name,
      entry,
      isDirty: false,
      isStored: stored !== undefined,
      sequence: 0,
      barrier: 0,
      bytes: cellOverheadBytes + (stored?.value.length ?? 0),
    }
    entry.add(cell)
    this.#bytes += cell.bytes
    return cell
  }

  /** Brings cells into memory, those that are not there in one go. */
  async bring(wanted: Iterable<WantedCell>): Promise<void> {
    const missing: WantedCell[] = []
    const seen = new Map<KeyEntry, WantedCell[]>()
    for (const cell of wanted) {
      if (this.has(cell.entry, cell.slot, cell.name)) continue
      const ofKey = seen.get(cell.entry)
      if (ofKey?.some((other) => other.slot === cell.slot && other.name === cell.name)) continue
      if (ofKey) ofKey.push(cell)
      else seen.set(cell.entry, [cell])
      missing.push(cell)
    }
    if (missing.length === 0) return
    const found = await this.#options.fetch(missing.map((cell) => this.#keyOf(cell)))
    missing.forEach(({ entry, slot, name }, i) => {
      if (!entry.cell(slot, name)) this.#add(entry, slot, name, found[i])
    })
  }

  #keyOf({ entry, slot, name }: WantedCell): CellKey {
    const key = this.#options.directory.name(entry)
    const { node } = this.#options.steps[slot] as StateStep
    return { node, hashHi: entry.hashHi, hashLo: entry.hashLo, key, name }
  }

  /** Takes everything that changed since the last barrier. Throws StepError for a state that cannot be stored. */
  barrier(number: number): CellChange[] {
    this.#barrier = number
    const changes: CellChange[] = []
    for (const cell of this.#dirty) {
      cell.isDirty = false
      cell.barrier = number
      if (cell.value === undefined) this.#removed.push(cell)
      if (cell.value === undefined && !cell.isStored) continue
      const stored = cell.value === undefined ? undefined : this.#stored(cell)
      cell.isStored = stored !== undefined
      const bytes = cellOverheadBytes + (stored?.value.length ?? 0)
      this.#bytes += bytes - cell.bytes
      cell.bytes = bytes
      const { entry, slot, name } = cell
      const key = this.#options.directory.name(entry)
      const { node } = this.#options.steps[slot] as StateStep
      // Member by member: a spread costs as much as all the rest of the row.
      changes.push({ node, hashHi: entry.hashHi, hashLo: entry.hashLo, key, name, cell: stored })
    }
    this.#dirty = []
    return changes
  }

  #stored({ slot, value, sequence, entry }: Cell): StoredCell {
    const { node, version } = this.#options.steps[slot] as StateStep
    try {
      return { value: this.#options.pack(packable(value)), version }
    } catch (error) {
      throw new StepError(node, sequence, error, entry.shown)
    }
  }

  /** A barrier has committed. Nothing is dropped before `sweep`. */
  committed(number: number): void {
    this.#committed = Math.min(number, this.#barrier)
  }

  /** Drops what need not be in memory. Only where no row is on its way: it may hold an entry that goes. */
  sweep(): void {
    if (this.#removed.length > 0 && this.#cleanedAt !== this.#committed) this.#dropRemoved()
    const bytesMax = this.#options.bytesMax()
    if (this.#bytes <= bytesMax || this.#sweptAt === this.#committed) return
    for (const entry of this.#options.directory.all()) {
      this.#evict(entry)
      if (this.#bytes <= bytesMax / 2) return
    }
    this.#sweptAt = this.#committed
  }

  /** Cells that are removed in the store too. */
  #dropRemoved(): void {
    this.#cleanedAt = this.#committed
    this.#removed = this.#removed.filter((cell) => {
      if (cell.barrier > this.#committed) return true
      // It may have been put again, or dropped already under another barrier.
      if (!cell.isDirty && cell.value === undefined && cell.entry.cell(cell.slot, cell.name) === cell) this.#drop(cell)
      return false
    })
  }

  #evict(entry: KeyEntry): void {
    for (const cell of entry.cells()) {
      if (cell.isDirty || cell.barrier > this.#committed) continue
      if (cell.isStored) this.#isWhole = false
      this.#drop(cell)
    }
    if (entry.isEmpty) this.#forget(entry)
  }

  #drop(cell: Cell): void {
    const { entry } = cell
    entry.drop(cell)
    this.#bytes -= cell.bytes
    if (entry.isEmpty) this.#forget(entry)
  }

  /** A key of which nothing is left in memory. */
  #forget(entry: KeyEntry): void {
    if (this.#options.directory.forget(entry)) this.#bytes -= entryBytes(entry)
  }

  /** Forgets a key whose last timer is gone, if nothing else is left of it. */
  release(entry: KeyEntry): void {
    if (entry.isEmpty) this.#forget(entry)
  }

  get bytes(): number {
    return this.#bytes
  }
}

const entryBytes = (entry: KeyEntry): number =>
  entryOverheadBytes + (typeof entry.mapKey === 'string' ? 2 * entry.mapKey.length : 8)
