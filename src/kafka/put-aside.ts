import { type CommitPath, Family, type RowEffect } from '../commit/index.js'
import type { Position } from '../groups/index.js'
import type { Log, NewRecord, Sequence, ShardId, StreamId } from '../log/index.js'
import { asMillraceError, type Clock, MillraceError, sleep } from '../runtime/index.js'
import { letterRecord } from './dead-letters.js'
import type { KafkaMessage } from './types.js'

/** Bytes of dead letters in one commit, about. */
const setBytesMax = 1024 * 1024
/** How long to leave a busy or full store alone. */
const retryMs = 200
const version = 1
const entryBytes = 12

/** A record that cannot be sent, with the first of its messages, and why. */
export interface RefusedRecord {
  readonly shard: ShardId
  readonly sequence: Sequence
  readonly message: KafkaMessage
  readonly failure: MillraceError
}

/** The record behind a message of a bridge. */
export const shardOf = ({ headers }: KafkaMessage): ShardId => Number(headers['millrace-shard']) as ShardId
export const sequenceOf = ({ headers }: KafkaMessage): Sequence => Number(headers['millrace-sequence']) as Sequence

export interface PutAsideOptions {
  readonly commit: Pick<CommitPath, 'submit' | 'readDurableMany'>
  readonly log: Pick<Log, 'stream'>
  readonly clock: Clock
  readonly bridge: string
  readonly topic: string
  /** What is remembered is of this life of the bridge: a seek begins another one. */
  readonly instance: string
  readonly deadLetters: StreamId
  /** The store does not take them for now. */
  readonly onBusy: (error: MillraceError, tryAgainInMs: number) => void
  readonly onPut: (records: number) => void
}

/** `bridgeAside`: family, id of the bridge (16 bytes) -> version u8, for each record: shard u32le, sequence number u64le. */
const asideKey = (instance: string): Buffer =>
  Buffer.concat([Buffer.from([Family.bridgeAside]), Buffer.from(instance.replaceAll('-', ''), 'hex')])

/** Nothing is remembered of that life of a bridge any more. */
export const asideGone = (instance: string): RowEffect => ({ key: asideKey(instance), value: undefined })

/**
 * Records of a bridge out that were put aside as dead letters, and that its durable position has not passed. The letters and what is
 * remembered of their records are one commit, before anything moves past them in Kafka: so after a kill, when they are read again, they
 * are known, and neither sent nor put aside once more.
 */
export class PutAside {
  readonly #options: PutAsideOptions
  #known: ReadonlyMap<ShardId, ReadonlySet<Sequence>> = new Map()

  constructor(options: PutAsideOptions) {
    this.#options = options
  }

  /** Reads what is remembered; comes before everything else. */
  async load(): Promise<void> {
    const { commit, instance } = this.#options
    const [value] = await commit.readDurableMany([asideKey(instance)])
    this.#known = value ? decode(value) : new Map()
  }

  get isEmpty(): boolean {
    return this.#known.size === 0
  }

  has(shard: ShardId, sequence: Sequence): boolean {
    return this.#known.get(shard)?.has(sequence) ?? false
  }

