import type { PlanDescription } from '../operators/index.js'
import type { BarrierResult, CellKey } from '../operators/task.js'

/** What the main thread says to a worker. Chunks go as transferred buffers of our own, which come back with `done`. */
export type ToWorker =
  | { readonly kind: 'describe'; readonly request: number; readonly file: string }
  | {
      readonly kind: 'open'
      readonly task: number
      readonly file: string
      readonly label: string
      readonly hashKeyName: string | undefined
      readonly sinkKeys: Readonly<Record<number, readonly string[]>>
      readonly stateBytesMax: number
    }
  | {
      readonly kind: 'chunks'
      readonly task: number
      readonly buffer: ArrayBuffer
      readonly lengths: readonly number[]
      readonly from: number
    }
  | { readonly kind: 'barrier'; readonly task: number; readonly number: number }
  | { readonly kind: 'committed'; readonly task: number; readonly number: number }
  | {
      readonly kind: 'cells'
      readonly task: number
      readonly request: number
      readonly values: readonly (Uint8Array | undefined)[]
    }
  | { readonly kind: 'close'; readonly task: number }
  | { readonly kind: 'stop' }

/** What a worker says to the main thread. */
export type FromWorker =
  | { readonly kind: 'described'; readonly request: number; readonly plan: PlanDescription }
  | { readonly kind: 'refused'; readonly request: number; readonly error: WireError }
  | {
      readonly kind: 'done'
      readonly task: number
      readonly buffer: ArrayBuffer
      readonly rowsIn: readonly number[]
      readonly seconds: number
    }
  | { readonly kind: 'barrier'; readonly task: number; readonly number: number; readonly result: BarrierResult }
  | { readonly kind: 'fetch'; readonly task: number; readonly request: number; readonly cells: readonly CellKey[] }
  | {
      readonly kind: 'failed'
      readonly task: number
      readonly error: WireError
      readonly step: number | undefined
      readonly sequence: number | undefined
    }
  | {
      readonly kind: 'log'
      readonly label: string
      readonly level: 'debug' | 'info' | 'warn' | 'error'
      readonly text: string
    }

/** An error on its way between threads. */
export interface WireError {
  readonly message: string
  readonly stack: string | undefined
  /** The code and remedy of a MillraceError. */
  readonly code?: string
  readonly remedy?: string
}

export function wireError(thrown: unknown): WireError {
  if (!(thrown instanceof Error)) return { message: String(thrown), stack: undefined }
  const { code, remedy } = thrown as { code?: unknown; remedy?: unknown }
  return {
    message: thrown.message,
    stack: thrown.stack,
    ...(typeof code === 'string' ? { code } : {}),
    ...(typeof remedy === 'string' ? { remedy } : {}),
  }
}

/**
 * What a worker writes before it runs user code, so that a loop, a crash or an exit names its record: four 32-bit numbers
 * (signs of life, 1 while user code may run, task, step), then the record's sequence number as a double.
 */
export const traceBytes = 24

export class Trace {
  readonly #words: Int32Array
  readonly #sequence: Float64Array

  constructor(readonly buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, 0, 4)
    this.#sequence = new Float64Array(buffer, 16, 1)
  }

  enter(task: number): void {
    this.#words[2] = task
    this.#words[3] = -1
    this.#sequence[0] = 0
    this.#words[0] = ((this.#words[0] as number) + 1) | 0
    Atomics.store(this.#words, 1, 1)
  }

  /** Says it all each time: between two records another task of the thread may have run. */
  mark(task: number, step: number, sequence: number): void {
    this.#words[1] = 1
    this.#words[2] = task
    this.#words[3] = step
    this.#sequence[0] = sequence
    this.#words[0] = ((this.#words[0] as number) + 1) | 0
  }

  leave(): void {
    Atomics.store(this.#words, 1, 0)
  }

  read(): {
    readonly life: number
    readonly isBusy: boolean
    readonly task: number
    readonly step: number
    readonly sequence: number
  } {
    return {
      life: Atomics.load(this.#words, 0),
      isBusy: Atomics.load(this.#words, 1) === 1,
      task: this.#words[2] as number,
      step: this.#words[3] as number,
      sequence: this.#sequence[0] as number,
    }
  }
}

/** The task number under which a module is described. */
export const describingTask = -1
