import type { NewRecord, Sequence, ShardId, StreamId } from '../log/types.js'
import type { MillraceError } from '../runtime/index.js'

/** A row to put, or to delete when `value` is undefined. The key's first byte is its family (families.ts). */
export interface RowEffect {
  readonly key: Buffer
  readonly value: Buffer | undefined
}

/** Records for one stream. Give an empty `placed` to learn where they went; the commit fills it. */
export interface RecordEffect {
  readonly stream: StreamId
  readonly records: readonly NewRecord[]
  placed?: Placement[]
}

/** Batches that a client encoded (formats.md): copied as they lie unless they span shards. */
export interface BatchEffect {
  readonly stream: StreamId
  readonly batch: Buffer
  placed?: Placement[]
}

export interface Placement {
  readonly shard: ShardId
  readonly firstSequence: Sequence
  readonly count: number
}

/**
 * Data that is applied whole or not at all, never cut over two commits. Once submitted it belongs to the commit: its
 * buffers may not be changed any more.
 */
export interface EffectSet {
  readonly rows?: readonly RowEffect[]
  readonly records?: readonly (RecordEffect | BatchEffect)[]
  /** Commits also while appends are refused for want of disk space: positions, trims, ends of shards. */
  readonly essential?: boolean
  /**
   * Runs when the commit is packed, before any record of it gets its number: for rows that carry a sequence number or
   * the commit's time (layout changes, joins). Synchronous; must not throw. Its rows are not in the overlay; they are
   * written in the order of the submits, before the set's other rows.
   */
  readonly atPack?: (context: PackContext) => readonly RowEffect[]
  /**
   * Asked when the commit is packed, in the order of submits and just before this set's own `atPack`: an error refuses the
   * whole set. Nothing of it is applied, and `submit` rejects with that error once the commit, on which the refusal rests,
   * is durable. Such a set has no `rows`: others could have decided on them (make them in `atPack`).
   */
  readonly guard?: () => MillraceError | undefined
  /**
   * Runs when the records of the commit have their places (`placed` is filled): for rows that say where they went.
   * Synchronous; must not throw. Its rows are not in the overlay: whoever decides on them must be kept waiting, by their
   * latch, until this commit has returned.
   */
  readonly afterPack?: (context: { readonly commit: number; readonly time: number }) => readonly RowEffect[]
}

export interface PackContext {
  readonly commit: number
  readonly time: number
  /** Takes a sequence number of its own, lower than that of every record of this commit. */
  takeSequence(): Sequence
}

export interface Receipt {
  /** Number of the commit that carried the effect set. */
  readonly commit: number
  /** Its time, milliseconds since 1970; never goes back. */
  readonly time: number
}

/** A value as a decider sees it: durable state and everything queued. */
export interface Decided {
  readonly value: Buffer | undefined
  /**
   * The newest queued effect that this answer rests on, or undefined when all of it is durable. An answer given to a
   * client without an effect of its own must wait for it (`CommitPath.returned`).
   */
  readonly seen: number | undefined
}

/** Releases what `latch` took. Idempotent. */
export type Release = () => void

/** The one exit: whatever must last goes through here. */
export interface CommitPath {
  /** For deciders, under the row's latch: durable state and queued effects. */
  read(key: Buffer): Promise<Decided> | Decided
  /** As `read`, of many rows that are latched, where nobody is answered. */
  readMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>
  /** For answers to clients: durable state only. */
  readDurable(key: Buffer): Promise<Buffer | undefined> | Buffer | undefined
  /** As `readDurable`, with a character for each byte (latin1), as the row cache holds it. */
  readDurableText(key: Buffer): Promise<string | undefined> | string | undefined
  readDurableMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>
  /**
   * Takes the latches of all rows, in key order, before the first read; hold them until `submit` was called (not until
   * it resolves). Rejects with TOO_BUSY when too many wait for one key.
   */
  latch(keys: readonly Buffer[]): Promise<Release> | Release
  /**
   * Queues an effect set and resolves when it is durable. Throws EFFECT_TOO_LARGE or STORAGE_FULL at once (nothing
   * queued); rejects with STORE_FAILED and `outcome: 'unknown'` when the write failed. When submit returns, the rows
   * are visible to `read` and the latches may be released.
   */
  submit(effects: EffectSet): Promise<Receipt>
  /** Resolves when the commit with this number (from `Decided.seen`) is durable. */
  returned(commit: number): Promise<void>
  /** Resolves when everything queued so far is durable. */
  settled(): Promise<void>
}
