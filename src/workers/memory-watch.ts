/** What is known of the memory of one thread. */
export interface ThreadMemory {
  /** Outside of its heap (Buffers), as it said last, bytes. */
  readonly externalBytes: number
  /** What was left in its heap after its last full collection, bytes; 0 before the first. */
  readonly heapBytes: number
  /** By how much the whole process has grown since it said so; 0 for a thread that answers. */
  readonly grownBytes: number
  /** It is being ended already. */
  readonly isEnding: boolean
}

export interface MemoryBounds {
  readonly heapBytesMax: number
  readonly externalBytesMax: number
  readonly rssBytesMax: number
}

/** Which thread has to go, and why. */
export interface MemoryVerdict {
  readonly index: number
  readonly why: string
}

/** Share of the heap that may be live: behind it, V8 ends the thread at some record or other, which has nothing to do with it. */
const liveHeapShare = 0.8
/** A thread that holds less of the process than this share is not to blame for the size of the process. */
const blameShare = 1 / 8

/**
 * The thread that takes more memory than it may: by what it said itself; or, where the whole process is too large, the one
 * with the largest memory outside of its heap. One that is in the midst of a record says nothing: whatever the process
 * grew by meanwhile is laid to its charge. undefined: none is to blame.
 */
export function overMemory(
  threads: readonly ThreadMemory[],
  rssBytes: number,
  { heapBytesMax, externalBytesMax, rssBytesMax }: MemoryBounds,
): MemoryVerdict | undefined {
  for (const [index, { externalBytes, heapBytes, isEnding }] of threads.entries()) {
    if (isEnding) continue
    if (externalBytes > externalBytesMax)
      return {
        index,
        why: `User code holds ${externalBytes} bytes outside of the heap, more than workers.externalBytesMax (${externalBytesMax}).`,
      }
    if (heapBytes > heapBytesMax * liveHeapShare)
      return { index, why: `User code keeps ${heapBytes} bytes in a heap of workers.heapBytesMax (${heapBytesMax}).` }
  }
  // While one is on its way out, nothing says yet how large the process is without it.
  if (rssBytes <= rssBytesMax || threads.some(({ isEnding }) => isEnding)) return undefined
  const sizes = threads.map(({ externalBytes, grownBytes }) => externalBytes + grownBytes)
  const largest = Math.max(0, ...sizes)
  if (largest < rssBytesMax * blameShare) return undefined
  return {
    index: sizes.indexOf(largest),
    why: `User code took memory until the process had ${rssBytes} bytes, more than workers.rssBytesMax (${rssBytesMax}).`,
  }
}
