/**
 * Reads what a disk holds by docs/formats.md alone. Nothing here comes from the code that wrote it, so a fault there
 * cannot hide itself.
 */
import { crc32 } from 'node:zlib'

export interface StoredRecord {
  readonly stream: number
  readonly shard: number
  readonly sequence: number
  readonly commit: number
  readonly commitTime: number
  /** 16 hex digits. */
  readonly hash: string
  readonly key: string
  readonly body: string
}

export interface StoredShard {
  readonly id: number
  readonly stream: number
  readonly low: string
  readonly high: string
  readonly parents: readonly number[]
  readonly children: readonly number[]
  readonly state: 'open' | 'sealed'
  readonly firstSequence: number
  readonly lastSequence: number | undefined
  readonly lowWatermark: number
}

type StoredShardRow = Omit<StoredShard, 'low' | 'high' | 'lastSequence'> & {
  readonly low: { readonly hi: number; readonly lo: number }
  readonly high: { readonly hi: number; readonly lo: number }
  readonly lastSequence?: number
}

export interface StoredCommit {
  readonly commit: number
  readonly first: number
  readonly last: number
  readonly time: number
  readonly epoch: number
}

export interface StoredPosition {
  readonly group: number
  readonly shard: number
  readonly next: number
  readonly ended: boolean
  readonly lease: number
}

const family = { ledger: 2, stream: 3, shard: 4, chunk: 5, group: 9, position: 10, row: 8 }

const u64 = (bytes: Buffer, at: number) => bytes.readUInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at)
const hex = (number: number) => number.toString(16).padStart(8, '0')
const json = <T>(value: Buffer) => JSON.parse(value.toString('utf8', 1)) as T

/** The records of one chunk row, and what its header says of the one before. */
export interface StoredChunk {
  readonly previous: number
  readonly first: number
  readonly last: number
  readonly records: readonly StoredRecord[]
}

export function readChunk(value: Buffer, streamOf: (shard: number) => number): StoredChunk {
  if (value.toString('latin1', 0, 4) !== 'MRC1') throw new Error('a chunk does not begin with MRC1')
  if (value.readUInt32LE(8) !== value.length) throw new Error('a chunk does not say its length')
  if (value.readUInt32LE(12) !== crc32(value.subarray(16))) throw new Error('a chunk does not match its checksum')
  const shard = value.readUInt32LE(56)
  const stream = streamOf(shard)
  const commit = u64(value, 16)
  const records: StoredRecord[] = []
  let batch = 64
  for (let number = 0; number < value.readUInt32LE(60); number++) {
    if (value.toString('latin1', batch, batch + 4) !== 'MRB1') throw new Error('a batch does not begin with MRB1')
    const end = batch + value.readUInt32LE(batch + 8)
    const count = value.readUInt32LE(batch + 12)
    const bodies = batch + 64 + count * 32
    for (let i = 0; i < count; i++) {
      const header = batch + 64 + i * 32
      const key = bodies + value.readUInt32LE(header + 28)
      const body = key + value.readUInt16LE(header + 12)
      const next = i + 1 < count ? bodies + value.readUInt32LE(header + 60) : end
      records.push({
        stream,
        shard,
        sequence: u64(value, batch + 48) + i,
        commit,
        commitTime: u64(value, batch + 56),
        hash: hex(value.readUInt32LE(header)) + hex(value.readUInt32LE(header + 4)),
        key: value.toString('utf8', key, body),
        body: value.toString('utf8', body, next),
      })
    }
    batch = end
  }
  if (batch !== value.length) throw new Error('the batches of a chunk do not fill it')
  return { previous: u64(value, 32), first: u64(value, 40), last: u64(value, 48), records }
}

