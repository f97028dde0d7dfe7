import { MillraceError } from '../../runtime/errors.js'
import { kept } from '../kept.js'
import type { NodeId } from '../plan/nodes.js'
import { packable } from '../state-value.js'
import { StepError, stackOf, textOf } from '../step-error.js'
import type { KeyEntry } from './key-entry.js'
import type { CellName, TimeDomain } from './keyed-operator.js'
import {
  isEntryPlace,
  type ParkedChange,
  type ParkedError,
  type ParkedQueue,
  type ParkedRow,
  type ParkingOptions,
  type ParkPlace,
  type Poison,
} from './parked.js'
import type { StageRuntime } from './stage-runtime.js'
import { type At, isThenable, newAt } from './step.js'

/** What a step was to do, as it is parked. */
export interface ParkItem {
  readonly kind: 'row' | 'timer'
  readonly value: unknown
  readonly input: number
  readonly tag?: CellName | undefined
  readonly domain?: TimeDomain | undefined
}

/** What a call of user code gave; undefined where its row was parked instead. */
export type Attempted<Result> = { readonly result: Result } | undefined

/** A parked row that is being tried again. */
interface Retrying {
  readonly place: ParkPlace
  readonly text: string
  readonly number: number
  readonly next: number
  readonly row: ParkedRow
  /** It failed again. */
  isParked: boolean
}

export interface CallOptions<Result> {
  readonly node: NodeId
  readonly at: At
  readonly item: ParkItem
  readonly call: () => unknown
  /** What becomes of what the call gave, or its promise: as much part of the attempt as the call. */
  readonly finish: (result: unknown) => Result
  /** Puts back what a failed attempt did. */
  readonly undo?: () => void
}

/**
 * The rows of a task that wait because they, or earlier ones of their key, failed. In careful mode user code runs under its
 * guard, step by step: what a failed call did is put back, the call is repeated, and at last its row is parked with the key
 * of its step, while everything else goes on. Otherwise it only leads aside the rows of keys that wait.
 */
export class Parking {
  readonly isCareful: boolean
  readonly #runtime: StageRuntime
  readonly #options: ParkingOptions
  /** Where event time is at the `eventTime` steps of the stage. */
  readonly #marks: () => readonly (readonly [NodeId, number])[]
  /** The queues, by place and then by the bytes of their keys as text. */
  readonly #queues = new Map<ParkPlace, Map<string, { next: number }>>()
  readonly #poison = new Map<string, Poison>()
  #changes = new Map<string, ParkedChange>()
  #retrying: Retrying | undefined

  constructor(options: ParkingOptions, runtime: StageRuntime, marks: () => readonly (readonly [NodeId, number])[]) {
    this.isCareful = options.isCareful
    this.#options = options
    this.#runtime = runtime
    this.#marks = marks
    for (const { place, key, next } of options.keys) this.#queuesAt(place).set(latin1(key), { next })
    for (const poison of options.poison) this.#poison.set(poisonName(poison.place, poison.sequence), poison)
  }

