import type { Hash64 } from '../runtime/index.js'

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** Strictly increasing over the whole daemon, 1 to 2^53 - 1. */
export type Sequence = Branded<number, 'Sequence'>
/** Store-wide number of a stream; never used twice. */
export type StreamId = Branded<number, 'StreamId'>
/** Store-wide number of a shard; never used twice. */
export type ShardId = Branded<number, 'ShardId'>

/** What a record says. Kinds from 128 on are control records of `.through` streams (reserved, written by nobody yet). */
export const RecordKind = { append: 0, insert: 1, modify: 2, remove: 3 } as const
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind]

/** How a record's body is written. docs/formats.md describes each. */
export const Codec = {
  /** Bytes, as they came. */
  raw: 0,
  /** A UTF-8 JSON value. */
  json: 1,
  /** A change of a table's item: sizes, then keys, new image and old image as DynamoDB JSON. */
  dynamoJsonChange: 2,
  /** A row: a slot for each field of its shape, read lazily. */
  row: 3,
  /** A MessagePack value: what makes no row. */
  msgpack: 4,
} as const
export type Codec = (typeof Codec)[keyof typeof Codec]

export const RecordFlag = {
  /** Removed by the daemon itself (time to live), not by a user. */
  service: 1,
  /** An item as a snapshot of its table found it: no change. */
  snapshot: 2,
  /** Written by a replica of the table in another region: not sent on. */
  replicated: 4,
} as const

/** One record on its way into a stream. The sequence number and the shard are given by the commit. */
export interface NewRecord {
  readonly hash: Hash64
  readonly kind: RecordKind
  readonly flags: number
  readonly codec: Codec
  /** Of a row, the id of its shape; 0 else. */
  readonly shape?: number
  /** The event's time, milliseconds since 1970; commit time where the source has none. */
  readonly time: number
  readonly key: Buffer
  readonly body: Buffer
}

/** Which images a shard's change records carry. */
export interface ImagesKept {
  readonly old: boolean
  readonly new: boolean
}

export interface Shard {
  readonly id: ShardId
  readonly stream: StreamId
  /** Inclusive range of key hashes. */
  readonly low: Hash64
  readonly high: Hash64
  readonly parents: readonly ShardId[]
  readonly children: readonly ShardId[]
  readonly state: 'open' | 'sealed'
  /** The sequence number that its making took; every record of it is higher. */
  readonly firstSequence: Sequence
  /** The sequence number that its sealing took; every record of it is lower. Only when sealed. */
  readonly lastSequence?: Sequence
  /** The oldest sequence number that may still be read. */
  readonly lowWatermark: Sequence
  readonly createdAt: number
  readonly sealedAt?: number
  /** What a sealed shard holds up to its end; absent in rows of format 1. */
  readonly records?: ShardRecords
  /** What has been trimmed; absent until something is. */
  readonly trimmed?: ShardTrimmed
  readonly images: ImagesKept
}

/** How far the records of a shard reach. */
export interface ShardRecords {
  /** Its newest record, or the number of its making. */
  readonly last: Sequence
  /** Bytes of all its chunks since it was made. */
  readonly bytes: number
  /** How many records it has had since it was made; absent where it began before they were counted. */
  readonly count?: number
  /** Commit time of its newest record. */
  readonly time: number
}

/** What is gone of a shard, below its low watermark. */
export interface ShardTrimmed {
  readonly bytes: number
  /** How many records; absent where the shard began before they were counted. */
  readonly records?: number
  /** No row of the chunk index below this number is needed any more. */
  readonly indexFrom: number
  /** Below this number nothing is left to delete. */
  readonly sweptFrom: number
}

export interface Stream {
  readonly id: StreamId
  /** A plain stream's name, or `table:NAME` for a table's change log. */
  readonly name: string
  readonly kind: 'plain' | 'table'
  readonly createdAt: number
  /** Set when the stream was deleted or its table is gone; it is readable until its records are trimmed. */
  readonly closedAt?: number
  /** What this stream keeps instead of what the configuration says. */
  readonly retention?: RetentionPolicy
  /** What this stream has instead of the configuration's `split` section; the balance room knows its members. */
  readonly policy?: Readonly<Record<string, unknown>>
}

/**
 * How long records are kept: until they are older than `ms` milliseconds (by commit time) or the stream is larger than
 * `bytes`, whichever comes first; an absent member does not bound.
 */
export type RetentionPolicy = 'forever' | { readonly ms?: number; readonly bytes?: number }

/** A record as it is read; `key` and `body` are views into the chunk. */
export interface LogRecord extends NewRecord {
  readonly sequence: Sequence
  readonly commitTime: number
}

/** What one read of a shard gives. */
export interface LogPage {
  /** Whole chunks in order; records below `from` in the first one must be skipped. */
  readonly chunks: readonly Buffer[]
  /** The position after this page: the next sequence number to ask for. */
  readonly next: Sequence
  /** True when the shard is sealed and nothing is left behind `next`: the reader has its SHARD_END. */
  readonly ended: boolean
  /**
   * Says that no byte of the chunks is looked at any more, so that their memory may be written again; no view of them may
   * be left. A reader that does not call it leaves them to the garbage collector.
   */
  readonly release?: () => void
  /** The memory of the chunks is the reader's own, each has one for itself: it may be handed over to another thread. */
  readonly isOwned?: boolean
}
