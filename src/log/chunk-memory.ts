/** Smaller chunks are cheap to allocate, and too many to keep. */
const reusedBytesMin = 4 * 1024
/** Sizes of memory in one doubling: a chunk leaves at most a fifth of its memory unused. */
const sizesPerDoubling = 4
/** Memory that waits to be written again. */
const freeBytesMax = 16 * 1024 * 1024

/**
 * Memory of chunks that is written again: a megabyte of fresh pages costs up to 1 ms of the main thread, and makes the
 * garbage collector run, where a copy into pages that are there costs 0.1 ms.
 */
export class ChunkMemory {
  /** By size; what came back last is the last. */
  readonly #free = new Map<number, ArrayBuffer[]>()
  #freeBytes = 0

  get freeBytes(): number {
    return this.#freeBytes
  }

  /** Memory of `length` bytes with anything in it; what lies around it belongs to nobody else. */
  take(length: number): Buffer {
    if (length < reusedBytesMin) return Buffer.allocUnsafeSlow(length)
    const size = sizeFor(length)
    const memory = this.#free.get(size)?.pop()
    if (!memory) return Buffer.from(Buffer.allocUnsafeSlow(size).buffer, 0, length)
    this.#freeBytes -= size
    return Buffer.from(memory, 0, length)
  }

  /** Takes back what `take` gave. Nobody may hold a view of it any more: it is going to be overwritten. */
  giveBack({ buffer }: Buffer): void {
    const size = buffer.byteLength
    if (size < reusedBytesMin || size > freeBytesMax) return
    const same = this.#free.get(size) ?? []
    this.#free.delete(size)
    this.#free.set(size, same)
    // Chunks of other sizes may be appended now: the size that came back longest ago goes first.
    while (this.#freeBytes + size > freeBytesMax) this.#drop()
    same.push(buffer as ArrayBuffer)
    this.#freeBytes += size
  }

  #drop(): void {
    const [size, memories] = this.#free.entries().next().value as [number, ArrayBuffer[]]
    if (memories.pop()) this.#freeBytes -= size
    else this.#free.delete(size)
  }
}

/** The next of the few sizes that memory has. */
function sizeFor(length: number): number {
  const step = 2 ** Math.floor(Math.log2(length)) / sizesPerDoubling
  return Math.ceil(length / step) * step
}
