import type { RowEffect } from '../../commit/index.js'
import { MillraceError } from '../../runtime/index.js'
import { waitingCallKey } from '../rows.js'

/** A call that nobody waits for: everything about it but its event, which stays in the store. */
export interface WaitingCall {
  /** The order in which calls came. */
  readonly number: number
  readonly functionName: string
  /** The same for all of its attempts. */
  readonly requestId: string
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** Those that have failed. */
  readonly attempts: number
  /** Milliseconds since 1970: not to be called before. */
  readonly dueAt: number
  /** Of its event. */
  readonly bytes: number
}

const version = 1
const headAt = 1 + 4

/** `function` 3, number u64be -> version u8, length of the head u32be, the head in JSON, the event. */
export function waitingCallRow({ number, ...head }: WaitingCall, payload: Uint8Array): RowEffect {
  const text = Buffer.from(JSON.stringify(head))
  const start = Buffer.alloc(headAt)
  start[0] = version
  start.writeUInt32BE(text.length, 1)
  return { key: waitingCallKey(number), value: Buffer.concat([start, text, payload]) }
}

export const waitingCallGone = ({ number }: WaitingCall): RowEffect => ({
  key: waitingCallKey(number),
  value: undefined,
})

/** Throws DATA_DIR_NEWER. */
export function decodeWaitingCall(number: number, value: Buffer): WaitingCall {
  if (value[0] !== version)
    throw new MillraceError(
      'DATA_DIR_NEWER',
      `A stored call has the row version ${value[0]}; this version of Millrace knows ${version}.`,
    )
  const head = value.toString('utf8', headAt, headAt + value.readUInt32BE(1))
  return { ...(JSON.parse(head) as Omit<WaitingCall, 'number'>), number }
}

/** The event of a row, in memory of its own. */
export const payloadOf = (value: Buffer): Uint8Array => new Uint8Array(value.subarray(headAt + value.readUInt32BE(1)))
