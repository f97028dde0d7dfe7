import type { BodyReader } from '../log/bodies.js'
import { ChunkCursor } from '../log/format.js'
import type { KeySchema } from '../tables/values/index.js'
import { type CellChange, Cells, type CellsOptions } from './cells.js'
import { Outputs, type SinkOutput } from './outputs.js'
import { isVisible, kept, type PartitionKey, partitionKeys, recordSource, recordValue } from './records.js'
import { StepError } from './step-error.js'
import type { Plan, Step } from './types.js'

export type { KeySchema } from '../tables/values/index.js'
export type { CellChange, CellKey } from './cells.js'
export { type SinkBatch, type SinkOutput, timeless } from './outputs.js'
export { PackedMap } from './state-value.js'
export { StepError, stackOf, textOf } from './step-error.js'

/** Everything that a barrier takes from a task. */
export interface BarrierResult {
  readonly cells: readonly CellChange[]
  readonly outputs: readonly SinkOutput[]
}

export interface TaskOptions extends CellsOptions {
  readonly plan: Plan
  /** Name of the source table's partition key; undefined for a plain stream. */
  readonly hashKeyName: string | undefined
  /** Knows the shapes of the source's rows before a chunk of them comes. */
  readonly bodies: BodyReader
  /** The keys of the tables that table sinks write to, by the index of the step. */
  readonly sinkKeys: Readonly<Record<number, KeySchema>>
  /** Called before user code runs on a record, so that a loop or an exit can be traced to it. */
  readonly mark: (step: number, sequence: number) => void
  /** Called before a promise of user code is awaited: what takes long then does not hold the thread. */
  readonly pause: (step: number, sequence: number) => void
  /** Lets the other tasks of the thread have their turn; undefined while this one has not run for long. */
  readonly turn: () => Promise<void> | undefined
}

interface Row {
  readonly value: unknown
  readonly key: PartitionKey | undefined
  readonly sequence: number
}

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
  readonly #cells: Cells
  readonly #outputs: Outputs
  /** Rows that entered each step, for the metrics. */
  readonly rowsIn: number[]

  constructor(options: TaskOptions) {
    this.#options = options
    this.#steps = options.plan.steps
    const keyed = this.#steps.findIndex((step) => step.kind === 'keyByPartition')
    this.#firstKeyed = keyed < 0 ? this.#steps.length : keyed
    this.#stateSteps = this.#steps.flatMap((step, i) => (isStateful(step) ? [i] : []))
    this.#partitionKey = partitionKeys(options.hashKeyName)
    this.#cells = new Cells(options)
    this.#outputs = new Outputs(options.sinkKeys)
    this.rowsIn = this.#steps.map(() => 0)
  }

  /** Runs the records of a chunk from a sequence number on. Throws StepError; the task is then of no more use. */
  async process(chunk: Buffer, from: number): Promise<void> {
    const cursor = new ChunkCursor(chunk)
    const source = recordSource(chunk, this.#options.bodies)
    const isKeyed = this.#firstKeyed < this.#steps.length
    const rows: Row[] = []
    while (cursor.next()) {
      if (cursor.sequence < from || !isVisible(cursor)) continue
      const { sequence } = cursor
      const key = isKeyed ? this.#partitionKey(cursor) : undefined
      const row = { value: recordValue(cursor, source), key, sequence }
      const pending = this.#run(0, this.#firstKeyed, row, isKeyed ? rows : undefined)
      if (pending) await pending
      const turn = this.#options.turn()
      if (turn) await turn
    }
    if (rows.length === 0) return
    if (this.#stateSteps.length > 0)
      await this.#cells.bring(
        this.#stateSteps,
        rows.map((row) => row.key as PartitionKey),
      )
    for (const row of rows) {
      const pending = this.#run(this.#firstKeyed, this.#steps.length, row, undefined)
      if (pending) await pending
      const turn = this.#options.turn()
      if (turn) await turn
    }
  }

  /** Runs a row through steps; what comes out at `to` goes into `out`. Gives a promise only when user code did. */
  #run(from: number, to: number, row: Row, out: Row[] | undefined): Promise<void> | undefined {
    let value = row.value
    for (let i = from; i < to; i++) {
      const step = this.#steps[i] as Step
      this.rowsIn[i] = (this.rowsIn[i] as number) + 1
      this.#options.mark(i, row.sequence)
      let next: unknown
      try {
        const result = this.#apply(step, i, value, row)
        if (isThenable(result)) return this.#await(result, i, to, value, row, out)
        next = this.#advance(step, i, result, value, row, to, out)
      } catch (error) {
        throw error instanceof StepError ? error : new StepError(i, row.sequence, error)
      }
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
      this.#options.pause(i, row.sequence)
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
        const state = this.#state(i, row)
        return state === undefined ? value : step.run(state as never, value as never)
      }
      case 'aggregate': {
        const state = this.#state(i, row)
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
        return this.#set(i, row, ((this.#state(i, row) as number | undefined) ?? 0) + 1)
      case 'sum':
        return this.#set(i, row, sumOf(step.name, (this.#state(i, row) as number | undefined) ?? 0, result))
      case 'reduce':
      case 'aggregate':
        if (result === undefined)
          throw new TypeError(`${step.kind}('${step.name}') returned undefined, which is no state.`)
        return this.#set(i, row, result)
      case 'sink':
        this.#outputs.take(step.sink, i, result)
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

  #state(step: number, row: Row): unknown {
    return this.#cells.get(step, row.key as PartitionKey)
  }

  #set(step: number, row: Row, value: unknown): unknown {
    const state = kept(value)
    this.#cells.set(step, row.key as PartitionKey, state, row.sequence)
    return state
  }

  /** Takes everything that changed since the last barrier. Throws StepError; the task is then of no more use. */
  barrier(number: number): BarrierResult {
    return { cells: this.#cells.barrier(number), outputs: this.#outputs.barrier() }
  }

  /** A barrier has committed. */
  committed(number: number): void {
    this.#cells.committed(number)
  }
}

const dropped = Symbol('dropped')

function isStateful(step: Step): boolean {
  return step.kind === 'count' || step.kind === 'sum' || step.kind === 'reduce' || step.kind === 'aggregate'
}

function sumOf(name: string, sum: number, amount: unknown): number {
  if (typeof amount !== 'number' || !Number.isFinite(amount))
    throw new TypeError(
      `sum('${name}') was given ${typeof amount === 'number' ? amount : `a ${typeof amount}`}, which is no finite number.`,
    )
  const next = sum + amount
  if (!Number.isFinite(next)) throw new TypeError(`sum('${name}') has grown past the largest number.`)
  return next
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
