import { ChunkCursor } from '../log/format.js'
import { attributesOf } from './plain.js'
import { isVisible, type PartitionKey, partitionKeys, recordValue } from './records.js'
import type { Plan, SinkItem, SinkPlan, SinkRecord, Step } from './types.js'

/** A cell of state: what a named step keeps for one key. */
interface Cell {
  /** undefined: nothing yet. */
  value: unknown
  isDirty: boolean
  readonly key: PartitionKey
  readonly step: number
  /** The barrier that took its last change; it may be dropped from memory once that has committed. */
  barrier: number
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

/** What one sink gathered since the last barrier. */
export interface SinkOutput {
  readonly sink: number
  /** table: DynamoDB JSON items; stream: JSON of {key, value, time}; file: JSON lines. */
  readonly entries: readonly string[]
}

/** Everything that a barrier takes from a task. */
export interface BarrierResult {
  readonly cells: readonly CellChange[]
  readonly outputs: readonly SinkOutput[]
}

export interface TaskOptions {
  readonly plan: Plan
  /** Name of the source table's partition key; undefined for a plain stream. */
  readonly hashKeyName: string | undefined
  /** For table sinks, the names of the key attributes, by the index of the step. */
  readonly sinkKeys: Readonly<Record<number, readonly string[]>>
  /** State in memory above which clean cells are dropped. */
  readonly stateBytesMax: number
  /** Packs and unpacks state. */
  readonly pack: (value: unknown) => Buffer
  readonly unpack: (bytes: Buffer) => unknown
  /** Fetches committed cells that are not in memory, in order; undefined where there is none. */
  readonly fetch: (cells: readonly CellKey[]) => Promise<readonly (Buffer | undefined)[]>
  /** Called before user code runs on a record, so that a loop or an exit can be traced to it. */
  readonly mark: (step: number, sequence: number) => void
  /** Called before a promise of user code is awaited: what takes long then does not hold the thread. */
  readonly pause: () => void
}

/** A user function threw, or gave something that its step cannot take. */
export class StepError extends Error {
  readonly step: number
  readonly sequence: number

  constructor(step: number, sequence: number, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.step = step
    this.sequence = sequence
  }
}

interface Row {
  readonly value: unknown
  readonly key: PartitionKey | undefined
  readonly sequence: number
}

/** Bytes that a cell costs beside its key and its packed value. */
const cellOverheadBytes = 200

/**
 * One source task inside a worker: the steps of a plan, fused over the records of one shard. Rows pass through the
 * stateless steps first; then the cells of all their keys are fetched in one go, and the keyed steps run.
 */
export class Task {
  readonly #options: TaskOptions
  readonly #steps: readonly Step[]
  readonly #firstKeyed: number
  readonly #stateSteps: readonly number[]
  readonly #partitionKey: ReturnType<typeof partitionKeys>
  readonly #cells = new Map<string, Cell>()
  readonly #dirty = new Set<Cell>()
  readonly #outputs = new Map<number, string[]>()
  /** Table outputs: the last item of each key, since a put replaces what was there. */
  readonly #items = new Map<number, Map<string, string>>()
  #cellBytes = 0
  #barrier = 0
  #committed = 0
  /** Rows that entered each step, for the metrics. */
  readonly rowsIn: number[]

  constructor(options: TaskOptions) {
    this.#options = options
    this.#steps = options.plan.steps
    const keyed = this.#steps.findIndex((step) => step.kind === 'keyByPartition')
    this.#firstKeyed = keyed < 0 ? this.#steps.length : keyed
    this.#stateSteps = this.#steps.flatMap((step, i) => (isStateful(step) ? [i] : []))
    this.#partitionKey = partitionKeys(options.hashKeyName)
    this.rowsIn = this.#steps.map(() => 0)
  }

  /** Runs the records of a chunk from a sequence number on. Throws StepError; the task is then of no more use. */
  async process(chunk: Buffer, from: number): Promise<void> {
    const cursor = new ChunkCursor(chunk)
    const rows: Row[] = []
    while (cursor.next()) {
      if (cursor.sequence < from || !isVisible(cursor)) continue
      const { sequence } = cursor
      const key = this.#firstKeyed < this.#steps.length ? this.#partitionKey(cursor) : undefined
      const pending = this.#run(0, this.#firstKeyed, { value: this.#decode(cursor), key, sequence }, rows)
      if (pending) await pending
    }
    if (rows.length === 0 || this.#firstKeyed === this.#steps.length) return
    await this.#fetch(rows)
    for (const row of rows) {
      const pending = this.#run(this.#firstKeyed, this.#steps.length, row, undefined)
      if (pending) await pending
    }
  }

  #decode(cursor: ChunkCursor): unknown {
    try {
      return recordValue(cursor)
    } catch (error) {
      throw new StepError(0, cursor.sequence, error)
    }
  }

