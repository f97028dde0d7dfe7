import type { NodeId } from '../plan/nodes.js'
import type { CellName, TimeDomain } from './keyed-operator.js'
import type { StageId } from './stages.js'

/**
 * Where rows of a stage wait: a step, under the number of its node; or the place where rows come into the stage, under that
 * of its source or keyBy and the number of all nodes (`entryPlace`).
 */
export type ParkPlace = number

/** The place of rows that come into a stage by a node. `nodes` is the number of the nodes of its `Stages`. */
export const entryPlace = (nodes: number, node: NodeId): ParkPlace => nodes + node
export const nodeOfPlace = (nodes: number, place: ParkPlace): NodeId => place % nodes
export const isEntryPlace = (nodes: number, place: ParkPlace): boolean => place >= nodes

/** What went wrong with a row. */
export interface ParkedError {
  readonly code: string
  readonly message: string
  readonly stack?: string | undefined
}

/** A row, or a timer that was due, as it waits: everything that its step was to be given. */
export interface ParkedRow {
  readonly kind: 'row' | 'timer'
  /** The value, packed as state is; empty for a timer. */
  readonly value: Uint8Array
  /** The input of the step that it came by. */
  readonly input: number
  /** Whether it had a key of its own already, and not only the partition key of its source. */
  readonly isKeyed: boolean
  readonly time: number
  /** The watermark that it is late by, as it was. */
  readonly stamp: number
  readonly sequence: number
  readonly tag?: CellName | undefined
  readonly domain?: TimeDomain | undefined
  /** Where event time was at the `eventTime` steps that it has still to go through. */
  readonly marks: readonly (readonly [NodeId, number])[]
  /** When it was parked, wall time. */
  readonly at: number
  /** How many times it was tried; 0 for one that waits behind another of its key. */
  readonly attempts: number
  readonly error?: ParkedError | undefined
}

/** The key of a queue: rows of one key that wait at one place. */
export interface QueueKey {
  readonly place: ParkPlace
  readonly hashHi: number
  readonly hashLo: number
  readonly key: Uint8Array
}

/** What a barrier does to a queue. */
export interface ParkedChange extends QueueKey {
  /** Its number in the queue: lower ones are tried first. */
  readonly number: number
  /** undefined: it is through. */
  readonly row: ParkedRow | undefined
}

/** A queue that there is. */
export interface ParkedKey extends QueueKey {
  /** The number of the next row that joins it. */
  readonly next: number
}

/** A queue that is to be tried again, in the order of its numbers. */
export interface ParkedQueue extends ParkedKey {
  /** More of it waits behind these rows, and goes on waiting. */
  readonly hasMore?: boolean | undefined
  readonly rows: readonly { readonly number: number; readonly row: ParkedRow }[]
}

/** A row that took its thread or its run down: it is parked without being tried once more. */
export interface Poison {
  readonly stage: StageId
  /** undefined: wherever rows come into the stage. */
  readonly place: ParkPlace | undefined
  /** Of the row's record; negative for a timer (see `timerMark`). */
  readonly sequence: number
  readonly attempts: number
  readonly error: ParkedError
}

/**
 * What a timer of a key is known by where rows have the sequence numbers of their records: a negative number, made of its time
 * and 52 bits of the key's hash, since the timers of many keys may have one time.
 */
export function timerMark(time: number, hashHi: number, hashLo: number): number {
  const low = (hashHi ^ Math.abs(time)) >>> 0
  const high = (hashLo ^ Math.floor(Math.abs(time) / 2 ** 32)) & 0xfffff
  return -1 - (high * 2 ** 32 + low)
}

/** How a task takes what fails. A task without these has nothing parked, and is over with the first error. */
export interface ParkingOptions {
  /** Whether what fails is put back, tried again and parked; else only what waits is led aside. */
  readonly isCareful: boolean
  readonly attemptsMax: number
  /** A promise of user code that takes longer, ms, is given up. */
  readonly awaitMsMax: number
  readonly keys: readonly ParkedKey[]
  readonly poison: readonly Poison[]
}
