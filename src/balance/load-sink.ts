import type { ShardId } from '../log/index.js'

/** Where consumers say what the records of a shard cost them. */
export interface LoadSink {
  /** @param consumer one that follows shards in parallel, such as a pipeline; @param milliseconds of one thread */
  spent(shard: ShardId, consumer: string, records: number, milliseconds: number): void
}
