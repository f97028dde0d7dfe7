import type { PartitionKey } from './records.js'
import { packable } from './state-value.js'
import { StepError } from './step-error.js'

/** A cell of state: what a named step keeps for one key. */
interface Cell {
  /** undefined: nothing yet. */
  value: unknown
  readonly step: number
  readonly key: PartitionKey
  isDirty: boolean
  /** Sequence number of the record that changed it last. */
  sequence: number
  /** The barrier that took its last change; it may be dropped from memory once that has committed. */
  barrier: number
  /** What it counts against the bound: its key and its value as it was packed last. */
  bytes: number
}

/** The cell of a step and key, to be fetched or written. */
export interface CellKey {
  readonly step: number
  readonly hashHi: number
  readonly hashLo: number
  readonly key: Buffer
}

export interface CellChange extends CellKey {
  readonly value: Buffer
}

export interface CellsOptions {
  /** State in memory above which clean cells are dropped; it may change while the task runs. */
  readonly stateBytesMax: () => number
  /** Packs and unpacks state. */
  readonly pack: (value: unknown) => Buffer
  readonly unpack: (bytes: Buffer) => unknown
  /** Fetches committed cells that are not in memory, in order; undefined where there is none. */
  readonly fetch: (cells: readonly CellKey[]) => Promise<readonly (Buffer | undefined)[]>
}

/** Bytes that a cell costs beside its key and its packed value. */
const cellOverheadBytes = 300

/** The state of one task. What is in memory is the newest; what is not lies in the store as it was committed. */
export class Cells {
  readonly #options: CellsOptions
  readonly #cells = new Map<string, Cell>()
  readonly #dirty = new Set<Cell>()
  #bytes = 0
  #barrier = 0
  #committed = 0

  constructor(options: CellsOptions) {
    this.#options = options
  }

  get(step: number, key: PartitionKey): unknown {
    return this.#cell(step, key).value
  }

  set(step: number, key: PartitionKey, value: unknown, sequence: number): void {
    const cell = this.#cell(step, key)
    cell.value = value
    cell.sequence = sequence
    cell.isDirty = true
    this.#dirty.add(cell)
  }

  #cell(step: number, key: PartitionKey): Cell {
    const name = cellName(step, key.bytes)
    return this.#cells.get(name) ?? this.#add(name, step, key, undefined)
  }

  #add(name: string, step: number, key: PartitionKey, packed: Buffer | undefined): Cell {
    const cell: Cell = {
      value: packed ? this.#options.unpack(packed) : undefined,
      step,
      // A cell outlives the chunk that its key was read from.
      key: { ...key, bytes: Buffer.from(key.bytes) },
      isDirty: false,
      sequence: 0,
      barrier: 0,
      bytes: cellOverheadBytes + key.bytes.length + (packed?.length ?? 0),
    }
    this.#cells.set(name, cell)
    this.#bytes += cell.bytes
    return cell
  }

  /** Brings the cells of these keys into memory, those that are not there in one go. */
  async bring(steps: readonly number[], keys: Iterable<PartitionKey>): Promise<void> {
    // Before the look at what is missing: what it finds must still be there when the steps run.
    this.#evict()
    const missing = new Map<string, { step: number; key: PartitionKey }>()
    for (const key of keys) {
      for (const step of steps) {
        const name = cellName(step, key.bytes)
        if (!this.#cells.has(name)) missing.set(name, { step, key })
      }
    }
    if (missing.size === 0) return
    const wanted = [...missing.values()].map(
      // A copy: a message takes all of the buffer that a view lies in with it, which would be the whole handover.
      ({ step, key }) => ({ step, hashHi: key.hashHi, hashLo: key.hashLo, key: Buffer.from(key.bytes) }),
    )
    const found = await this.#options.fetch(wanted)
    let i = 0
    for (const [name, { step, key }] of missing) this.#add(name, step, key, found[i++])
  }

  /** Past the bound, cells whose last change has committed are dropped: the store has them. */
  #evict(): void {
    const bytesMax = this.#options.stateBytesMax()
    if (this.#bytes <= bytesMax) return
    for (const [name, cell] of this.#cells) {
      if (cell.isDirty || cell.barrier > this.#committed) continue
      this.#cells.delete(name)
      this.#bytes -= cell.bytes
      if (this.#bytes <= bytesMax / 2) break
    }
  }

  /** Takes everything that changed since the last barrier. Throws StepError for a state that cannot be stored. */
  barrier(number: number): CellChange[] {
    this.#barrier = number
    const changes: CellChange[] = []
    for (const cell of this.#dirty) {
      const value = this.#packed(cell)
      const { step, key } = cell
      changes.push({ step, hashHi: key.hashHi, hashLo: key.hashLo, key: key.bytes, value })
      const bytes = cellOverheadBytes + key.bytes.length + value.length
      this.#bytes += bytes - cell.bytes
      cell.bytes = bytes
      cell.isDirty = false
      cell.barrier = number
    }
    this.#dirty.clear()
    return changes
  }

  #packed(cell: Cell): Buffer {
    try {
      return this.#options.pack(packable(cell.value))
    } catch (error) {
      throw new StepError(cell.step, cell.sequence, error)
    }
  }

  /** A barrier has committed. */
  committed(number: number): void {
    this.#committed = Math.min(number, this.#barrier)
  }
}

const cellName = (step: number, key: Buffer): string => `${step} ${key.toString('latin1')}`
