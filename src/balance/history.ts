import { Family, type RowEffect } from '../commit/index.js'
import type { ShardId, StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import type { LoadKind, ParkReason, ShardLoad } from './types.js'

/** Of each stream so many are kept. */
export const decisionsKept = 1000

export type SplitReason = LoadKind | 'manual'
export type MergeReason = 'cold' | 'manual'

/** A key as people are shown it, with its part of the shard's load. */
export interface ShownKey {
  readonly hash: string
  readonly key: string
  readonly share: number
}

interface Decided {
  readonly number: number
  /** Milliseconds since 1970; commit time. */
  readonly time: number
  /** What was measured of each shard that it is about; none when somebody asked for it by hand. */
  readonly load: readonly ShardLoad[]
}

/** What was decided, why, and with which figures. */
export type DecisionRecord =
  | (Decided & {
      readonly kind: 'split'
      readonly reason: SplitReason
      readonly parents: readonly ShardId[]
      readonly children: readonly ShardId[]
      /** First hash of each child but the first. */
      readonly cuts: readonly string[]
      readonly isolated: readonly ShownKey[]
      /** Expected load of each child. */
      readonly pieces: readonly number[]
    })
  | (Decided & {
      readonly kind: 'merge'
      readonly reason: MergeReason
      readonly parents: readonly ShardId[]
      readonly children: readonly ShardId[]
    })
  | (Decided & {
      readonly kind: 'park'
      readonly reason: ParkReason
      readonly shard: ShardId
      readonly pauseMs: number
      readonly key?: ShownKey | undefined
      readonly remedies: readonly string[]
    })

type WithoutPlace<T> = T extends unknown ? Omit<T, 'number' | 'time'> : never
export type NewDecision = WithoutPlace<DecisionRecord>

const version = 1

/** `decision`: family, stream u32be, number u32be -> version u8, JSON. */
function decisionKey(stream: StreamId, number: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = Family.decision
  key.writeUInt32BE(stream, 1)
  key.writeUInt32BE(number, 5)
  return key
}

const numberMax = 0xffff_ffff

/** The decisions about the shards of every stream: written in the commit that carries them out, read from the store. */
export class DecisionHistory {
  readonly #storage: Storage
  readonly #next = new Map<StreamId, number>()

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** Must have resolved before `rows` is called for the stream. */
  async prepare(stream: StreamId): Promise<void> {
    if (this.#next.has(stream)) return
    const { keys } = await this.#page(stream, 1)
    if (!this.#next.has(stream)) this.#next.set(stream, keys[0] ? keys[0].readUInt32BE(5) + 1 : 1)
  }

  /** The rows that keep one more, for its commit; call it when that is packed. */
  rows(stream: StreamId, decision: NewDecision, time: number): readonly RowEffect[] {
    const number = this.#next.get(stream)
    // The stream is gone, and with it its history.
    if (number === undefined) return []
    this.#next.set(stream, number + 1)
    const record = { ...decision, number, time } as DecisionRecord
    const value = Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(record))])
    const rows: RowEffect[] = [{ key: decisionKey(stream, number), value }]
    if (number > decisionsKept) rows.push({ key: decisionKey(stream, number - decisionsKept), value: undefined })
    return rows
  }

  /** Forgets where the history of a stream goes on, for all but these. */
  keepOnly(streams: ReadonlySet<StreamId>): void {
    for (const stream of this.#next.keys()) if (!streams.has(stream)) this.#next.delete(stream)
  }

  /** Of how many streams it is known. */
  get known(): number {
    return this.#next.size
  }

  /** Newest first. */
  async newest(stream: StreamId, limit: number): Promise<readonly DecisionRecord[]> {
    return (await this.#page(stream, limit)).values.map(decode)
  }

  #page(stream: StreamId, limit: number) {
    const range = { gte: decisionKey(stream, 0), lte: decisionKey(stream, numberMax) }
    return this.#storage.page({ ...range, reverse: true, limit, bytesMax: 16 << 20 })
  }
}

function decode(value: Buffer): DecisionRecord {
  if (value[0] !== version)
    throw new MillraceError('DATA_DIR_NEWER', `A decision row has version ${value[0]}; this version knows ${version}.`)
  return JSON.parse(value.toString('utf8', 1)) as DecisionRecord
}
