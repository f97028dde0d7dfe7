import { type Commit, type Counters, Family, type Placement } from '../commit/index.js'
import {
  type BatchProducer,
  checksumOf,
  type Log,
  producerOf,
  type ShapesInCommit,
  type Stream,
  type StreamId,
} from '../log/index.js'
import { type Clock, killPoint, MillraceError, type Timer } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import {
  batchEvent,
  type ProducerEvent,
  type ProducerReply,
  producerState,
  producerTransition,
} from './producer-lifecycle.js'
import { decodeProducer, ofProducerKey, type ProducerRow, producerKey, producerRow, type StoredAnswer } from './rows.js'

export interface ProducerLimits {
  /** Producers of one stream. */
  readonly producersMax: number
  /** A producer that was not used for this long is forgotten. */
  readonly producerIdleMs: number
}

export interface ProducersOptions {
  readonly storage: Pick<Storage, 'scan'>
  readonly commit: Commit
  readonly counters: Counters
  readonly log: Pick<Log, 'stream'>
  readonly clock: Clock
  readonly limits: ProducerLimits
  readonly onError: (error: unknown) => void
}

export interface OpenedProducer {
  readonly producer: number
  readonly epoch: number
  /** Number of its last stored batch; the next one is this plus 1. */
  readonly last: number
}

/** What an append with a producer is answered. */
export type ProducerAnswer =
  | (StoredAnswer & { readonly alreadyStored: boolean })
  /** A batch from before the last one: stored, and where is no longer known. */
  | { readonly alreadyStored: true; readonly last: number }

/** How often idle producers are looked for, and how many rows one commit of their removal has. */
const sweepMsMax = 60_000
const removedAtOnce = 1000
const epochMax = 0xffff_ffff

/**
 * Batches of a producer are stored once, however often they are sent: one row per (stream, producer) holds the number of
 * the last one with its checksum and answer, and is written in the commit of the batch itself. Splits and merges do not
 * touch it. The row's latch is held until that commit has returned, since the row is made only when the batch has its
 * place and no decider could see it before.
 */
export class Producers {
  readonly #options: ProducersOptions
  /** Last use of each, by commit time; what is looked through for idle ones. */
  readonly #used = new Map<StreamId, Map<number, number>>()
  #timer: Timer | undefined
  #sweeping: Promise<void> | undefined
  #isClosed = false

  private constructor(options: ProducersOptions) {
    this.#options = options
  }

  static async open(options: ProducersOptions): Promise<Producers> {
    const producers = new Producers(options)
    const range = { gte: Buffer.from([Family.producer]), lt: Buffer.from([Family.producer + 1]), bytesMax: 1 << 20 }
    for await (const page of options.storage.scan(range)) {
      page.keys.forEach((key, i) => {
        const { stream, producer } = ofProducerKey(key)
        producers.#touch(stream, producer, decodeProducer(page.values[i] as Buffer).usedAt)
      })
    }
    return producers
  }

  /** Begins to look for idle ones. */
  start(): void {
    this.#schedule()
  }

  /** How many a stream has. */
  count(stream: StreamId): number {
    return this.#used.get(stream)?.size ?? 0
  }

  /**
   * Makes a producer, or opens one again: then its epoch rises, which fences whoever used it before. Throws
   * PRODUCER_UNKNOWN, TOO_BUSY.
   */
  async openProducer(stream: StreamId, producer?: number): Promise<OpenedProducer> {
    return producer === undefined ? this.#make(stream) : this.#reopen(stream, producer)
  }

