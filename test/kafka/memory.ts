import type { EffectSet } from '../../src/commit/types.js'
import type { Group, Position } from '../../src/groups/index.js'
import type { BridgeLogger, Origin } from '../../src/kafka/index.js'
import {
  batchBytes,
  Codec,
  chunkHeaderBytes,
  type ImagesKept,
  type Log,
  type LogPage,
  type NewRecord,
  RecordKind,
  readChunkHeader,
  type Sequence,
  ShapeStore,
  type Shard,
  type ShardId,
  type Stream,
  type StreamId,
  sealChunk,
  stampBatch,
  writeBatch,
} from '../../src/log/index.js'
import { compareHash, type Hash64, hashKey, MillraceError } from '../../src/runtime/index.js'

/** A change body in the layout of `Codec.dynamoJsonChange`. */
export function changeBody(keys: object, newImage?: object, oldImage?: object): Buffer {
  const json = (value: object | undefined): Buffer => (value ? Buffer.from(JSON.stringify(value)) : Buffer.alloc(0))
  const parts = [json(keys), json(newImage), json(oldImage)]
  const header = Buffer.alloc(24)
  parts.forEach((part, i) => {
    header.writeUInt32LE(part.length, i * 4)
    header.writeUInt32LE(part.length, 12 + i * 4)
  })
  return Buffer.concat([header, ...parts])
}

export function newRecord(key: string, body: string | Buffer, kind: RecordKind = RecordKind.append): NewRecord {
  const bytes = Buffer.from(key)
  const codec = kind === RecordKind.append ? Codec.json : Codec.dynamoJsonChange
  return { hash: hashKey(bytes), kind, flags: 0, codec, time: 1_700_000_000_000, key: bytes, body: Buffer.from(body) }
}

const everyHash = { low: { hi: 0, lo: 0 }, high: { hi: 0xffffffff, lo: 0xffffffff } }

/** The log's contract in memory, for one stream: every append is a commit of its own and durable at once. */
export class MemoryLog implements Log {
  #stream: Stream
  readonly shapes = new ShapeStore({ stream: () => undefined })
  readonly #shards = new Map<ShardId, Shard>()
  readonly #chunks = new Map<ShardId, Buffer[]>()
  readonly #listeners = new Set<() => void>()
  #next = 1
  #commit = 0
  #shardIds = 0
  commitTime = 1_700_000_000_000

