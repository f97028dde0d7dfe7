import type { CellName, KeyedContext } from './task/keyed-operator.js'

/**
 * Rows per cell. Few, since a changed cell is written whole with every commit; a key with no more than this has all of its
 * rows in the main cell, so that most keys cost one cell.
 */
export const chunkRowsMax = 32

/** A row that is kept. The order tells rows of one time apart; the mark is whatever the operator notes about it. */
export type KeptRow = [time: number, order: number, value: unknown, mark?: number]

/** A cell of rows. */
interface Chunk {
  /** Its number, which names it. */
  readonly cell: number
  /** Time and order of its first row. */
  time: number
  order: number
  count: number
}

/** What a main cell holds of sorted rows: the rows themselves while they are few, else the list of their cells. */
export type SortedState =
  | { readonly rows: KeptRow[]; readonly chunks?: undefined }
  | { readonly rows?: undefined; readonly chunks: Chunk[]; readonly next: number }

/**
 * Rows of one key in the order of (time, order), cut into cells by time so that a row touches few of them. The operator
 * asks for the names of the cells that it will need, brings them, and goes on without a promise. `save` comes last.
 */
export class SortedRows {
  readonly #prefix: string
  readonly #context: KeyedContext
  #rows: KeptRow[] | undefined
  #chunks: Chunk[]
  #next: number
  readonly #brought = new Set<CellName>()
  readonly #loaded = new Map<number, KeptRow[]>()
  readonly #dirty = new Set<number>()
  #count = 0