  /** Resolves when the letters are durable. Throws NOT_FOUND when their stream is gone, NOT_READY after the stop. */
  async put(refused: readonly RefusedRecord[], stop: AbortSignal): Promise<void> {
    const due = refused.filter(({ shard, sequence }) => !this.has(shard, sequence))
    for (const part of partsOf(due.map((each) => ({ ...each, letter: this.#letter(each) })))) {
      await this.#store(part, stop)
      this.#options.onPut(part.length)
    }
  }

  /** Rows for the commit in which the bridge's position moves: what it has passed is forgotten. */
  rowsFor(positions: readonly Position[]): readonly RowEffect[] {
    if (this.isEmpty) return []
    const left = new Map(this.#known)
    for (const { shard, next, ended } of positions) {
      const known = left.get(shard)
      if (!known) continue
      const kept = ended ? [] : [...known].filter((sequence) => sequence >= next)
      if (kept.length === known.size) continue
      if (kept.length === 0) left.delete(shard)
      else left.set(shard, new Set(kept))
    }
    if (sizeOf(left) === sizeOf(this.#known)) return []
    // Commits come to pass in the order in which they are asked for, and the one behind this begins where this ends.
    this.#known = left
    return [this.#row(left)]
  }

  #row(known: ReadonlyMap<ShardId, ReadonlySet<Sequence>>): RowEffect {
    return { key: asideKey(this.#options.instance), value: known.size === 0 ? undefined : encode(known) }
  }

  async #store(part: readonly (RefusedRecord & { letter: NewRecord })[], stop: AbortSignal): Promise<void> {
    const { commit, deadLetters, log, clock, onBusy } = this.#options
    for (;;) {
      if (stop.aborted) throw new MillraceError('NOT_READY', 'The bridge is stopping.')
      const stream = log.stream(deadLetters)
      if (!stream || stream.closedAt !== undefined)
        throw new MillraceError('NOT_FOUND', 'The stream that takes what the bridge cannot send is gone.', {
          remedy: 'Delete the bridge and create it again, with --start newest where nothing is to be sent twice.',
        })
      const known = new Map<ShardId, Set<Sequence>>()
      for (const [shard, sequences] of this.#known) known.set(shard, new Set(sequences))
      for (const { shard, sequence } of part) known.set(shard, (known.get(shard) ?? new Set()).add(sequence))
      const records = [{ stream: deadLetters, records: part.map(({ letter }) => letter) }]
      try {
        const receipt = commit.submit({ rows: [this.#row(known)], records })
        // It was taken, so it comes before every later commit of these rows.
        this.#known = known
        await receipt
        return
      } catch (thrown) {
        const error = asMillraceError(thrown)
        if (error.code !== 'TOO_BUSY' && error.code !== 'STORAGE_FULL') throw thrown
        onBusy(error, retryMs)
        await sleep(clock, retryMs)
      }
    }
  }

  #letter({ shard, sequence, message, failure }: RefusedRecord): NewRecord {
    const { bridge, topic, clock } = this.#options
    const { key, value, partition, timestamp } = message
    const headers = Object.entries(message.headers).map(([name, text]) => [name, Buffer.from(text)] as const)
    const error = failure.message
    return letterRecord(
      { error, bridge, topic, partition, shard, sequence, timestamp, key, value, headers },
      clock.now(),
    )
  }
}

function* partsOf<Each extends { readonly letter: NewRecord }>(letters: readonly Each[]): Generator<readonly Each[]> {
  let part: Each[] = []
  let bytes = 0
  for (const each of letters) {
    const size = each.letter.key.length + each.letter.body.length
    if (part.length > 0 && bytes + size > setBytesMax) {
      yield part
      part = []
      bytes = 0
    }
    part.push(each)
    bytes += size
  }
  if (part.length > 0) yield part
}

const sizeOf = (known: ReadonlyMap<ShardId, ReadonlySet<Sequence>>): number =>
  [...known.values()].reduce((sum, { size }) => sum + size, 0)

function encode(known: ReadonlyMap<ShardId, ReadonlySet<Sequence>>): Buffer {
  const value = Buffer.alloc(1 + sizeOf(known) * entryBytes)
  value[0] = version
  let at = 1
  for (const [shard, sequences] of known)
    for (const sequence of sequences) {
      value.writeUInt32LE(shard, at)
      value.writeBigUInt64LE(BigInt(sequence), at + 4)
      at += entryBytes
    }
  return value
}

function decode(value: Buffer): Map<ShardId, Set<Sequence>> {
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `What a bridge has put aside has the row version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  const known = new Map<ShardId, Set<Sequence>>()
  for (let at = 1; at < value.length; at += entryBytes) {
    const shard = value.readUInt32LE(at) as ShardId
    const sequence = Number(value.readBigUInt64LE(at + 4)) as Sequence
    known.set(shard, (known.get(shard) ?? new Set<Sequence>()).add(sequence))
  }
  return known
}
