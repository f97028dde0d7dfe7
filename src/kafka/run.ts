import type { CommitPath } from '../commit/index.js'
import type { Group, Position } from '../groups/index.js'
import type { Log, Sequence } from '../log/index.js'
import { asMillraceError, type Clock, type MillraceError, type Timer } from '../runtime/index.js'
import { Attempts, Stopped } from './attempts.js'
import type { CheckpointOptions } from './checkpoint.js'
import type { Converting } from './converting.js'
import { type Delivery, lookAtTopic, Rewind } from './delivery.js'
import type { Encode } from './encoder.js'
import {
  Outbox,
  type OutgoingRequest,
  type Packing,
  partitionBytesMax,
  requestRecordsMax,
  type SentRequest,
} from './outbox.js'
import type { Passing } from './passing.js'
import { PlainDelivery } from './plain-delivery.js'
import { PositionWriter } from './positions.js'
import type { PutAside, RefusedRecord } from './put-aside.js'
import { Reading, type Standing } from './reading.js'
import { orOver } from './signal.js'
import type { TopicWish } from './topic.js'
import { TransactionalDelivery, type TransactionalOptions } from './transactional-delivery.js'
import type { Compression, KafkaCluster, TopicDescription } from './types.js'

/** Between two looks at the topic of a bridge that delivers: partitions may be added to it at any time. */
export const topicLookMs = 60_000

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
  /** For records that go out as they are; undefined: there are none. */
  readonly passing: Passing | undefined
  /** The last step of what is sent; undefined: none. */
  readonly converting: Converting | undefined
  /** Records that were put aside, which are passed over; undefined: there are none. */
  readonly putAside: PutAside | undefined
  /** Whether it takes records that cannot be sent; otherwise the first of them ends the run. */
  readonly putsAside: boolean
  /** Exactly once, by transactions and a checkpoint; undefined is at least once. */
  readonly exactly: { readonly checkpoint: CheckpointOptions; readonly begun: () => Promise<void> } | undefined
  /** Makes the topic's number of partitions durable, before anything is sent there. */
  readonly settle: (partitions: number) => Promise<void>
  readonly onWaiting: (error: MillraceError, tryAgainInMs: number) => void
  readonly onRunning: () => void
  readonly onDelivered: (requests: readonly SentRequest[]) => void
  /** Positions are durable, or in the checkpoint. */
  readonly onMoved: () => void
  /** Where a session begins. */
  readonly onStanding: (positions: readonly Position[]) => Promise<void>
}

/** Of what was taken out of the outbox, what converters have made and is to be sent, and what they are to convert behind that. */
interface Ahead {
  readonly parts: OutgoingRequest[]
  rest: OutgoingRequest | undefined
}

export type RunEnd =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'sourceDeleted' }
  | { readonly kind: 'failed'; readonly error: MillraceError }

/**
 * One life of a bridge, from a start to a stop or a failure. Each readable shard has a reader; what they read goes
 * through one outbox to one producer, one request at a time; what the broker has acknowledged becomes the group's
 * position; and the end of a shard, once known to be delivered, opens the readers of its children. When nobody knows what
 * was delivered, reading begins again at what is known.
 */
export class BridgeRun {
  readonly end: Promise<RunEnd>
  readonly #options: RunOptions
  readonly #stop = new AbortController()
  readonly #positions: PositionWriter
  readonly #attempts: Attempts
  readonly #delivery: Delivery
  #topic: TopicDescription | undefined
  /** A request of more bytes for a partition was too large for the topic. */
  #bytesMax = partitionBytesMax
  /** One record of a request of more is refused, and not found yet. */
  #recordsMax = requestRecordsMax
  #outbox: Outbox | undefined
  #reading: Reading | undefined
  #inFlight: OutgoingRequest | undefined
  #failure: MillraceError | undefined
  #sourceDeleted = false