  constructor(prefix: string, state: SortedState | undefined, context: KeyedContext) {
    this.#prefix = prefix
    this.#context = context
    this.#rows = state?.chunks ? undefined : (state?.rows ?? [])
    this.#chunks = state?.chunks ?? []
    this.#next = state?.chunks ? state.next : 0
    if (this.#rows) this.#count = this.#rows.length
    else for (const chunk of this.#chunks) this.#count += chunk.count
  }

  get count(): number {
    return this.#count
  }

  /** Time of the first row. */
  get firstTime(): number | undefined {
    return this.#rows ? this.#rows[0]?.[0] : this.#chunks[0]?.time
  }

  /** Time of the second row, when the first one's cell was brought. */
  get secondTime(): number | undefined {
    const rows = this.#head()
    return rows && (rows[1]?.[0] ?? this.#chunks[1]?.time)
  }

  /** The first row; undefined when there is none, or its cell was not brought. */
  get first(): KeptRow | undefined {
    return this.#head()?.[0]
  }

  /** Rows that lie in one cell with the first, all of them when there are few; none when that was not brought. */
  get head(): readonly KeptRow[] {
    return this.#head() ?? []
  }

  #head(): KeptRow[] | undefined {
    if (this.#rows) return this.#rows
    for (;;) {
      const chunk = this.#chunks[0]
      const rows = chunk && this.#load(chunk)
      if (!chunk || !rows || rows.length > 0) return rows
      this.#chunks.shift()
      this.#remove(chunk)
    }
  }

  /** Cells with the rows of these times, and with the last row before them. */
  namesIn(from: number, to: number): CellName[] {
    const names: CellName[] = []
    for (let i = 0; i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i] as Chunk
      if (i > 0 && chunk.time > to) break
      const next = this.#chunks[i + 1]
      if (!next || next.time >= from) names.push(this.#name(chunk))
    }
    return names
  }

  /** The cell of the first rows. */
  namesOfFirst(): CellName[] {
    const chunk = this.#chunks[0]
    return chunk ? [this.#name(chunk)] : []
  }

  /** The cells that a new row will be put into: one that is full is cut in two. */
  namesFor(time: number, order: number): CellName[] {
    if (this.#rows) return this.#rows.length < chunkRowsMax ? [] : [this.#nameOf(0), this.#nameOf(1)]
    const { cell, count } = this.#chunks[this.#chunkOf(time, order)] as Chunk
    return count < chunkRowsMax ? [this.#nameOf(cell)] : [this.#nameOf(cell), this.#nameOf(this.#next)]
  }

  /** Says that these cells were brought, so that they may be asked for. */
  brought(names: readonly CellName[]): void {
    for (const name of names) this.#brought.add(name)
  }

  /** Puts a row behind those of its time and order. Its cell must have been brought. */
  insert(row: KeptRow): void {
    this.#count++
    if (this.#rows) {
      place(this.#rows, row)
      if (this.#rows.length > chunkRowsMax) this.#spill(this.#rows)
      return
    }
    const i = this.#chunkOf(row[0], row[1])
    const chunk = this.#chunks[i] as Chunk
    const rows = this.#need(chunk)
    const at = place(rows, row)
    if (rows.length <= chunkRowsMax) return this.#describe(chunk, rows)
    // Rows mostly come in order: then what is there stays as it is, and the new one begins a cell.
    const isLast = at === rows.length - 1
    const rest = rows.splice(isLast ? at : rows.length >> 1)
    this.#chunks.splice(i + 1, 0, this.#newChunk(rest))
    if (!isLast) this.#describe(chunk, rows)
  }

  /** Gives each row of these times, in order; `each` says whether it changed the row. Their cells must have been brought. */
  visit(from: number, to: number, each: (row: KeptRow) => boolean): void {
    if (this.#rows) {
      visitRows(this.#rows, from, to, each)
      return
    }
    for (let i = 0; i < this.#chunks.length; i++) {
      const chunk = this.#chunks[i] as Chunk
      if (chunk.time > to) break
      const next = this.#chunks[i + 1]
      if (next && next.time < from) continue
      if (visitRows(this.#need(chunk), from, to, each)) this.#dirty.add(chunk.cell)
    }
  }

  /** The last row at or before a time. Its cell must have been brought (`namesIn(time, time)`). */
  last(time: number): KeptRow | undefined {
    if (this.#rows) return lastOf(this.#rows, time)
    for (let i = this.#chunks.length - 1; i >= 0; i--) {
      const chunk = this.#chunks[i] as Chunk
      if (chunk.time <= time) return lastOf(this.#need(chunk), time)
    }
    return undefined
  }

  /** Takes the first row away; undefined when there is none or its cell was not brought. */
  shift(): KeptRow | undefined {
    const rows = this.#head()
    const row = rows?.shift()
    if (!rows || !row) return undefined
    this.#count--
    if (this.#rows) return row
    if (rows.length > 0) this.#describe(this.#chunks[0] as Chunk, rows)
    // Takes the empty cell out, so that times and counts are those of rows.
    else this.#head()
    return row
  }

  /** Takes the rows up to a time away, in order. Their cells must have been brought. */
  takeUpTo(time: number): KeptRow[] {
    const taken: KeptRow[] = []
    for (let { first } = this; first && first[0] <= time; first = this.first) taken.push(this.shift() as KeptRow)
    return taken
  }

  /** Puts the cells that changed, and gives what the main cell shall hold; undefined for nothing. */
  save(): SortedState | undefined {
    this.#head()
    const only = this.#chunks[0]
    if (only && this.#chunks.length === 1 && this.#dirty.has(only.cell)) {
      this.#rows = this.#loaded.get(only.cell)
      this.#remove(only)
      this.#chunks = []
    }
    for (const cell of this.#dirty) this.#context.put(this.#loaded.get(cell), this.#nameOf(cell))
    this.#dirty.clear()
    if (this.#count === 0) return undefined
    return this.#rows ? { rows: this.#rows } : { chunks: this.#chunks, next: this.#next }
  }

  #spill(rows: KeptRow[]): void {
    const rest = rows.splice(rows.length >> 1)
    this.#rows = undefined
    this.#next = 0
    this.#chunks = [this.#newChunk(rows), this.#newChunk(rest)]
  }

  #newChunk(rows: KeptRow[]): Chunk {
    const chunk: Chunk = { cell: this.#next++, time: 0, order: 0, count: 0 }
    this.#loaded.set(chunk.cell, rows)
    this.#describe(chunk, rows)
    return chunk
  }

  #describe(chunk: Chunk, rows: readonly KeptRow[]): void {
    const first = rows[0] as KeptRow
    chunk.time = first[0]
    chunk.order = first[1]
    chunk.count = rows.length
    this.#dirty.add(chunk.cell)
  }

  #remove(chunk: Chunk): void {
    this.#loaded.delete(chunk.cell)
    this.#dirty.delete(chunk.cell)
    this.#context.put(undefined, this.#name(chunk))
  }

  /** Index of the cell that a row of this time and order belongs to. */
  #chunkOf(time: number, order: number): number {
    let i = this.#chunks.length - 1
    for (; i > 0; i--) {
      const chunk = this.#chunks[i] as Chunk
      if (!isBefore(time, order, chunk.time, chunk.order)) break
    }
    return i
  }

  #load(chunk: Chunk): KeptRow[] | undefined {
    let rows = this.#loaded.get(chunk.cell)
    if (!rows && this.#brought.has(this.#name(chunk))) {
      rows = this.#context.get(this.#name(chunk)) as KeptRow[] | undefined
      if (!rows) {
        // State with a time to live: this cell has not been written for longer than the one that lists it.
        rows = []
        this.#count -= chunk.count
        chunk.count = 0
      }
      this.#loaded.set(chunk.cell, rows)
    }
    return rows
  }

  #need(chunk: Chunk): KeptRow[] {
    const rows = this.#load(chunk)
    if (!rows) throw new Error(`The cell ${this.#name(chunk)} of rows was not brought.`)
    return rows
  }

  #name(chunk: Chunk): string {
    return this.#nameOf(chunk.cell)
  }

  #nameOf(cell: number): string {
    return `${this.#prefix}${cell}`
  }
}

/** Puts a row behind those of its time and order, and says where. */
function place(rows: KeptRow[], row: KeptRow): number {
  let at = rows.length
  for (; at > 0; at--) {
    const [time, order] = rows[at - 1] as KeptRow
    if (!isBefore(row[0], row[1], time, order)) break
  }
  rows.splice(at, 0, row)
  return at
}

const isBefore = (time: number, order: number, thanTime: number, thanOrder: number): boolean =>
  time < thanTime || (time === thanTime && order < thanOrder)

function visitRows(rows: readonly KeptRow[], from: number, to: number, each: (row: KeptRow) => boolean): boolean {
  let isChanged = false
  for (const row of rows) {
    if (row[0] > to) break
    if (row[0] >= from && each(row)) isChanged = true
  }
  return isChanged
}

function lastOf(rows: readonly KeptRow[], time: number): KeptRow | undefined {
  for (let i = rows.length - 1; i >= 0; i--) if ((rows[i] as KeptRow)[0] <= time) return rows[i]
  return undefined
}