  constructor(kind: Stream['kind'] = 'plain', name = 'clicks', images: ImagesKept = { old: true, new: true }) {
    this.#stream = {
      id: 1 as StreamId,
      name: kind === 'table' ? `table:${name}` : name,
      kind,
      createdAt: this.commitTime,
    }
    this.#open({ ...everyHash, parents: [], images })
  }

  #open(shape: Pick<Shard, 'low' | 'high' | 'parents' | 'images'>): Shard {
    const id = ++this.#shardIds as ShardId
    const firstSequence = this.#next++ as Sequence
    const shard: Shard = {
      ...shape,
      id,
      stream: this.#stream.id,
      children: [],
      state: 'open',
      firstSequence,
      lowWatermark: firstSequence,
      createdAt: this.commitTime,
    }
    this.#shards.set(id, shard)
    this.#chunks.set(id, [])
    return shard
  }

  append(records: readonly NewRecord[]): Sequence[] {
    const byShard = new Map<ShardId, { record: NewRecord; at: number }[]>()
    records.forEach((record, at) => {
      const { id } = this.route(this.#stream.id, record.hash) as Shard
      byShard.set(id, [...(byShard.get(id) ?? []), { record, at }])
    })
    const sequences: Sequence[] = []
    this.#commit++
    for (const [id, placed] of byShard) {
      const batch = placed.map(({ record }) => record)
      const length = batchBytes(batch)
      const chunk = Buffer.alloc(chunkHeaderBytes + length)
      writeBatch(chunk, chunkHeaderBytes, batch, length)
      stampBatch(chunk, chunkHeaderBytes, this.#next, this.commitTime)
      const first = this.#next as Sequence
      for (const { at } of placed) sequences[at] = this.#next++ as Sequence
      const last = (this.#next - 1) as Sequence
      sealChunk(chunk, {
        commit: this.#commit,
        commitTime: this.commitTime,
        previous: 0 as Sequence,
        first,
        last,
        shard: id,
        batches: 1,
      })
      this.#chunks.get(id)?.push(chunk)
    }
    this.changed()
    return sequences
  }

  changed(): void {
    for (const listener of this.#listeners) listener()
  }

  streams = (): readonly Stream[] => [this.#stream]
  streamNamed = (name: string): Stream | undefined => (name === this.#stream.name ? this.#stream : undefined)
  stream = (id: StreamId): Stream | undefined => (id === this.#stream.id ? this.#stream : undefined)
  shards = (): readonly Shard[] => [...this.#shards.values()]
  shard = (id: ShardId): Shard | undefined => this.#shards.get(id)
  nextSequence = (): Sequence => this.#next as Sequence

  route(_stream: StreamId, hash: Hash64): Shard | undefined {
    return this.shards().find(
      (shard) => shard.state === 'open' && compareHash(shard.low, hash) <= 0 && compareHash(hash, shard.high) <= 0,
    )
  }

  async split(id: ShardId): Promise<readonly Shard[]> {
    const parent = this.#seal(id)
    const middle = Math.floor((parent.low.hi + parent.high.hi) / 2)
    const { images } = parent
    const children = [
      this.#open({ low: parent.low, high: { hi: middle, lo: 0xffffffff }, parents: [id], images }),
      this.#open({ low: { hi: middle + 1, lo: 0 }, high: parent.high, parents: [id], images }),
    ]
    this.#shards.set(id, { ...parent, children: children.map((child) => child.id) })
    this.changed()
    return children
  }

  async merge(left: ShardId, right: ShardId): Promise<Shard> {
    const [lower, upper] = [this.#seal(left), this.#seal(right)]
    const { low, images } = lower
    const child = this.#open({ low, high: upper.high, parents: [left, right], images })
    for (const parent of [lower, upper]) this.#shards.set(parent.id, { ...parent, children: [child.id] })
    this.changed()
    return child
  }

  #seal(id: ShardId): Shard {
    const sealed: Shard = {
      ...(this.#shards.get(id) as Shard),
      state: 'sealed',
      lastSequence: this.#next++ as Sequence,
      sealedAt: this.commitTime,
    }
    this.#shards.set(id, sealed)
    return sealed
  }

  /** The next number is so much higher, as after the opening of a store that was restored. */
  skip(numbers: number): void {
    this.#next += numbers
  }

  /** Records below a number are no longer kept. */
  trim(id: ShardId, to: Sequence): void {
    this.#shards.set(id, { ...(this.#shards.get(id) as Shard), lowWatermark: to })
  }

  async closeStream(): Promise<void> {
    for (const shard of this.shards()) if (shard.state === 'open') this.#seal(shard.id)
    this.#stream = { ...this.#stream, closedAt: this.commitTime }
    this.changed()
  }

  async read(id: ShardId, from: Sequence, { bytesMax }: { bytesMax: number }): Promise<LogPage> {
    const shard = this.#shards.get(id) as Shard
    if (from < shard.lowWatermark) throw new MillraceError('TRIMMED', `Shard ${id} begins at ${shard.lowWatermark}.`)
    const chunks: Buffer[] = []
    let bytes = 0
    let next = from
    for (const chunk of this.#chunks.get(id) as Buffer[]) {
      const { last } = readChunkHeader(chunk)
      if (last < from) continue
      if (bytes >= bytesMax) return { chunks, next, ended: false }
      chunks.push(chunk)
      bytes += chunk.length
      next = (last + 1) as Sequence
    }
    return { chunks, next, ended: shard.state === 'sealed' }
  }

  onChange(_stream: StreamId, listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }

  lastSequence = (id: ShardId): Sequence => {
    const chunk = this.#chunks.get(id)?.at(-1)
    return chunk ? readChunkHeader(chunk).last : (this.#shards.get(id) as Shard).firstSequence
  }

  recordsIn = (id: ShardId): number => this.#recordsBelow(id, Number.POSITIVE_INFINITY)
  recordsBefore = async (id: ShardId, sequence: Sequence): Promise<number> => this.#recordsBelow(id, sequence)

  #recordsBelow(id: ShardId, sequence: number): number {
    return (this.#chunks.get(id) ?? []).reduce((sum, chunk) => {
      const { first, last } = readChunkHeader(chunk)
      return sum + Math.max(0, Math.min(last + 1, sequence) - first)
    }, 0)
  }

  createStream = (): never => {
    throw new Error('one stream only')
  }
  reopenShards = this.createStream
  sequenceAtTime = this.createStream
  guardMerges = this.createStream
  alterStream = this.createStream
  openShards = this.createStream
}

/** The group's contract in memory; what it would have written lies in `rows` until the commit took it. */
export class MemoryGroup implements Group {
  hasDueTimers = false
  readonly name = 'bridge:test'
  readonly stream = 1 as StreamId
  readonly #log: MemoryLog
  readonly #positions = new Map<ShardId, Position>()

  constructor(log: MemoryLog, positions?: readonly Position[]) {
    this.#log = log
    const root = log.shards()[0] as Shard
    for (const position of positions ?? [{ shard: root.id, next: root.firstSequence, ended: false }])
      this.#positions.set(position.shard, position)
  }

  positions = (): readonly Position[] => [...this.#positions.values()]
  position = (shard: ShardId): Position | undefined => this.#positions.get(shard)

  readable(): readonly Position[] {
    return this.#log.shards().flatMap((shard) => {
      const position = this.#positions.get(shard.id)
      if (position) return position.ended ? [] : [position]
      const open = shard.parents.length > 0 && shard.parents.every((parent) => this.#positions.get(parent)?.ended)
      return open ? [{ shard: shard.id, next: shard.firstSequence, ended: false }] : []
    })
  }

  rowsFor = (positions: readonly Position[]) =>
    positions.map((position) => ({
      key: Buffer.from(`position ${position.shard}`),
      value: Buffer.from(JSON.stringify(position)),
    }))

  moved(positions: readonly Position[]): void {
    for (const position of positions) this.#positions.set(position.shard, position)
  }
}

/** Takes effect sets and remembers their rows, as the store after a crash would have them. */
export class MemoryCommit {
  readonly rows = new Map<string, Buffer>()
  commits = 0
  failure: Error | undefined
  /** What every commit waits for. */
  gate: Promise<void> | undefined

  async submit(effects: EffectSet): Promise<{ commit: number; time: number }> {
    await new Promise((resolve) => setImmediate(resolve))
    await this.gate
    if (this.failure) throw this.failure
    for (const { key, value } of effects.rows ?? []) {
      if (value) this.rows.set(key.toString(), value)
      else this.rows.delete(key.toString())
    }
    return { commit: ++this.commits, time: 1_700_000_000_000 }
  }

  readDurableMany = async (keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> =>
    keys.map((key) => this.rows.get(key.toString()))

  /** The positions as a restart would find them. */
  positions(): Position[] {
    return [...this.rows]
      .filter(([key]) => key.startsWith('position '))
      .map(([, value]) => JSON.parse(value.toString()) as Position)
  }
}

export const silent: BridgeLogger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** Waits until something holds; fails with the last state after a minute. */
export async function until(holds: () => boolean, what: () => unknown = () => holds.toString()): Promise<void> {
  for (const end = Date.now() + 180_000; !holds(); ) {
    if (Date.now() > end) throw new Error(`not within three minutes: ${JSON.stringify(what())}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export const origin: Origin = {
  version: '0.1.0',
  region: 'local',
  epochOf: () => 3,
  eventIdPrefix: () => 'event-',
}
