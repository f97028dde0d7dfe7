import type { BatchProducer } from '../log/index.js'
import type { ProducerRow } from './rows.js'

/**
 * How a producer stands to one of its epochs. `unknown`: it has no row, because it was never made, was closed, or was
 * forgotten while idle; which of these is not known any more. `empty`, `stored`: the epoch is the newest, before and after
 * its first batch. `fenced`: it was opened again since.
 */
export type ProducerState = 'unknown' | 'empty' | 'stored' | 'fenced'

/** What is asked of a producer under an epoch, and what happens to it. */
export type ProducerEvent =
  /** Opened again: its epoch rises, so that this one is fenced and the next one begins. */
  | 'open'
  | 'close'
  /** It was not used for long enough, or its stream was deleted. */
  | 'idle'
  /** The batch after the last one that is stored. */
  | 'next'
  /** The last batch again, and another one under its number. */
  | 'again'
  | 'other'
  /** A batch from before the last one, one that skips numbers, and one without a number. */
  | 'earlier'
  | 'ahead'
  | 'zero'

/** What whoever asked is answered; the codes are errors, and change nothing. */
export type ProducerReply =
  | 'opened'
  | 'closed'
  | 'forgotten'
  /** The batch is stored, in the commit that moves the row. */
  | 'store'
  /** The answer that the batch got when it was stored. */
  | 'storedAnswer'
  /** It is stored, and where is no longer known. */
  | 'alreadyStored'
  | 'PRODUCER_UNKNOWN'
  | 'PRODUCER_FENCED'
  | 'PRODUCER_MISUSE'
  | 'OUT_OF_ORDER'

export interface ProducerTransition {
  readonly to: ProducerState
  readonly reply: ProducerReply
}

const unknown = { to: 'unknown', reply: 'PRODUCER_UNKNOWN' } as const
const fenced = { to: 'fenced', reply: 'PRODUCER_FENCED' } as const

/** Every event in every state; `undefined` cannot happen. */
export const producerLifecycle: {
  readonly [From in ProducerState]: { readonly [On in ProducerEvent]: ProducerTransition | undefined }
} = {
  unknown: {
    open: unknown,
    // Whoever closes it twice, because the answer was lost, has what it wanted.
    close: { to: 'unknown', reply: 'closed' },
    idle: { to: 'unknown', reply: 'forgotten' },
    // Also number 1: an opening writes a row, so one without a row is one that was forgotten, and it may have stored.
    next: unknown,
    again: unknown,
    other: unknown,
    earlier: unknown,
    ahead: unknown,
    zero: unknown,
  },
  empty: {
    open: { to: 'fenced', reply: 'opened' },
    close: { to: 'unknown', reply: 'closed' },
    idle: { to: 'unknown', reply: 'forgotten' },
    next: { to: 'stored', reply: 'store' },
    // There is no last batch to send again, nor one before it.
    again: undefined,
    other: undefined,
    earlier: undefined,
    ahead: { to: 'empty', reply: 'OUT_OF_ORDER' },
    zero: { to: 'empty', reply: 'PRODUCER_MISUSE' },
  },
  stored: {
    open: { to: 'fenced', reply: 'opened' },
    close: { to: 'unknown', reply: 'closed' },
    idle: { to: 'unknown', reply: 'forgotten' },
    next: { to: 'stored', reply: 'store' },
    again: { to: 'stored', reply: 'storedAnswer' },
    other: { to: 'stored', reply: 'PRODUCER_MISUSE' },
    earlier: { to: 'stored', reply: 'alreadyStored' },
    ahead: { to: 'stored', reply: 'OUT_OF_ORDER' },
    zero: { to: 'stored', reply: 'PRODUCER_MISUSE' },
  },
  fenced: {
    open: { to: 'fenced', reply: 'opened' },
    close: fenced,
    idle: { to: 'unknown', reply: 'forgotten' },
    next: fenced,
    again: fenced,
    other: fenced,
    earlier: fenced,
    ahead: fenced,
    zero: fenced,
  },
}

/** How a producer stands to an epoch. One that has not been given yet is no more current than an old one. */
export function producerState(row: ProducerRow | undefined, epoch: number): ProducerState {
  if (!row) return 'unknown'
  if (row.epoch !== epoch) return 'fenced'
  return row.last === 0 ? 'empty' : 'stored'
}

/** What a batch is to a producer; to one without a row, by its number alone. */
export function batchEvent(row: ProducerRow | undefined, { number }: BatchProducer, checksum: number): ProducerEvent {
  const last = row?.last ?? 0
  if (number === 0) return 'zero'
  if (number === last + 1) return 'next'
  if (number > last) return 'ahead'
  if (number < last) return 'earlier'
  return checksum === row?.checksum && row.answer ? 'again' : 'other'
}

/** What becomes of a producer. Throws where the table says that it cannot happen: then a batch could be stored twice. */
export function producerTransition(state: ProducerState, event: ProducerEvent): ProducerTransition {
  const transition = producerLifecycle[state][event]
  if (!transition) throw new Error(`a producer that is ${state} cannot meet ${event}`)
  return transition
}
