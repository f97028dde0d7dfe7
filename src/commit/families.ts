import type { Storage } from '../storage/index.js'

/**
 * The first byte of every key. `docs/formats.md` draws each key and value. A family that nobody writes yet is reserved
 * so that no other use can take its byte.
 */
export const Family = {
  meta: 0x01,
  ledger: 0x02,
  stream: 0x03,
  shard: 0x04,
  chunk: 0x05,
  chunkIndex: 0x06,
  table: 0x07,
  item: 0x08,
  group: 0x09,
  position: 0x0a,
  pipeline: 0x0b,
  bridge: 0x0c,
  state: 0x0d,
  module: 0x0e,
  sinkFile: 0x0f,
  /** One row per (stream, producer). */
  producer: 0x10,
  /** Field names and types of rows, by stream. */
  shape: 0x11,
  /** Timers of pipelines. */
  timer: 0x12,
  /** Entries of secondary indexes of tables. */
  index: 0x13,
  /** Items by the time at which they expire. */
  expiry: 0x14,
  awsStream: 0x15,
  /** What was decided about the shards of a stream, and why. */
  decision: 0x16,
  /** Client tokens of transactions that went through. */
  token: 0x17,
  /** How far the event time of a pipeline is: by source shard, and by keyed stage. */
  eventTime: 0x18,
  /** Rows of pipelines that wait: what failed, and what came after it under the same key. */
  parked: 0x19,
  /** What the outboxes of pipelines hold, and how far their deliveries are. */
  outbox: 0x1a,
  /** How far the feeds of pipelines are: the items of a table, or the lines of files. */
  feed: 0x1b,
  /** The next offset of each partition that a bridge reads of Kafka. */
  kafkaOffset: 0x1c,
  /** Functions, their code, and calls of them that wait. */
  function: 0x1d,
  /** Records that a bridge to Kafka has put aside and not passed yet. */
  bridgeAside: 0x1e,
  /** Full-text indexes of tables: what each is made of. */
  searchIndex: 0x22,
  /** Event source mappings: what calls a function with the records of a table's stream. */
  mapping: 0x20,
  /** Tumbling windows that are open in the shards of mappings. */
  mappingWindow: 0x21,
  /** Items of tables with replicas that were deleted: what an older write of them loses against. */
  tombstone: 0x23,
  /** How far replicas are, what they have overwritten, and how far the clock of stamps is. */
  replication: 0x24,
} as const

export type Family = (typeof Family)[keyof typeof Family]

/**
 * Whether rows of a key's family are kept in memory by their keys, until they are durable and in the row cache. Entries of indexes
 * and timers are read in ranges alone; state of pipelines is held by who writes it, and read when that has dropped it, or by
 * people: in memory they would only take the place of what is read often.
 */
export const isKeptByKey = ([family]: Buffer): boolean =>
  family !== Family.index && family !== Family.state && family !== Family.timer

/** The values of all rows of a family, in the order of their keys: for families of which a start reads everything. */
export async function valuesOfFamily(storage: Pick<Storage, 'scan'>, family: Family): Promise<Buffer[]> {
  const values: Buffer[] = []
  const range = { gte: Buffer.from([family]), lt: Buffer.from([family + 1]), bytesMax: 1 << 20 }
  for await (const page of storage.scan(range)) values.push(...page.values)
  return values
}
