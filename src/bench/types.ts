/** What is measured against: a daemon in this process, or one at a URL. */
export interface BenchTarget {
  /** Makes a stream that does not split while it is measured. */
  createStream(name: string, shards: number): Promise<void>
  deleteStream(name: string): Promise<void>
  createTable(name: string): Promise<void>
  deleteTable(name: string): Promise<void>
  /** A binary batch; resolves when it is durable. */
  append(stream: string, batch: Buffer): Promise<void>
  /** Reads every shard from its beginning. Returns the records that were read. */
  replay(stream: string): Promise<number>
  deploy(bundle: string): Promise<string>
  deletePipeline(name: string): Promise<void>
  /** Sequence numbers that the pipeline is behind. */
  lag(pipeline: string): Promise<number>
  close(): Promise<void>
}

/** Milliseconds. */
export interface Percentiles {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

/** One line of a benchmark. */
export interface BenchRow {
  readonly what: string
  readonly records: number
  readonly seconds: number
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
  /** Of one request, where there are requests. */
  readonly ms?: Percentiles
}

export interface BenchResult {
  readonly machine: {
    readonly cores: number
    readonly model: string
    readonly memoryBytes: number
    readonly node: string
  }
  /** A 64 KiB write and fdatasync to a plain file beside the store; none against a URL. */
  readonly plainSyncMs?: Percentiles
  readonly rows: readonly BenchRow[]
  /** What a shard may carry on this machine, for the section `split.target`. */
  readonly target?: { readonly recordsPerSecond: number; readonly bytesPerSecond: number }
}

export interface BenchOptions {
  readonly seconds: number
  readonly shards: number
  /** Records of one append. */
  readonly batch: number
  /** Appends under way at once. */
  readonly inFlight: number
  /** Bytes of a record's body. */
  readonly bytes: number
  readonly keys: number
}
