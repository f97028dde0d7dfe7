/** Bytes of events that the shards of all mappings may hold read ahead; a shard that holds none may always read. */
export class BufferBudget {
  readonly bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Nobody reads ahead any more, and batches do not wait for more records. */
  get isSpent(): boolean {
    return this.#bytes >= this.bytesMax
  }

  /** A shard holds so much more, or less. */
  changed(bytes: number): void {
    this.#bytes += bytes
  }
}
