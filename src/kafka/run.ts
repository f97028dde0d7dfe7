import type { CommitPath } from '../commit/index.js'
import type { Group, Position } from '../groups/index.js'
import type { Log, Sequence, ShardId } from '../log/index.js'
import { asMillraceError, type Clock, MillraceError, type Timer } from '../runtime/index.js'
import { Delivery, Stopped } from './delivery.js'
import type { Encode } from './encoder.js'
import { Outbox, type OutgoingRequest, requestBytesMax } from './outbox.js'
import { PositionWriter } from './positions.js'
import { Permits, Signal } from './signal.js'
import type { TopicWish } from './topic.js'
import type { Compression, KafkaCluster } from './types.js'

/** Pages that all readers of a bridge together may have read and not yet sent: its bound of memory, with `pageBytesMax`. */
export const pagesMax = 16
export const pageBytesMax = 128 * 1024
/** How long a stopping bridge waits for the answer to what is in flight. */
export const stopMsMax = 5_000

export interface RunOptions {
  readonly log: Log
  readonly group: Group
  readonly commit: Pick<CommitPath, 'submit'>
  readonly clock: Clock
  readonly random: () => number
  readonly cluster: KafkaCluster
  readonly topic: TopicWish
  readonly compression: Compression
  readonly encode: Encode
  /** Makes the topic's number of partitions durable, before anything is sent there. */
  readonly settle: (partitions: number) => Promise<void>
  readonly onWaiting: (error: MillraceError, tryAgainInMs: number) => void
  readonly onRunning: () => void
  readonly onDelivered: (request: OutgoingRequest) => void
}

export type RunEnd =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'sourceDeleted' }
  | { readonly kind: 'failed'; readonly error: MillraceError }

/**
 * One life of a bridge, from a start to a stop or a failure. Each readable shard has a reader; what they read goes
 * through one outbox to one producer, one request at a time; what the broker has acknowledged becomes the group's
 * position; and the end of a shard, once durable, opens the readers of its children.
 */
export class BridgeRun {
  readonly end: Promise<RunEnd>
  readonly #options: RunOptions
  readonly #stop = new AbortController()
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
  #isReading = false
  readonly #positions: PositionWriter
  readonly #delivery: Delivery
  #outbox: Outbox | undefined
  #inFlight: OutgoingRequest | undefined
  #failure: MillraceError | undefined
  #sourceDeleted = false

