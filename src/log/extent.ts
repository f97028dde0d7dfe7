/** A row of the chunk index is written after this much of a shard: what is trimmed, and searched by time, is no smaller. */
export const markBytes = 1024 * 1024
/** Also after this many chunks, so that the end of a shard is found without reading many small ones. */
export const markChunks = 256
/** Also after this much commit time, so that records of a slow shard do not stay much longer than they must. */
export const markMs = 10 * 60 * 1000

/** How far a shard reaches, as packed: its bytes since it was made, its newest commit time, and when the next mark is due. */
export class ShardExtent {
  /** Bytes of all chunks that were ever packed into it. */
  bytes: number
  /** Records of them; undefined where the shard began before they were counted. */
  records: number | undefined
  /** Commit time of its newest chunk; of its making while it has none. */
  time: number
  #markDue = true
  #markedBytes = 0
  #markedTime = 0
  #chunks = 0

  constructor(bytes: number, records: number | undefined, time: number) {
    this.bytes = bytes
    this.records = records
    this.time = time
  }

  /** Whether the next chunk of this commit time begins a mark. */
  isMarkDue(time: number): boolean {
    return (
      this.#markDue ||
      this.bytes - this.#markedBytes >= markBytes ||
      this.#chunks >= markChunks ||
      time - this.#markedTime >= markMs
    )
  }

  marked(time: number): void {
    this.#markDue = false
    this.#markedBytes = this.bytes
    this.#markedTime = time
    this.#chunks = 0
  }

  add(bytes: number, records: number, time: number): void {
    this.bytes += bytes
    if (this.records !== undefined) this.records += records
    this.time = time
    this.#chunks++
  }

  /** Everything before is trimmed: no mark is left that the next chunk could belong to. */
  forgetMark(): void {
    this.#markDue = true
  }
}

/** What a sealed shard keeps of how far it reaches. */
export const reachOf = ({ bytes, records, time }: ShardExtent): { bytes: number; time: number; count?: number } => ({
  bytes,
  time,
  ...(records === undefined ? {} : { count: records }),
})
