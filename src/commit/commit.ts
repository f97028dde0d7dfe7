import type { Clock } from '../runtime/index.js'
import { killPoint, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { CommitTime } from './commit-time.js'
import type { Epoch } from './epochs.js'
import { isKeptByKey } from './families.js'
import { Latches } from './latches.js'
import type { Ledger } from './ledger.js'
import type { Mark } from './mark.js'
import { RowCache } from './row-cache.js'
import { rowName } from './row-name.js'
import type { BatchEffect, CommitPath, Decided, EffectSet, Receipt, RecordEffect, Release, RowEffect } from './types.js'

/** Lays records into shards and chunks; the log is one. */
export interface Packer {
  /**
   * Called when a commit is packed: one at a time, in commit order, each after the one before has returned. Sequence
   * numbers are given from `firstSequence` on without a gap.
   */
  pack(records: readonly (RecordEffect | BatchEffect)[], context: PackingContext): Packed
}

export interface PackingContext {
  readonly commit: number
  readonly time: number
  readonly firstSequence: number
}

export interface Packed {
  readonly rows: readonly RowEffect[]
  /** How many sequence numbers were given. */
  readonly count: number
}

/** What the measuring of commits may see. */
export interface CommitObserver {
  committed(sample: {
    seconds: number
    bytes: number
    effectSets: number
    /** Whether shards were sealed or opened, or a group joined: what takes sequence numbers of its own. */
    changesLayout: boolean
  }): void
}

export interface CommitLimits {
  readonly effectSetBytesMax: number
  readonly commitBytesMax: number
  readonly queueBytesMax: number
  readonly rowWaitersMax: number
  readonly rowCacheBytesMax: number
}

export interface CommitOptions {
  readonly storage: Storage
  readonly ledger: Ledger
  readonly mark: Mark
  readonly storeId: string
  /** From the first on; the last is the store's own. */
  readonly epochs: readonly Epoch[]
  /** The next sequence number to give. */
  readonly nextSequence: number
  readonly synced: boolean
  readonly clock: Clock
  readonly limits: CommitLimits
  /** Called once, with the first write that failed. Everything queued has been rejected by then. */
  readonly onPoisoned: (error: MillraceError) => void
}

/** Effect sets that will be written together. */
class Gathering {
  readonly commit: number
  readonly sets: EffectSet[] = []
  /** What its effect sets count against the bounds. */
  bytes = 0
  /** What is really written. */
  writtenBytes = 0
  /** The rows of its effect sets, those made at packing among them, in the order in which they are written. */
  rows: readonly RowEffect[] = []
  /** Effect sets whose guard refused them, with its error. */
  readonly refused = new Map<EffectSet, MillraceError>()
  /** What its effect sets leave under the rows' names, of those that are kept by key. */
  readonly values = new Map<string, Buffer | undefined>()
  changesLayout = false
  readonly receipt: Promise<Receipt>
  resolve!: (receipt: Receipt) => void
  reject!: (error: MillraceError) => void

  constructor(commit: number) {
    this.commit = commit
    this.receipt = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Waiting is optional (a caller may only want the effect): a rejection nobody waits for must not end the process.
    this.receipt.catch(() => {})
  }
}

interface Pending {
  readonly commit: number
  readonly value: Buffer | undefined
}

/** Bytes that a key and its bookkeeping cost beside its value, for the bounds. */
const rowOverheadBytes = 32

export function effectSetBytes(effects: EffectSet): number {
  let bytes = rowOverheadBytes
  for (const row of effects.rows ?? []) bytes += row.key.length + (row.value?.length ?? 0) + rowOverheadBytes
  for (const effect of effects.records ?? []) {
    if ('batch' in effect) bytes += effect.batch.length
    else for (const record of effect.records) bytes += record.key.length + record.body.length + rowOverheadBytes
  }
  return bytes
}

/**
 * The one exit. Effect sets gather while the commit before them is being synced; when that returns they get their
 * sequence numbers, are packed into chunks and written as one synced batch, and only then is anyone answered.
 */
export class Commit implements CommitPath {
  readonly time: CommitTime
  readonly #options: CommitOptions
  readonly #latches: Latches
  readonly #cache: RowCache
  readonly #queue: Gathering[] = []
  #packer: Packer | undefined
  #observer: CommitObserver | undefined
  #inFlight: Gathering | undefined
  #nextCommit: number
  #nextSequence: number
  #durableNextSequence: number
  #queuedBytes = 0
  #scheduled = false
  #failed: MillraceError | undefined
  #full = false
  #closing: { resolve: () => void } | undefined
  /** How many hold the commits; while any does, none begins. */
  #pauses = 0
  #whenIdle: (() => void)[] = []
  readonly #listeners: (() => void)[] = []
  readonly #rowListeners: ((rows: readonly RowEffect[]) => void)[] = []

  constructor(options: CommitOptions) {
    this.#options = options
    this.#latches = new Latches(options.limits.rowWaitersMax)
    this.#cache = new RowCache(options.storage, options.limits.rowCacheBytesMax)
    this.#nextCommit = (options.ledger.newest?.commit ?? 0) + 1
    this.#nextSequence = options.nextSequence
    this.#durableNextSequence = options.nextSequence
    this.time = new CommitTime(options.clock, options.ledger.newest?.time ?? 0)
  }

  /** The log lends itself before the first submit. */
  usePacker(packer: Packer): void {
    this.#packer = packer
  }

  observe(observer: CommitObserver): void {
    this.#observer = observer
  }

  /** Called after each returned commit, before its receipts resolve. */
  onReturned(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** As onReturned, with the commit's rows (not those of the log): for who keeps in memory what is made of rows. */
  onRowsReturned(listener: (rows: readonly RowEffect[]) => void): void {
    this.#rowListeners.push(listener)
  }

  /** The sequence number behind the newest durable one. */
  get durableNextSequence(): number {
    return this.#durableNextSequence
  }

  get storeId(): string {
    return this.#options.storeId
  }

  get epochs(): readonly Epoch[] {
    return this.#options.epochs
  }

  get epoch(): number {
    return (this.epochs[this.epochs.length - 1] as Epoch).epoch
  }

  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** While true, everything but essential effect sets is refused with STORAGE_FULL. */
  set storageFull(full: boolean) {
    this.#full = full
  }

  get storageFull(): boolean {
    return this.#full
  }

  latch(keys: readonly Buffer[]): Release | Promise<Release> {
    return this.#latches.take(keys.map(rowName))
  }

  /** Takes the latch of a row that is free, by its `rowName`; false when it is not. To be given back with `unlatch`. */
  latchNow(name: string): boolean {
    return this.#latches.takeNow(name)
  }

  unlatch(name: string): void {
    this.#latches.giveBack(name)
  }

  /** The newest value of a row in the commits that have not returned. Each has its own map, which is garbage with it. */
  #pending(name: string): Pending | undefined {
    for (let i = this.#queue.length - 1; i >= 0; i--) {
      const gathering = this.#queue[i] as Gathering
      if (gathering.values.has(name)) return { commit: gathering.commit, value: gathering.values.get(name) }
    }
    const inFlight = this.#inFlight
    if (!inFlight?.values.has(name)) return undefined
    return { commit: inFlight.commit, value: inFlight.values.get(name) }
  }

  read(key: Buffer): Decided | Promise<Decided> {
    const name = rowName(key)
    const pending = this.#pending(name)
    if (pending) return { value: pending.value, seen: pending.commit }
    const value = this.#cache.get(name, key)
    if (value instanceof Promise) return value.then(asDurable)
    return { value, seen: undefined }
  }

  async readMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    const pending = keys.map((key) => this.#pending(rowName(key)))
    const durable = await this.#cache.getMany(keys.filter((_, i) => pending[i] === undefined))
    let next = 0
    return pending.map((queued) => (queued ? queued.value : durable[next++]))
  }

  readDurable(key: Buffer): Buffer | undefined | Promise<Buffer | undefined> {
    return this.#cache.get(rowName(key), key)
  }

  readDurableText(key: Buffer): string | undefined | Promise<string | undefined> {
    return this.#cache.getText(rowName(key), key)
  }

  readDurableMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return this.#cache.getMany(keys)
  }

  submit(effects: EffectSet): Promise<Receipt> {
    const bytes = effectSetBytes(effects)
    this.#admit(effects, bytes)
    const gathering = this.#gatheringFor(bytes)
    gathering.sets.push(effects)
    gathering.bytes += bytes
    this.#queuedBytes += bytes
    for (const row of effects.rows ?? []) {
      if (isKeptByKey(row.key)) gathering.values.set(rowName(row.key), row.value)
    }
    if (!this.#inFlight && !this.#scheduled) {
      // What else this turn of the event loop brings joins the same commit.
      this.#scheduled = true
      setImmediate(() => {
        this.#scheduled = false
        this.#start()
      })
    }
    return effects.guard
      ? gathering.receipt.then((receipt) => acceptedBy(gathering, effects, receipt))
      : gathering.receipt
  }

  #admit(effects: EffectSet, bytes: number): void {
    if (this.#failed) throw this.#failed
    if (this.#closing) throw new MillraceError('NOT_READY', 'The daemon is stopping.')
    if (effects.guard && effects.rows) throw new Error('an effect set with a guard has rows')
    const { effectSetBytesMax, queueBytesMax } = this.#options.limits
    if (bytes > effectSetBytesMax) {
      throw new MillraceError(
        'EFFECT_TOO_LARGE',
        `One effect set of ${bytes} bytes is above commit.effectSetBytesMax (${effectSetBytesMax}).`,
        {
          details: { bytes, effectSetBytesMax },
        },
      )
    }
    if (effects.essential) return
    if (this.#full) throw new MillraceError('STORAGE_FULL', 'The disk has less free space than commit.freeBytesMin.')
    if (this.#queuedBytes + bytes > queueBytesMax && this.#queuedBytes > 0) {
      throw new MillraceError('TOO_BUSY', `More than commit.queueBytesMax (${queueBytesMax}) bytes wait for the disk.`)
    }
  }

  #gatheringFor(bytes: number): Gathering {
    const last = this.#queue[this.#queue.length - 1]
    if (last && last.bytes + bytes <= this.#options.limits.commitBytesMax) return last
    const gathering = new Gathering(this.#nextCommit++)
    this.#queue.push(gathering)
    return gathering
  }

  returned(commit: number): Promise<void> {
    if (this.#inFlight?.commit === commit) return this.#inFlight.receipt.then(nothing)
    const queued = this.#queue.find((gathering) => gathering.commit === commit)
    if (queued) return queued.receipt.then(nothing)
    return this.#failed ? Promise.reject(this.#failed) : Promise.resolve()
  }

  settled(): Promise<void> {
    const last = this.#queue[this.#queue.length - 1] ?? this.#inFlight
    if (last) return last.receipt.then(nothing)
    return this.#failed ? Promise.reject(this.#failed) : Promise.resolve()
  }

  /**
   * Holds the commits: resolves when none is in flight, with the function that lets them go on. What is submitted
   * meanwhile gathers, within `queueBytesMax`. Rejects with STORE_FAILED when the commit in flight fails.
   */
  async pause(): Promise<() => void> {
    if (this.#failed) throw this.#failed
    this.#pauses++
    let isHeld = true
    const resume = (): void => {
      if (!isHeld) return
      isHeld = false
      this.#pauses--
      if (this.#pauses === 0) this.#start()
    }
    if (this.#inFlight) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
    if (this.#failed) {
      resume()
      throw this.#failed
    }
    return resume
  }

  #idle(): void {
    const waiting = this.#whenIdle
    this.#whenIdle = []
    for (const resolve of waiting) resolve()
  }

  #start(): void {
    if (this.#inFlight || this.#failed || this.#pauses > 0) return
    const gathering = this.#queue.shift()
    if (!gathering) {
      this.#closing?.resolve()
      return
    }
    killPoint('commit:gathered')
    this.#inFlight = gathering
    const began = performance.now()
    const time = this.time.next()
    const firstSequence = this.#nextSequence
    let rows: readonly RowEffect[]
    try {
      rows = this.#pack(gathering, time, firstSequence)
    } catch (error) {
      this.#poison(new MillraceError('INTERNAL', 'A commit could not be packed.', { cause: error, outcome: 'unknown' }))
      return
    }
    killPoint('commit:packed')
    this.#options.storage
      .write((batch) => {
        for (const row of rows) {
          if (row.value) batch.put(row.key, row.value)
          else batch.delete(row.key)
        }
      }, this.#options.synced)
      .then(() => this.#finish(gathering, time, began))
      .catch((error: unknown) => this.#poison(error))
  }

  #pack(gathering: Gathering, time: number, firstSequence: number): readonly RowEffect[] {
    const { commit } = gathering
    const rows: RowEffect[] = []
    const records: (RecordEffect | BatchEffect)[] = []
    let next = firstSequence
    const context = { commit, time, takeSequence: () => next++ as never }
    for (const set of gathering.sets) {
      const refusal = set.guard?.()
      if (refusal) {
        gathering.refused.set(set, refusal)
        continue
      }
      if (set.atPack) for (const row of set.atPack(context)) rows.push(row)
      if (set.rows) for (const row of set.rows) rows.push(row)
      if (set.records) for (const effect of set.records) records.push(effect)
    }
    const made = rows.slice()
    gathering.changesLayout = next > firstSequence
    if (records.length > 0) {
      if (!this.#packer) throw new Error('records without a log')
      const packed = this.#packer.pack(records, { commit, time, firstSequence: next })
      for (const row of packed.rows) rows.push(row)
      next += packed.count
    }
    for (const set of gathering.sets) {
      if (!set.afterPack || gathering.refused.has(set)) continue
      for (const row of set.afterPack(context)) {
        rows.push(row)
        made.push(row)
      }
    }
    gathering.rows = made
    this.#nextSequence = next
    let bytes = 0
    for (const row of rows) bytes += row.key.length + (row.value?.length ?? 0)
    gathering.writtenBytes = bytes
    const last = next - 1
    rows.push(...this.#options.ledger.rowsFor({ commit, first: firstSequence, last, time, bytes, epoch: this.epoch }))
    return rows
  }

  #finish(gathering: Gathering, time: number, began: number): void {
    if (this.#failed) return
    killPoint('commit:written')
    this.#markCommit(gathering.commit, false)
    killPoint('commit:marked')
    this.#durableNextSequence = this.#nextSequence
    for (const row of gathering.rows) {
      if (!isKeptByKey(row.key)) continue
      this.#cache.returned(rowName(row.key), row.value)
    }
    this.#queuedBytes -= gathering.bytes
    // Still in flight for its listeners: if one throws, those who wait for this commit are told with all the others.
    for (const listener of this.#rowListeners) listener(gathering.rows)
    for (const listener of this.#listeners) listener()
    this.#inFlight = undefined
    gathering.resolve({ commit: gathering.commit, time })
    killPoint('commit:answered')
    this.#observer?.committed({
      seconds: (performance.now() - began) / 1000,
      bytes: gathering.writtenBytes,
      effectSets: gathering.sets.length,
      changesLayout: gathering.changesLayout,
    })
    this.#idle()
    this.#start()
  }

  #markCommit(commit: number, clean: boolean): void {
    const { mark, synced, storeId } = this.#options
    mark.write({ commit, synced, clean, epoch: this.epoch, storeId })
  }

  /** The first failed write ends this store: what RocksDB would acknowledge after it may be lost. */
  #poison(cause: unknown): void {
    if (this.#failed) return
    const why = cause instanceof Error ? cause.message : String(cause)
    const error = new MillraceError('STORE_FAILED', `A write to the store failed: ${why}`, {
      cause,
      outcome: 'unknown',
    })
    this.#failed = error
    const lost = this.#inFlight ? [this.#inFlight, ...this.#queue] : this.#queue
    this.#inFlight = undefined
    for (const gathering of lost.slice()) gathering.reject(error)
    this.#queue.length = 0
    this.#idle()
    this.#closing?.resolve()
    this.#options.onPoisoned(error)
  }

  get poisoned(): boolean {
    return this.#failed !== undefined
  }

  /** Waits for everything queued, then refuses more, syncs and writes the clean mark. The store is closed by its owner. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#closing = { resolve }
      if (!this.#inFlight && this.#queue.length === 0) resolve()
      else if (this.#failed) resolve()
    })
    if (this.#failed) return
    const { storage, mark } = this.#options
    killPoint('close:drained')
    // An empty synced batch also syncs what a relaxed store had only handed to the kernel.
    await storage.write(() => {}, true)
    killPoint('close:synced')
    this.#markCommit(this.#nextCommit - 1, true)
    mark.sync()
  }
}

function acceptedBy({ refused }: Gathering, effects: EffectSet, receipt: Receipt): Receipt {
  const refusal = refused.get(effects)
  if (refusal) throw refusal
  return receipt
}

const nothing = (): void => {}
const asDurable = (value: Buffer | undefined): Decided => ({ value, seen: undefined })
