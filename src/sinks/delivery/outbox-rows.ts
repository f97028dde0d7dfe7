import { Family, type RowEffect } from '../../commit/index.js'
import type { Sequence, ShardId } from '../../log/index.js'
import type { Storage } from '../../storage/index.js'

/** Records and bytes of their bodies, since the outbox was made. */
export interface OutboxTotals {
  readonly records: number
  readonly bytes: number
}

/** How far the delivery of one shard of an outbox is; its position is that of the outbox's group. */
export interface ShardDelivered extends OutboxTotals {
  /**
   * The end of the batch that begins at the position, written before it is sent for the first time: whoever sends it again
   * sends the same records under the same key. undefined while no batch is cut.
   */
  readonly batchEnd: Sequence | undefined
  /** How many of the records were refused for good. Rows of earlier versions do not say it. */
  readonly dead?: number
}

/** What the store says of an outbox. */
export interface StoredOutbox {
  readonly appended: OutboxTotals
  readonly delivered: ReadonlyMap<ShardId, ShardDelivered>
}

const version = 1
const appendedKind = 0
const deliveredKind = 1

/** `outbox`: family, pipeline u32be, outbox u16be, kind u8 (0: appended; 1: delivered, shard u32be) -> version u8, JSON. */
function outboxKey(pipeline: number, outbox: number, kind: number, shard?: ShardId): Buffer {
  const key = Buffer.alloc(shard === undefined ? 8 : 12)
  key[0] = Family.outbox
  key.writeUInt32BE(pipeline, 1)
  key.writeUInt16BE(outbox, 5)
  key[7] = kind
  if (shard !== undefined) key.writeUInt32BE(shard, 8)
  return key
}

/** All rows of an outbox. */
export const rowsOfOutbox = (pipeline: number, outbox: number): { readonly gte: Buffer; readonly lt: Buffer } => ({
  gte: outboxKey(pipeline, outbox, appendedKind),
  lt: outboxKey(pipeline, outbox, deliveredKind + 1),
})

const encode = (value: unknown): Buffer => Buffer.concat([Buffer.from([version]), Buffer.from(JSON.stringify(value))])
const decode = (value: Buffer): unknown => JSON.parse(value.toString('utf8', 1))

export const appendedRow = (pipeline: number, outbox: number, totals: OutboxTotals): RowEffect => ({
  key: outboxKey(pipeline, outbox, appendedKind),
  value: encode(totals),
})

export const deliveredRow = (
  pipeline: number,
  outbox: number,
  shard: ShardId,
  delivered: ShardDelivered,
): RowEffect => ({ key: outboxKey(pipeline, outbox, deliveredKind, shard), value: encode(delivered) })

export async function storedOutbox(
  storage: Pick<Storage, 'scan'>,
  pipeline: number,
  outbox: number,
): Promise<StoredOutbox> {
  let appended: OutboxTotals = { records: 0, bytes: 0 }
  const delivered = new Map<ShardId, ShardDelivered>()
  for await (const { keys, values } of storage.scan({ ...rowsOfOutbox(pipeline, outbox), bytesMax: 1 << 20 }))
    keys.forEach((key, i) => {
      const value = decode(values[i] as Buffer)
      if (key[7] === appendedKind) appended = value as OutboxTotals
      else delivered.set(key.readUInt32BE(8) as ShardId, value as ShardDelivered)
    })
  return { appended, delivered }
}