  constructor(options: RunOptions) {
    this.#options = options
    const { commit, group, clock, exactly, putAside, putsAside } = options
    const stop = this.#stop.signal
    this.#positions = new PositionWriter({
      commit,
      group,
      clock,
      more: (positions) => putAside?.rowsFor(positions) ?? [],
      onMoved: () => this.#moved(),
      onFailure: (error) => this.#fail(error),
    })
    this.#attempts = new Attempts({ ...options, stop })
    const delivery = {
      ...options,
      stop,
      onConnected: async (topic: TopicDescription) => {
        await options.settle(topic.partitions)
        this.#topic = topic
        if (this.#outbox) this.#outbox.bytesMax = this.#requestBytes()
        options.onRunning()
      },
      onAcknowledged: (requests: readonly SentRequest[]) => this.#acknowledged(requests),
      putAside: putsAside && putAside ? (refused: RefusedRecord) => this.#putAside(putAside, [refused]) : undefined,
    }
    const onTooMuch: TransactionalOptions['onTooMuch'] = (bounds) => {
      if ('bytesMax' in bounds) this.#bytesMax = bounds.bytesMax
      else this.#recordsMax = bounds.recordsMax
    }
    this.#delivery = exactly
      ? new TransactionalDelivery({ ...delivery, ...exactly, onTooMuch }, this.#attempts)
      : new PlainDelivery(delivery, this.#attempts, group)
    this.end = this.#run()
  }

  /** Begins the stop; `end` resolves when it is done. */
  stop(): void {
    this.#stop.abort()
    this.#outbox?.close()
    this.#options.converting?.close()
  }

  /** What it stands on has failed: it ends with that. */
  fail(error: unknown): void {
    this.#fail(error)
  }

  /** Commit time of the oldest record that was read and not acknowledged, milliseconds since 1970. */
  get oldestCommitTime(): number | undefined {
    return this.#inFlight?.oldestCommitTime ?? this.#outbox?.oldestCommitTime
  }

  /** The lowest sequence number that may not have been delivered; undefined when everything was. */
  get behindFrom(): Sequence | undefined {
    return this.#reading ? this.#reading.behindFrom : lowestPosition(this.#options.group)
  }

  async #run(): Promise<RunEnd> {
    try {
      await this.#options.putAside?.load()
      while (!this.#stop.signal.aborted) await this.#session()
    } catch (error) {
      if (!(error instanceof Stopped)) this.#fail(error)
    }
    this.stop()
    await this.#bounded(this.#delivery.close())
    this.#delivery.cut()
    await this.#positions.flush()
    await this.#reading?.stop()
    if (this.#failure) return { kind: 'failed', error: this.#failure }
    return this.#sourceDeleted ? { kind: 'sourceDeleted' } : { kind: 'stopped' }
  }

  /** From a connection until the stop, or until what was delivered is unknown. */
  async #session(): Promise<void> {
    const { log, group, clock } = this.#options
    const standing = await this.#orStopped(this.#delivery.open())
    await this.#options.onStanding(standing.positions())
    if (this.#stop.signal.aborted) throw new Stopped()
    const outbox = new Outbox(this.#encode(), (this.#topic as TopicDescription).partitions, clock, this.#packing())
    outbox.bytesMax = this.#requestBytes()
    outbox.recordsMax = this.#recordsMax
    this.#outbox = outbox
    const onFailure = (error: unknown) => this.#fail(error)
    this.#reading = new Reading({ log, stream: group.stream, standing, outbox, onFailure })
    this.#take(standing)
    const watch = this.#watchTopic()
    try {
      await this.#deliverAll(outbox)
    } catch (error) {
      if (!(error instanceof Rewind)) throw error
      outbox.close()
      await this.#reading.stop()
      this.#reading = undefined
      this.#inFlight = undefined
      if (error.failure !== undefined) await this.#attempts.failed(error.failure)
    } finally {
      watch.cancel()
    }
  }

  /** A converter wants messages one by one. */
  #packing(): Packing | undefined {
    const { converting, passing, putAside } = this.#options
    return converting ? undefined : { passing, sendsAll: () => !putAside || putAside.isEmpty }
  }

  /** What was put aside is not sent, also when it is read again. */
  #encode(): Encode {
    const { encode, putAside } = this.#options
    if (!putAside) return encode
    return (record, shard, partitions) =>
      !putAside.isEmpty && putAside.has(shard.id, record.sequence) ? [] : encode(record, shard, partitions)
  }

  async #putAside(putAside: PutAside, refused: readonly RefusedRecord[]): Promise<void> {
    await putAside.put(refused, this.#stop.signal)
    this.#recordsMax = requestRecordsMax
    if (this.#outbox) this.#outbox.recordsMax = requestRecordsMax
  }

  /** Keys would go to other partitions than before, in another order: whoever added some is told, and nothing is sent on. */
  #watchTopic(): Pick<Timer, 'cancel'> {
    const { clock, cluster, topic } = this.#options
    const settledPartitions = this.#topic?.partitions
    let isOver = false
    let timer: Timer
    const look = (): void => {
      lookAtTopic(cluster, { ...topic, settledPartitions, createTopic: false })
        .catch((error: unknown) => {
          // A broker that does not answer is found out by what is sent.
          if (!isOver && asMillraceError(error).code === 'KAFKA_REFUSED') this.#fail(error)
        })
        .finally(() => {
          if (!isOver) timer = clock.setTimeout(look, topicLookMs)
        })
    }
    timer = clock.setTimeout(look, topicLookMs)
    return {
      cancel: () => {
        isOver = true
        timer.cancel()
      },
    }
  }

  /** What a checkpoint says becomes the position of the group, which retention goes by. */
  #take(standing: Standing): void {
    const { log, group } = this.#options
    this.#endOfSource()
    if (standing === group) return
    const due = standing.positions().filter(({ shard, next, ended }) => {
      const known = group.position(shard)
      return log.shard(shard) && (known?.next !== next || known.ended !== ended)
    })
    if (due.length > 0) this.#positions.acknowledged(due)
  }

  async #deliverAll(outbox: Outbox): Promise<void> {
    const orLost = orOver(this.#delivery.lost)
    const ahead: Ahead = { parts: [], rest: undefined }
    let next = this.#next(outbox, ahead)
    next.catch(() => {})
    for (;;) {
      const request = await orLost(next)
      if (!request) return
      this.#inFlight ??= request
      const delivered = this.#delivery.deliver(request)
      // The next request is put together while this one is with the broker.
      if (!request.failure) next = this.#next(outbox, ahead, delivered)
      next.catch(() => {})
      await this.#orStopped(delivered)
      outbox.sent(request)
      if (request.failure) throw request.failure
    }
  }

  async #next(outbox: Outbox, ahead: Ahead, before?: Promise<void>): Promise<OutgoingRequest | undefined> {
    if (this.#stop.signal.aborted) return undefined
    const part = ahead.parts.shift()
    if (part) return part
    const request = ahead.rest ?? (await outbox.next(before))
    const { converting, putAside } = this.#options
    if (!request || !converting) return request
    try {
      const { partitions } = this.#topic as TopicDescription
      const { parts, refused, rest } = await converting.convert(request, partitions, outbox.bytesMax)
      // Before anything moves past them.
      if (refused.length > 0) await putAside?.put(refused, this.#stop.signal)
      ahead.parts.push(...parts)
      ahead.rest = rest
      return ahead.parts.shift()
    } catch (error) {
      // A stop does not wait for user code.
      if (this.#stop.signal.aborted) return undefined
      throw error
    }
  }

  /** A stop gives what is on its way to a broker some time to be answered, then cuts it. */
  async #orStopped<T>(working: Promise<T>): Promise<T> {
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
      return await Promise.race([working, stopped])
    } finally {
      timer?.cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #bounded(working: Promise<void>): Promise<void> {
    let timer: Timer | undefined
    const over = new Promise<void>((resolve) => {
      timer = this.#options.clock.setTimeout(resolve, stopMsMax)
    })
    await Promise.race([working, over]).finally(() => timer?.cancel())
  }

  #requestBytes(): number {
    // A tenth is left for what a batch has beside its messages.
    const topicBytes = Math.floor((this.#topic?.messageBytesMax ?? partitionBytesMax) * 0.9)
    return Math.min(partitionBytesMax, this.#bytesMax, topicBytes)
  }

  #acknowledged(requests: readonly SentRequest[]): void {
    this.#inFlight = undefined
    const positions = new Map(requests.flatMap((request) => request.positions.map((each) => [each.shard, each])))
    const moved: readonly Position[] = [...positions.values()]
    this.#reading?.acknowledged(moved)
    this.#options.onDelivered(requests)
    this.#positions.acknowledged(moved)
    // A checkpoint has moved by now; the rows of a group have when they are written.
    this.#moved()
  }

  #moved(): void {
    this.#options.onMoved()
    if (this.#stop.signal.aborted) return
    this.#reading?.open()
    this.#endOfSource()
  }

  #endOfSource(): void {
    if (!this.#reading?.isAtEnd) return
    this.#sourceDeleted = true
    this.stop()
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