  #queuesAt(place: ParkPlace): Map<string, { next: number }> {
    const found = this.#queues.get(place)
    if (found) return found
    const queues = new Map<string, { next: number }>()
    this.#queues.set(place, queues)
    return queues
  }

  /** Whether rows of any key wait at a place. */
  hasAny(place: ParkPlace): boolean {
    return (this.#queues.get(place)?.size ?? 0) > 0
  }

  /** Whether earlier rows of the row's key wait there. */
  waits(place: ParkPlace, at: At): boolean {
    const queues = this.#queues.get(place)
    return queues !== undefined && queues.size > 0 && queues.has(this.#textOf(at))
  }

  /** Puts a row behind those of its key. */
  join(place: ParkPlace, at: At, item: ParkItem): void {
    this.#put(place, at, item, 0, undefined)
  }

  /** What took the run down at this place before; wherever rows come into the stage without a place. */
  poisonAt(place: ParkPlace | undefined, sequence: number): Poison | undefined {
    return this.#poison.size === 0 ? undefined : this.#poison.get(poisonName(place, sequence))
  }

  /** Parks a row. Throws StepError where it cannot be: then the row that came into the stage is, in the next run. */
  park(place: ParkPlace, at: At, item: ParkItem, error: ParkedError, attempts: number): void {
    this.#put(place, at, item, attempts, error)
  }

  /** Runs user code on a row, several times if it has to be; parks the row when it cannot be done. */
  async attempt<Result>(options: CallOptions<Result>): Promise<Attempted<Result>> {
    const { node, at, item, undo } = options
    const { attemptsMax } = this.#options
    const poison = this.poisonAt(node, at.sequence)
    if (poison) {
      this.park(node, at, item, poison.error, poison.attempts)
      return undefined
    }
    for (let attempts = 1; ; attempts++) {
      let error: unknown
      try {
        return { result: await this.#call(options) }
      } catch (thrown) {
        undo?.()
        if (!isOfUser(thrown)) throw thrown
        error = thrown
      }
      if (attempts < attemptsMax) continue
      this.park(node, at, item, errorOf(error), attempts)
      return undefined
    }
  }

  async #call<Result>({ node, at, call, finish }: CallOptions<Result>): Promise<Result> {
    this.#runtime.mark(node, at)
    const result = this.#traced(node, at, call)
    if (!isThenable(result)) return this.#traced(node, at, () => finish(result))
    const given = await this.#settled(result, node, at)
    this.#runtime.mark(node, at)
    return this.#traced(node, at, () => finish(given))
  }

  #traced<Result>(node: NodeId, { sequence }: At, run: () => Result): Result {
    const { traced } = this.#runtime.host
    return traced ? traced(node, sequence, run) : run()
  }

  /** A call that never ends may still do something with its context, so the task is over with it. */
  #settled(promise: PromiseLike<unknown>, node: NodeId, at: At): Promise<unknown> {
    const { host } = this.#runtime
    const { awaitMsMax } = this.#options
    host.pause(node, at.sequence)
    return new Promise((resolve, reject) => {
      const timer = host.setTimeout(() => {
        const error = new MillraceError('STEP_TIMEOUT', `A promise of user code had no result after ${awaitMsMax} ms.`)
        reject(new StepError(node, at.sequence, error, at.key))
      }, awaitMsMax)
      promise.then(
        (result) => {
          timer.cancel()
          resolve(result)
        },
        (error: unknown) => {
          timer.cancel()
          reject(error)
        },
      )
    })
  }

  #put(place: ParkPlace, at: At, item: ParkItem, attempts: number, error: ParkedError | undefined): void {
    const value = item.kind === 'timer' ? nothing : this.#packed(place, at, item, error)
    const entry = this.#entryOf(at)
    const retrying = this.#retriedAt(place, entry)
    const row: ParkedRow = {
      kind: item.kind,
      value,
      input: item.input,
      isKeyed: at.entry !== undefined,
      time: at.time,
      stamp: at.stamp,
      sequence: at.sequence,
      tag: item.tag,
      domain: item.domain,
      marks: retrying?.row.marks ?? this.#marks(),
      at: this.#runtime.host.now(),
      attempts: attempts + (retrying?.row.attempts ?? 0),
      error,
    }
    this.#change(place, entry, retrying ? this.#again(retrying) : this.#next(place, entry), row)
  }

  #retriedAt(place: ParkPlace, entry: KeyEntry): Retrying | undefined {
    const retrying = this.#retrying
    return retrying?.place === place && retrying.text === this.#textOfEntry(entry) ? retrying : undefined
  }

  /** It goes back to the head of its queue. */
  #again(retrying: Retrying): number {
    const { place, text, next, number } = retrying
    retrying.isParked = true
    this.#queuesAt(place).set(text, { next })
    return number
  }

  #next(place: ParkPlace, entry: KeyEntry): number {
    const queues = this.#queuesAt(place)
    const text = this.#textOfEntry(entry)
    const queue = queues.get(text) ?? { next: 0 }
    queues.set(text, queue)
    return queue.next++
  }

  /** What an earlier step made of a row may be nothing that can be stored. Then the row as it came in is parked instead. */
  #packed(place: ParkPlace, at: At, { value }: ParkItem, error: ParkedError | undefined): Buffer {
    try {
      return this.#runtime.host.pack(packable(kept(value)))
    } catch (unpackable) {
      const retrying = this.#retrying
      const why = error ?? errorOf(unpackable)
      const node = place % this.#runtime.rowsIn.length
      const isLast = retrying ? retrying.place === place : place >= this.#runtime.rowsIn.length
      if (isLast) throw new StepError(node, at.sequence, unpackable, at.key)
      throw new StepError(node, at.sequence, unpackable, at.key, { place: retrying?.place, error: why })
    }
  }

  #change(place: ParkPlace, entry: KeyEntry, number: number, row: ParkedRow | undefined): void {
    const key = this.#runtime.options.directory.name(entry)
    const { hashHi, hashLo } = entry
    this.#changes.set(`${place} ${number} ${latin1(key)}`, { place, hashHi, hashLo, key, number, row })
  }

  /** The key that a row waits under: its own, or before a keyBy the partition key of its source. */
  #entryOf(at: At): KeyEntry {
    return at.entry ?? (this.#runtime.partitionOf(at) as KeyEntry)
  }

  #textOf(at: At): string {
    return this.#textOfEntry(this.#entryOf(at))
  }

  #textOfEntry(entry: KeyEntry): string {
    return latin1(this.#runtime.options.directory.name(entry))
  }

  /** Where event time was at a step when the row that is being retried was parked. */
  markOf(node: NodeId): number | undefined {
    return this.#retrying?.row.marks.find(([id]) => id === node)?.[1]
  }

  /** Runs the rows of a queue, up to one that fails again. */
  async retry(queue: ParkedQueue, run: (row: ParkedRow, find: () => KeyEntry) => Promise<void>): Promise<void> {
    const { place, key, hashHi, hashLo, rows } = queue
    const text = latin1(key)
    // Timers that were due when the run began may have joined it meanwhile.
    const next = Math.max(queue.next, this.#queuesAt(place).get(text)?.next ?? 0)
    const hasMore = queue.hasMore || next > queue.next
    // Looked up anew each time: between two rows it may have been forgotten.
    const find = (): KeyEntry => this.#runtime.options.directory.ofStored(Buffer.from(key), hashHi, hashLo)
    this.#queuesAt(place).delete(text)
    for (const { number, row } of rows) {
      const retrying: Retrying = { place, text, number, next, row, isParked: false }
      this.#retrying = retrying
      if (!this.#isPoison(retrying, find())) await run(row, find)
      this.#retrying = undefined
      if (retrying.isParked) return
      this.#change(place, find(), number, undefined)
    }
    if (hasMore) this.#queuesAt(place).set(text, { next })
  }

  /** What took the run down when it was tried is parked again, with that as its error, and not tried. */
  #isPoison({ place, row }: Retrying, entry: KeyEntry): boolean {
    const { length } = this.#runtime.rowsIn
    const { kind, sequence, time, stamp, input, tag, domain, isKeyed } = row
    const poison = this.poisonAt(isEntryPlace(length, place) ? undefined : place, sequence)
    if (!poison) return false
    const value = kind === 'timer' ? undefined : this.#runtime.host.unpack(row.value)
    const at: At = { ...newAt(), time, stamp, sequence, partition: entry }
    if (isKeyed) Object.assign(at, { entry, key: entry.shown })
    this.park(place, at, { kind, value, input, tag, domain }, poison.error, poison.attempts)
    return true
  }

  /** What was parked, and what is through, since the last barrier. */
  barrier(): readonly ParkedChange[] {
    const changes = [...this.#changes.values()]
    this.#changes = new Map()
    return changes
  }
}

const nothing = Buffer.alloc(0)
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
const poisonName = (place: ParkPlace | undefined, sequence: number): string => `${place ?? 'entry'} ${sequence}`

/** Whether it is the fault of the row: what is too large for a commit, or ends the task, is none. */
function isOfUser(thrown: unknown): boolean {
  return !(thrown instanceof StepError) && !(thrown instanceof MillraceError && thrown.code === 'EFFECT_TOO_LARGE')
}

export function errorOf(thrown: unknown): ParkedError {
  return { code: 'PIPELINE_FAILED', message: textOf(thrown), stack: stackOf(thrown) }
}
