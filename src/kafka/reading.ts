import type { Position } from '../groups/index.js'
import type { Log, Sequence, ShardId, StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import type { Outbox } from './outbox.js'
import { Permits, Signal } from './signal.js'

/** Pages that all readers of a bridge together may have read and not yet sent: its bound of memory, with `pageBytesMax`. */
export const pagesMax = 16
export const pageBytesMax = 128 * 1024

/** Where a bridge stands in each shard: the rows of its group, or the checkpoint beside its topic. */
export interface Standing {
  positions(): readonly Position[]
  /** Positions of the shards that may be read: those that have one and have not ended, and those whose parents have. */
  readable(): readonly Position[]
}

export interface ReadingOptions {
  readonly log: Log
  readonly stream: StreamId
  readonly standing: Standing
  readonly outbox: Outbox
  readonly onFailure: (error: unknown) => void
}

/** The readers of a bridge, one for each shard that may be read. What they read goes into the outbox. */
export class Reading {
  readonly #options: ReadingOptions
  readonly #changed = new Signal()
  readonly #permits = new Permits(pagesMax)
  readonly #readers = new Map<ShardId, Promise<void>>()
  /** Per shard that is being read: the next sequence number to be acknowledged. */
  readonly #next = new Map<ShardId, Sequence>()
  /** Per shard: where its reader is. */
  readonly #readTo = new Map<ShardId, Sequence>()
  /** Shards whose reader has found nothing more. */
  readonly #atTail = new Set<ShardId>()
  /** Shards that were delivered to their end, which is not durable yet: nobody reads their children until it is. */
  readonly #ending = new Set<ShardId>()
  readonly #unsubscribe: () => void
  #isStopped = false

  constructor(options: ReadingOptions) {
    this.#options = options
    this.#unsubscribe = options.log.onChange(options.stream, () => this.#changed.raise())
    this.open()
  }

  /** The stream was deleted and everything of it is delivered. */
  get isAtEnd(): boolean {
    const { log, stream, standing } = this.#options
    const found = log.stream(stream)
    return standing.readable().length === 0 && (found === undefined || found.closedAt !== undefined)
  }

  /** Opens readers for the shards that may be read by now. */
  open(): void {
    if (this.#isStopped) return
    const { standing } = this.#options
    for (const position of standing.readable()) {
      if (this.#readers.has(position.shard)) continue
      this.#next.set(position.shard, position.next)
      this.#readers.set(position.shard, this.#read(position))
    }
    for (const { shard, ended } of standing.positions()) {
      if (ended && this.#ending.delete(shard)) this.#next.delete(shard)
    }
  }

  /** The broker has everything up to there. */
  acknowledged(positions: readonly Position[]): void {
    for (const { shard, next, ended } of positions) {
      this.#next.set(shard, next)
      if (ended) this.#ending.add(shard)
    }
  }

  /** The lowest sequence number that may not have been delivered; undefined when everything was. */
  get behindFrom(): Sequence | undefined {
    let lowest: Sequence | undefined
    for (const [shard, next] of this.#next) {
      const isDelivered = this.#atTail.has(shard) && next >= (this.#readTo.get(shard) ?? 0)
      if (isDelivered && !this.#ending.has(shard)) continue
      if (lowest === undefined || next < lowest) lowest = next
    }
    return lowest
  }

  /** Resolves when no reader runs any more. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unsubscribe()
    this.#changed.raise()
    await Promise.all(this.#readers.values())
  }

  async #read(position: Position): Promise<void> {
    const { log, outbox, onFailure } = this.#options
    const id = position.shard
    let from = position.next
    try {
      while (!this.#isStopped) {
        const version = this.#changed.version
        await this.#permits.take()
        let kept = false
        try {
          if (this.#isStopped) return
          const page = await log.read(id, from, { bytesMax: pageBytesMax })
          if (page.chunks.length > 0 || page.ended) {
            const shard = log.shard(id)
            if (!shard) throw new MillraceError('INTERNAL', `The shard ${id} was read and is not known.`)
            this.#atTail.delete(id)
            this.#readTo.set(id, page.next)
            outbox.push({ shard, from, page, release: () => this.#permits.give() })
            kept = true
          }
          from = page.next
          if (page.ended) return
        } finally {
          if (!kept) this.#permits.give()
        }
        if (kept) continue
        this.#atTail.add(id)
        await this.#changed.after(version)
      }
    } catch (error) {
      onFailure(error)
    }
  }
}
