import { constants, PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'

/** What is left in the heap of this thread by a full collection: what is there between two of them may be garbage. */
export class LiveHeap {
  /** 0 before the second full collection. */
  bytes = 0
  #last = Number.POSITIVE_INFINITY
  readonly #observer = new PerformanceObserver((list) => {
    const isFull = list
      .getEntries()
      .some((entry) => (entry as { detail?: { kind?: number } }).detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR)
    if (!isFull) return
    // This is told some time after the collection, and what was made meanwhile may be garbage: the lower of two counts.
    const used = getHeapStatistics().used_heap_size
    this.bytes = Math.min(used, this.#last === Number.POSITIVE_INFINITY ? 0 : this.#last)
    this.#last = used
  })

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  close(): void {
    this.#observer.disconnect()
  }
}