  constructor(options: RunOptions) {
    this.#options = options
    const { commit, group, clock } = options
    this.#positions = new PositionWriter({
      commit,
      group,
      clock,
      onMoved: () => this.#openReaders(),
      onFailure: (error) => this.#fail(error),
    })
    this.#delivery = new Delivery({
      ...options,
      stop: this.#stop.signal,
      onConnected: async ({ partitions, messageBytesMax }) => {
        await options.settle(partitions)
        this.#outbox ??= new Outbox(options.encode, partitions, clock)
        // A tenth is left for what a batch has beside its messages.
        this.#outbox.bytesMax = Math.min(requestBytesMax, Math.floor((messageBytesMax ?? requestBytesMax) * 0.9))
        options.onRunning()
      },
    })
    this.end = this.#run()
  }

  /** Begins the stop; `end` resolves when it is done. */
  stop(): void {
    this.#stop.abort()
    this.#outbox?.close()
    this.#changed.raise()
  }

  /** Commit time of the oldest record that was read and not acknowledged, milliseconds since 1970. */
  get oldestCommitTime(): number | undefined {
    return this.#inFlight?.oldestCommitTime ?? this.#outbox?.oldestCommitTime
  }

  /** The lowest sequence number that may not have been delivered; undefined when everything was. */
  get behindFrom(): Sequence | undefined {
    if (!this.#isReading) return lowestPosition(this.#options.group)
    let lowest: Sequence | undefined
    for (const [shard, next] of this.#next) {
      const isDelivered = this.#atTail.has(shard) && next >= (this.#readTo.get(shard) ?? 0)
      if (isDelivered && !this.#ending.has(shard)) continue
      if (lowest === undefined || next < lowest) lowest = next
    }
    return lowest
  }

  async #run(): Promise<RunEnd> {
    const { log, group } = this.#options
    let unsubscribe = (): void => {}
    try {
      await this.#orStopped(this.#delivery.open())
      unsubscribe = log.onChange(group.stream, () => this.#changed.raise())
      this.#openReaders()
      await this.#deliverAll(this.#outbox as Outbox)
    } catch (error) {
      if (!(error instanceof Stopped)) this.#fail(error)
    }
    this.stop()
    unsubscribe()
    await this.#positions.flush()
    await this.#delivery.close()
    await Promise.all(this.#readers.values())
    if (this.#failure) return { kind: 'failed', error: this.#failure }
    return this.#sourceDeleted ? { kind: 'sourceDeleted' } : { kind: 'stopped' }
  }

  async #deliverAll(outbox: Outbox): Promise<void> {
    let next = outbox.next()
    for (;;) {
      const request = await next
      if (!request) return
      this.#inFlight = request
      const delivered = request.messages.length === 0 ? Promise.resolve() : this.#delivery.deliver(request.messages)
      // The next request is put together while this one is with the broker.
      next = outbox.next()
      next.catch(() => {})
      await this.#orStopped(delivered)
      this.#inFlight = undefined
      this.#acknowledged(request)
    }
  }

  /** A stop gives what is on its way to a broker some time to be answered, then cuts it. */
  async #orStopped(working: Promise<void>): Promise<void> {
    const { signal } = this.#stop
    let timer: Timer | undefined
    let onAbort = (): void => {}
    const stopped = new Promise<never>((_, reject) => {
      const cut = (): void => {
        this.#delivery.cut()
        reject(new Stopped())
      }
      onAbort = () => {
        timer = this.#options.clock.setTimeout(cut, this.#delivery.sending ? stopMsMax : 0)
      }
      signal.addEventListener('abort', onAbort)
      if (signal.aborted) onAbort()
    })
    stopped.catch(() => {})
    working.catch(() => {})
    try {
      await Promise.race([working, stopped])
    } finally {
      timer?.cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }

  #acknowledged(request: OutgoingRequest): void {
    for (const { shard, next, ended } of request.positions) {
      this.#next.set(shard, next)
      if (ended) this.#ending.add(shard)
    }
    this.#options.onDelivered(request)
    this.#positions.acknowledged(request.positions)
  }

  #openReaders(): void {
    if (this.#stop.signal.aborted) return
    const { log, group } = this.#options
    const readable = group.readable().filter((position) => !position.ended)
    for (const position of readable) {
      if (this.#readers.has(position.shard)) continue
      this.#next.set(position.shard, position.next)
      this.#readers.set(position.shard, this.#read(position))
    }
    this.#isReading = true
    for (const { shard, ended } of group.positions()) {
      if (ended && this.#ending.delete(shard)) this.#next.delete(shard)
    }
    const stream = log.stream(group.stream)
    if (readable.length === 0 && (stream === undefined || stream.closedAt !== undefined)) {
      this.#sourceDeleted = true
      this.stop()
    }
  }

  async #read(position: Position): Promise<void> {
    const { log } = this.#options
    const { signal } = this.#stop
    const id = position.shard
    let from = position.next
    try {
      while (!signal.aborted) {
        const version = this.#changed.version
        await this.#permits.take()
        let kept = false
        try {
          if (signal.aborted) return
          const page = await log.read(id, from, { bytesMax: pageBytesMax })
          if (page.chunks.length > 0 || page.ended) {
            const shard = log.shard(id)
            if (!shard) throw new MillraceError('INTERNAL', `The shard ${id} was read and is not known.`)
            this.#atTail.delete(id)
            this.#readTo.set(id, page.next)
            this.#outbox?.push({ shard, from, page, release: () => this.#permits.give() })
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
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= asMillraceError(error)
    this.stop()
  }
}

/** Where a group stands that nobody reads for: nobody knows whether there is anything behind its positions. */
export function lowestPosition(group: Group): Sequence | undefined {
  let lowest: Sequence | undefined
  for (const { next, ended } of group.readable()) {
    if (!ended && (lowest === undefined || next < lowest)) lowest = next
  }
  return lowest
}
