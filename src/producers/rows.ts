import { Family, type Placement, type RowEffect } from '../commit/index.js'
import type { Sequence, ShardId, StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'

/** What an append answered, kept to be answered again. */
export interface StoredAnswer {
  readonly count: number
  readonly commit: number
  readonly placed: readonly Placement[]
}

/** What is durable of a producer: one row per (stream, producer). */
export interface ProducerRow {
  /** Raised by each opening; only the newest may append. */
  readonly epoch: number
  /** Number of the last batch that was stored, 0 before the first. */
  readonly last: number
  /** That batch's checksum. */
  readonly checksum: number
  /** Commit time of its last append or opening. */
  readonly usedAt: number
  /** What that batch was answered; undefined before the first. */
  readonly answer: StoredAnswer | undefined
}

const version = 1
const headBytes = 41
const placementBytes = 16
const absent = 0xffff

/** `producer`: family, stream u32be, producer u64be. */
export function producerKey(stream: StreamId, producer: number): Buffer {
  const key = Buffer.allocUnsafe(13)
  key[0] = Family.producer
  key.writeUInt32BE(stream, 1)
  key.writeUInt32BE(Math.floor(producer / 0x1_0000_0000), 5)
  key.writeUInt32BE(producer >>> 0, 9)
  return key
}

export function ofProducerKey(key: Buffer): { stream: StreamId; producer: number } {
  return {
    stream: key.readUInt32BE(1) as StreamId,
    producer: key.readUInt32BE(5) * 0x1_0000_0000 + key.readUInt32BE(9),
  }
}

/**
 *   0 version u8   1 epoch u32   5 last batch number double   13 its checksum u32   17 last use double, ms
 *   25 commit double   33 count u32   37 placements u16 (ffff: no answer)   39 0 u16, then for each placement
 *   41 shard u32, first sequence number double, count u32
 */
export function producerRow(stream: StreamId, producer: number, row: ProducerRow): RowEffect {
  const { epoch, last, checksum, usedAt, answer } = row
  const placed = answer?.placed ?? []
  const value = Buffer.alloc(headBytes + placed.length * placementBytes)
  value[0] = version
  value.writeUInt32LE(epoch, 1)
  value.writeDoubleLE(last, 5)
  value.writeUInt32LE(checksum, 13)
  value.writeDoubleLE(usedAt, 17)
  value.writeDoubleLE(answer?.commit ?? 0, 25)
  value.writeUInt32LE(answer?.count ?? 0, 33)
  value.writeUInt16LE(answer ? placed.length : absent, 37)
  let at = headBytes
  for (const { shard, firstSequence, count } of placed) {
    value.writeUInt32LE(shard, at)
    value.writeDoubleLE(firstSequence, at + 4)
    value.writeUInt32LE(count, at + 12)
    at += placementBytes
  }
  return { key: producerKey(stream, producer), value }
}

export function decodeProducer(value: Buffer): ProducerRow {
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A producer row has version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  const placements = value.readUInt16LE(37)
  return {
    epoch: value.readUInt32LE(1),
    last: value.readDoubleLE(5),
    checksum: value.readUInt32LE(13),
    usedAt: value.readDoubleLE(17),
    answer: placements === absent ? undefined : answerOf(value, placements),
  }
}

function answerOf(value: Buffer, placements: number): StoredAnswer {
  const placed: Placement[] = []
  for (let at = headBytes; placed.length < placements; at += placementBytes) {
    placed.push({
      shard: value.readUInt32LE(at) as ShardId,
      firstSequence: value.readDoubleLE(at + 4) as Sequence,
      count: value.readUInt32LE(at + 12),
    })
  }
  return { commit: value.readDoubleLE(25), count: value.readUInt32LE(33), placed }
}