  async #make(stream: StreamId): Promise<OpenedProducer> {
    const { counters, limits } = this.#options
    if (this.count(stream) >= limits.producersMax) await this.sweep()
    if (this.count(stream) >= limits.producersMax)
      throw new MillraceError('TOO_BUSY', `The stream has ${limits.producersMax} producers already.`, {
        details: { limit: 'producers.producersMax' },
        remedy:
          'Open those again that are no longer used, wait until they are idle for long enough, or raise the limit.',
      })
    const producer = counters.take('producer')
    // Counted at once, so that many openings together keep to the bound.
    this.#touch(stream, producer, Number.POSITIVE_INFINITY)
    try {
      return await this.#writeOpened(stream, producer, { epoch: 1, last: 0, checksum: 0, usedAt: 0, answer: undefined })
    } catch (error) {
      this.#used.get(stream)?.delete(producer)
      throw error
    }
  }

  async #reopen(stream: StreamId, producer: number): Promise<OpenedProducer> {
    const release = await this.#options.commit.latch([producerKey(stream, producer)])
    try {
      const row = await this.#read(stream, producer)
      expectReply('opened', row, 'open', { producer, epoch: row?.epoch ?? 0 })
      if (!row || row.epoch >= epochMax)
        throw new MillraceError('PRODUCER_UNKNOWN', `The producer ${producer} was opened too often.`)
      return await this.#writeOpened(stream, producer, { ...row, epoch: row.epoch + 1 })
    } finally {
      release()
    }
  }

  /** Forgets a producer that will not be used again. Throws PRODUCER_FENCED when it was opened since. */
  async closeProducer(stream: StreamId, producer: number, epoch: number): Promise<void> {
    const key = producerKey(stream, producer)
    const release = await this.#options.commit.latch([key])
    try {
      const row = await this.#read(stream, producer)
      expectReply('closed', row, 'close', { producer, epoch })
      if (!row) return
      await this.#options.commit.submit({ rows: [{ key, value: undefined }], essential: true })
      this.#used.get(stream)?.delete(producer)
    } finally {
      release()
    }
  }

  async #writeOpened(stream: StreamId, producer: number, row: ProducerRow): Promise<OpenedProducer> {
    const { commit, counters } = this.#options
    const { time } = await commit.submit({
      atPack: (context) => [producerRow(stream, producer, { ...row, usedAt: context.time }), counters.row()],
    })
    this.#touch(stream, producer, time)
    return { producer, epoch: row.epoch, last: row.last }
  }

  /**
   * Appends a batch that names its producer, with the shapes that come with it, unless it is stored already. Throws PRODUCER_UNKNOWN, PRODUCER_FENCED,
   * PRODUCER_MISUSE, OUT_OF_ORDER (each: nothing was stored by this call), and what `submit` throws.
   */
  async append(stream: Stream, batch: Buffer, count: number, shapes: ShapesInCommit = {}): Promise<ProducerAnswer> {
    const sent = producerOf(batch) as BatchProducer
    const { commit } = this.#options
    const release = await commit.latch([producerKey(stream.id, sent.producer)])
    try {
      killPoint('producer:latched')
      const row = await this.#read(stream.id, sent.producer)
      const stored = storedAnswer(row, sent, checksumOf(batch))
      if (stored) return stored
      const placed: Placement[] = []
      const next = { epoch: sent.epoch, last: sent.number, checksum: checksumOf(batch) }
      const receipt = await commit.submit({
        records: [{ stream: stream.id, batch, placed }],
        ...shapes,
        afterPack: ({ commit, time }) =>
          placed.length === 0
            ? []
            : [producerRow(stream.id, sent.producer, { ...next, usedAt: time, answer: { count, commit, placed } })],
      })
      if (placed.length === 0) throw new MillraceError('NOT_FOUND', `The stream ${stream.name} was deleted.`)
      killPoint('producer:stored')
      this.#touch(stream.id, sent.producer, receipt.time)
      return { count, commit: receipt.commit, placed, alreadyStored: false }
    } finally {
      release()
    }
  }

  /** Under its latch nothing of the row is queued, so what is durable is what there is. */
  async #read(stream: StreamId, producer: number): Promise<ProducerRow | undefined> {
    const value = await this.#options.commit.readDurable(producerKey(stream, producer))
    return value ? decodeProducer(value) : undefined
  }

  #touch(stream: StreamId, producer: number, usedAt: number): void {
    let used = this.#used.get(stream)
    if (!used) {
      used = new Map()
      this.#used.set(stream, used)
    }
    used.set(producer, usedAt)
  }

  #schedule(): void {
    if (this.#isClosed) return
    const { clock, limits } = this.#options
    this.#timer = clock.setTimeout(
      () => {
        this.sweep()
          .catch(this.#options.onError)
          .finally(() => this.#schedule())
      },
      Math.min(sweepMsMax, limits.producerIdleMs),
    )
  }

  /** Forgets producers that were idle for long enough, and those of streams that were deleted. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined
    })
    return this.#sweeping
  }

  async #sweep(): Promise<void> {
    const { commit, log, limits } = this.#options
    const mayExpire = commit.time.mayExpire()
    const before = commit.time.next() - limits.producerIdleMs
    let idle: { stream: StreamId; producer: number }[] = []
    for (const [stream, used] of this.#used) {
      const isGone = isClosed(log.stream(stream))
      for (const [producer, usedAt] of used) {
        if (!isGone && !(mayExpire && usedAt < before)) continue
        idle.push({ stream, producer })
        if (idle.length < removedAtOnce) continue
        await this.#remove(idle, before)
        idle = []
      }
    }
    if (idle.length > 0) await this.#remove(idle, before)
  }

  async #remove(idle: readonly { stream: StreamId; producer: number }[], before: number): Promise<void> {
    const { commit, log } = this.#options
    const release = await commit.latch(idle.map(({ stream, producer }) => producerKey(stream, producer)))
    try {
      // Used again while the latches were waited for.
      const still = idle.filter(
        ({ stream, producer }) =>
          isClosed(log.stream(stream)) || (this.#used.get(stream)?.get(producer) ?? Number.POSITIVE_INFINITY) < before,
      )
      if (still.length === 0) return
      const rows = still.map(({ stream, producer }) => ({ key: producerKey(stream, producer), value: undefined }))
      await commit.submit({ rows, essential: true })
      for (const { stream, producer } of still) this.#used.get(stream)?.delete(producer)
    } finally {
      release()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#sweeping?.catch(() => {})
  }
}

/** The answer of a batch that is stored already; undefined for the next one. Throws for every other. */
function storedAnswer(row: ProducerRow | undefined, sent: BatchProducer, checksum: number): ProducerAnswer | undefined {
  const event = batchEvent(row, sent, checksum)
  const { reply } = producerTransition(producerState(row, sent.epoch), event)
  if (reply === 'store') return undefined
  if (row && reply === 'alreadyStored') return { alreadyStored: true, last: row.last }
  if (row?.answer && reply === 'storedAnswer') return { ...row.answer, alreadyStored: true }
  throw refusal(reply, row, event, sent)
}

interface Asked {
  readonly producer: number
  readonly epoch: number
  /** Of the batch. */
  readonly number?: number
}

/** Throws unless the table gives this reply. */
function expectReply(wanted: ProducerReply, row: ProducerRow | undefined, event: ProducerEvent, asked: Asked): void {
  const { reply } = producerTransition(producerState(row, asked.epoch), event)
  if (reply !== wanted) throw refusal(reply, row, event, asked)
}

function refusal(reply: ProducerReply, row: ProducerRow | undefined, event: ProducerEvent, asked: Asked): Error {
  const { producer, epoch, number } = asked
  if (reply === 'PRODUCER_UNKNOWN' || !row)
    return new MillraceError(
      'PRODUCER_UNKNOWN',
      `The stream has no producer ${producer}; it was never opened, or idle for too long.`,
    )
  const details = { producer, epoch: row.epoch, last: row.last }
  switch (reply) {
    case 'PRODUCER_FENCED': {
      const message = `The producer ${producer} is in epoch ${row.epoch}, not in ${epoch} any more.`
      return new MillraceError(reply, message, { details })
    }
    case 'OUT_OF_ORDER': {
      const message = `Batch ${number} came, but the last one stored is ${row.last}.`
      return new MillraceError(reply, message, { details })
    }
    case 'PRODUCER_MISUSE': {
      const message =
        event === 'zero' ? 'Batches are counted from 1.' : `Batch ${number} is stored already with another content.`
      return new MillraceError(reply, message, { details })
    }
    default:
      return new Error(`a producer replied ${reply} to ${event}`)
  }
}

const isClosed = (stream: Stream | undefined): boolean => !stream || stream.closedAt !== undefined