  /** Runs a row through steps; what comes out at `to` goes into `out`. Gives a promise only when user code did. */
  #run(from: number, to: number, row: Row, out: Row[] | undefined): Promise<void> | undefined {
    let value = row.value
    for (let i = from; i < to; i++) {
      const step = this.#steps[i] as Step
      this.rowsIn[i] = (this.rowsIn[i] as number) + 1
      this.#options.mark(i, row.sequence)
      let result: unknown
      try {
        result = this.#apply(step, i, value, row)
      } catch (error) {
        throw error instanceof StepError ? error : new StepError(i, row.sequence, error)
      }
      if (isThenable(result)) return this.#await(result, i, to, value, row, out)
      const next = this.#advance(step, i, result, value, row, to, out)
      if (next === dropped) return undefined
      if (next instanceof Promise) return next
      value = next
    }
    out?.push({ ...row, value })
    return undefined
  }

  async #await(
    promise: PromiseLike<unknown>,
    i: number,
    to: number,
    value: unknown,
    row: Row,
    out: Row[] | undefined,
  ): Promise<void> {
    const step = this.#steps[i] as Step
    let next: unknown
    try {
      this.#options.pause()
      const result = await promise
      this.#options.mark(i, row.sequence)
      next = this.#advance(step, i, result, value, row, to, out)
    } catch (error) {
      throw error instanceof StepError ? error : new StepError(i, row.sequence, error)
    }
    if (next === dropped) return
    if (next instanceof Promise) return next as Promise<void>
    const rest = this.#run(i + 1, to, { ...row, value: next }, out)
    if (rest) await rest
  }

  /** Calls the user's function. */
  #apply(step: Step, i: number, value: unknown, row: Row): unknown {
    const key = row.key?.shown as never
    switch (step.kind) {
      case 'keyByPartition':
      case 'count':
        return undefined
      case 'reduce': {
        const state = this.#cell(i, row).value
        return state === undefined ? value : step.run(state as never, value as never)
      }
      case 'aggregate': {
        const state = this.#cell(i, row).value
        return step.run((state === undefined ? step.initial() : state) as never, value as never, key)
      }
      case 'sink':
        return step.sink.run ? step.sink.run(value as never, key) : value
      default:
        return step.run(value as never, key)
    }
  }

  /** What the next step gets, `dropped` when there is nothing, or a promise that runs the rest of several values. */
  #advance(
    step: Step,
    i: number,
    result: unknown,
    value: unknown,
    row: Row,
    to: number,
    out: Row[] | undefined,
  ): unknown {
    switch (step.kind) {
      case 'keyByPartition':
        return value
      case 'filter':
        return result ? value : dropped
      case 'map':
        return result
      case 'flatMap':
        return this.#spread(result, i, row, to, out)
      case 'count':
        return this.#set(i, row, ((this.#cell(i, row).value as number | undefined) ?? 0) + 1)
      case 'sum': {
        if (typeof result !== 'number' || !Number.isFinite(result))
          throw new TypeError(`sum('${step.name}') was given ${String(result)}, which is no finite number.`)
        return this.#set(i, row, ((this.#cell(i, row).value as number | undefined) ?? 0) + result)
      }
      case 'reduce':
      case 'aggregate':
        if (result === undefined)
          throw new TypeError(`${step.kind}('${step.name}') returned undefined, which is no state.`)
        return this.#set(i, row, result)
      case 'sink':
        this.#emit(step.sink, i, result)
        return value
    }
  }

  #spread(values: unknown, i: number, row: Row, to: number, out: Row[] | undefined): unknown {
    if (typeof (values as Iterable<unknown> | undefined)?.[Symbol.iterator] !== 'function')
      throw new TypeError('flatMap returned something that is not iterable.')
    const iterator = (values as Iterable<unknown>)[Symbol.iterator]()
    const rest = (): Promise<void> | undefined => {
      for (;;) {
        const each = iterator.next()
        if (each.done) return undefined
        const pending = this.#run(i + 1, to, { ...row, value: each.value }, out)
        if (pending) return pending.then(rest)
      }
    }
    return rest() ?? dropped
  }

  #emit(sink: SinkPlan, i: number, result: unknown): void {
    if (sink.kind !== 'file' && (result === undefined || result === null)) return
    if (sink.kind === 'table') {
      const item = attributesOf(result as SinkItem)
      const names = this.#options.sinkKeys[i] ?? []
      const missing = names.find((name) => item[name] === undefined)
      if (missing !== undefined) throw new TypeError(`The item for ${sink.name} lacks the key attribute ${missing}.`)
      let items = this.#items.get(i)
      if (!items) {
        items = new Map()
        this.#items.set(i, items)
      }
      items.set(JSON.stringify(names.map((name) => item[name])), JSON.stringify(item))
      return
    }
    const entry = sink.kind === 'stream' ? streamEntry(result as SinkRecord) : fileLine(result)
    const entries = this.#outputs.get(i)
    if (entries) entries.push(entry)
    else this.#outputs.set(i, [entry])
  }

  #cell(step: number, row: Row): Cell {
    const key = row.key as PartitionKey
    const name = cellName(step, key.bytes)
    let cell = this.#cells.get(name)
    if (!cell) {
      cell = { value: undefined, isDirty: false, key: owned(key), step, barrier: 0 }
      this.#cells.set(name, cell)
      this.#cellBytes += cellOverheadBytes
    }
    return cell
  }

  #set(step: number, row: Row, value: unknown): unknown {
    const cell = this.#cell(step, row)
    cell.value = value
    cell.isDirty = true
    this.#dirty.add(cell)
    return value
  }

  /** Brings the cells of the rows' keys into memory. */
  async #fetch(rows: readonly Row[]): Promise<void> {
    if (this.#stateSteps.length === 0) return
    const missing = new Map<string, { step: number; key: PartitionKey }>()
    for (const { key } of rows) {
      for (const step of this.#stateSteps) {
        const name = cellName(step, (key as PartitionKey).bytes)
        if (!this.#cells.has(name)) missing.set(name, { step, key: key as PartitionKey })
      }
    }
    this.#evict()
    if (missing.size === 0) return
    const wanted = [...missing.values()].map(({ step, key }) => ({
      step,
      hashHi: key.hashHi,
      hashLo: key.hashLo,
      key: key.bytes,
    }))
    const found = await this.#options.fetch(wanted)
    let i = 0
    for (const [name, { step, key }] of missing) {
      const bytes = found[i++]
      this.#cells.set(name, {
        value: bytes ? this.#options.unpack(bytes) : undefined,
        isDirty: false,
        key: owned(key),
        step,
        barrier: 0,
      })
      this.#cellBytes += cellOverheadBytes + (bytes?.length ?? 0)
    }
  }

  /** Past the bound, cells whose last change has committed are dropped: the store has them. */
  #evict(): void {
    if (this.#cellBytes <= this.#options.stateBytesMax) return
    for (const [name, cell] of this.#cells) {
      if (cell.isDirty || cell.barrier > this.#committed) continue
      this.#cells.delete(name)
      this.#cellBytes -= cellOverheadBytes
      if (this.#cellBytes <= this.#options.stateBytesMax / 2) break
    }
    // The sizes of values were only estimated; what is left is counted anew.
    this.#cellBytes = Math.min(this.#cellBytes, this.#cells.size * 2 * cellOverheadBytes)
  }

  /** Takes everything that changed since the last barrier. */
  barrier(number: number): BarrierResult {
    this.#barrier = number
    const cells: CellChange[] = []
    for (const cell of this.#dirty) {
      const value = this.#options.pack(cell.value)
      cells.push({ step: cell.step, hashHi: cell.key.hashHi, hashLo: cell.key.hashLo, key: cell.key.bytes, value })
      cell.isDirty = false
      cell.barrier = number
    }
    this.#dirty.clear()
    const outputs: SinkOutput[] = []
    for (const [sink, entries] of this.#outputs) outputs.push({ sink, entries })
    for (const [sink, items] of this.#items) outputs.push({ sink, entries: [...items.values()] })
    this.#outputs.clear()
    this.#items.clear()
    return { cells, outputs }
  }

  /** A barrier has committed. */
  committed(number: number): void {
    this.#committed = Math.min(number, this.#barrier)
  }
}

const dropped = Symbol('dropped')

function isStateful(step: Step): boolean {
  return step.kind === 'count' || step.kind === 'sum' || step.kind === 'reduce' || step.kind === 'aggregate'
}

const cellName = (step: number, key: Buffer): string => `${step} ${key.toString('latin1')}`

/** A cell outlives the chunk that its key was read from. */
const owned = (key: PartitionKey): PartitionKey => ({ ...key, bytes: Buffer.from(key.bytes) })

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function streamEntry(record: SinkRecord): string {
  if (typeof record !== 'object' || typeof record.key !== 'string')
    throw new TypeError('A stream sink takes {key, value}, the key a string.')
  const { key, value, time } = record
  return JSON.stringify({ key, value: value === undefined ? null : value, time })
}

function fileLine(value: unknown): string {
  const line = JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? String(each) : each instanceof Set ? [...each] : each,
  )
  if (line === undefined) throw new TypeError('A file sink was given something that JSON cannot hold.')
  return line
}
