import type { Sequence } from '../../log/index.js'

/** A result on its way out, as the outbox holds it. */
export interface OutboxRecord {
  readonly sequence: Sequence
  /** The same at each attempt, and of no other result: the event id of the outbox's record. */
  readonly id: string
  /** When it came into the outbox, milliseconds since 1970. */
  readonly time: number
  readonly key: Buffer
  readonly body: Buffer
}

export interface OutboxBatch {
  readonly records: readonly OutboxRecord[]
  /** The same for the same records, and for no others. */
  readonly idempotencyKey: string
}

/** A record that no attempt will ever bring through. */
export interface Refusal {
  readonly record: OutboxRecord
  readonly why: string
}

export type DeliveryOutcome =
  | { readonly kind: 'delivered' }
  /** The content is at fault: no attempt will ever succeed. */
  | { readonly kind: 'refused'; readonly why: string }
  /** Another attempt may succeed, not before `afterMs` if the other side says so. */
  | { readonly kind: 'failed'; readonly why: string; readonly afterMs?: number }
  /** Each record for itself: `refused` are at fault, `left` come again in this order (none is in both), others are through. */
  | {
      readonly kind: 'partly'
      readonly refused: readonly Refusal[]
      readonly left: readonly OutboxRecord[]
      readonly why: string
      readonly afterMs?: number
    }

/** Brings batches to where they go. Never throws; the signal ends it, with any outcome. */
export interface Deliverer {
  deliver(batch: OutboxBatch, attempt: number, signal: AbortSignal): Promise<DeliveryOutcome>
  close(): Promise<void>
}

/** Records of an outbox never change, so the first one's id and their number say which they are. */
export function batchOf(records: readonly OutboxRecord[]): OutboxBatch {
  const { id } = records[0] as OutboxRecord
  return { records, idempotencyKey: records.length === 1 ? id : `${id}-${records.length}` }
}
