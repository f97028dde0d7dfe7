import { getHeapStatistics } from 'node:v8'

/** How often a thread says how much memory it has, ms. */
export const gaugeMs = 100

export const gaugeMemory = (): SharedArrayBuffer => new SharedArrayBuffer(3 * Float64Array.BYTES_PER_ELEMENT)

/** Memory of one thread, written by it and read by the main thread: its heap, what it holds outside, and how often it said so. */
export class MemoryGauge {
  readonly #values: Float64Array

  constructor(memory: SharedArrayBuffer) {
    this.#values = new Float64Array(memory)
  }

  /** Called in the thread. Gives the bytes of both. */
  measure(): number {
    const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
    const values = this.#values
    values[0] = heap
    values[1] = external
    values[2] = (values[2] as number) + 1
    return heap + external
  }

  read(): { readonly heapBytes: number; readonly externalBytes: number; readonly times: number } {
    const [heapBytes, externalBytes, times] = this.#values as unknown as [number, number, number]
    return { heapBytes, externalBytes, times }
  }
}