/** Everything that a store holds of the log and of groups. */
export class Stored {
  readonly commits: StoredCommit[] = []
  readonly streams = new Map<number, { readonly name: string; readonly isClosed: boolean }>()
  readonly shards = new Map<number, StoredShard>()
  /** Of each shard its chunks, in the order of their keys. */
  readonly chunks = new Map<number, StoredChunk[]>()
  readonly groups = new Map<string, number>()
  readonly positions: StoredPosition[] = []
  /** Rows of numbers that the clients of a simulation raise. */
  readonly rows = new Map<string, number>()

  constructor(rows: ReadonlyMap<string, Buffer>) {
    const names = [...rows.keys()].sort()
    const of = (byte: number) =>
      names
        .filter((name) => name.charCodeAt(0) === byte)
        .map((name) => [Buffer.from(name, 'latin1'), rows.get(name) as Buffer] as const)
    for (const [key, value] of of(family.ledger)) {
      this.commits.push({
        commit: Number(key.readBigUInt64BE(1)),
        first: value.readDoubleLE(0),
        last: value.readDoubleLE(8),
        time: value.readDoubleLE(16),
        epoch: value.readDoubleLE(48),
      })
    }
    for (const [key, value] of of(family.stream)) {
      const row = json<{ name: string; closedAt?: number }>(value)
      this.streams.set(key.readUInt32BE(1), { name: row.name, isClosed: row.closedAt !== undefined })
    }
    for (const [, value] of of(family.shard)) {
      const row = json<StoredShardRow>(value)
      const [low, high] = [hex(row.low.hi) + hex(row.low.lo), hex(row.high.hi) + hex(row.high.lo)]
      this.shards.set(row.id, { ...row, low, high, lastSequence: row.lastSequence })
    }
    for (const [key, value] of of(family.chunk)) {
      const shard = key.readUInt32BE(5)
      const chunk = readChunk(value, (id) => this.shards.get(id)?.stream ?? -1)
      this.chunks.set(shard, [...(this.chunks.get(shard) ?? []), chunk])
    }
    for (const [key, value] of of(family.group))
      this.groups.set(json<{ name: string }>(value).name, key.readUInt32BE(1))
    for (const [key, value] of of(family.position)) {
      const [group, shard] = [key.readUInt32BE(1), key.readUInt32BE(5)]
      this.positions.push({
        group,
        shard,
        next: value.readDoubleLE(2),
        ended: (value[1]! & 1) === 1,
        lease: value[0] === 1 ? 0 : value.readUInt32LE(10),
      })
    }
    for (const [key, value] of of(family.row)) this.rows.set(key.toString('latin1', 1), value.readUInt32LE(0))
  }

  records(stream: number): StoredRecord[] {
    const records: StoredRecord[] = []
    for (const [shard, chunks] of this.chunks)
      if (this.shards.get(shard)?.stream === stream) for (const chunk of chunks) records.push(...chunk.records)
    return records.sort((a, b) => a.sequence - b.sequence)
  }
}

const keyOf = (byte: number, ...numbers: number[]): string => {
  const key = Buffer.alloc(1 + numbers.length * 4)
  key[0] = byte
  numbers.forEach((number, i) => key.writeUInt32BE(number, 1 + i * 4))
  return key.toString('latin1')
}

/** What a group may go by to read a shard: the shard's parents, and its position in any of them. */
export function lineageOf(rows: ReadonlyMap<string, Buffer>, group: string, shard: number) {
  let [id, stream] = [-1, -1]
  for (const [name, value] of rows) {
    if (name.charCodeAt(0) !== family.group) continue
    const row = json<{ name: string; stream: number }>(value)
    if (row.name === group) [id, stream] = [Buffer.from(name, 'latin1').readUInt32BE(1), row.stream]
  }
  const description = rows.get(keyOf(family.shard, stream, shard))
  return {
    parents: description ? json<StoredShardRow>(description).parents : [],
    isKept: (of: number) => rows.has(keyOf(family.shard, stream, of)),
    position: (of: number) => {
      const value = rows.get(keyOf(family.position, id, of))
      return value && { ended: (value[1]! & 1) === 1 }
    },
  }
}
