import { randomUUID } from 'node:crypto'
import type { Position } from '../groups/index.js'
import type { ShardId } from '../log/index.js'
import { asMillraceError, type Clock, MillraceError, type Timer } from '../runtime/index.js'
import { type Attempts, Stopped } from './attempts.js'
import { Checkpoint, type CheckpointOptions, checkpointTopicOf } from './checkpoint.js'
import { byRecord, type Delivery, type DeliveryOptions, lookAtTopic, Rewind, refusedRecord } from './delivery.js'
import { isOfContent, isTooLarge } from './kafka-errors.js'
import type { OutgoingRequest, SentRequest } from './outbox.js'
import { unpacked } from './packed-messages.js'
import { producerMessagesMax } from './plain-delivery.js'
import type { Standing } from './reading.js'
import type { CommittedMessage, KafkaMessage, KafkaTransactionalProducer } from './types.js'

/** A transaction closes at most this long after its first message. */
export const transactionMs = 100
/** At least this long: what was read at about the same time shares an end. */
export const transactionMsMin = 10
/** While the bridge is behind, so long: what comes is late anyway, and each end of a transaction holds up what follows. */
export const transactionMsBehind = 250
/** A transaction that has as many bytes or records closes at once. */
export const transactionBytesMax = 16 * 1024 * 1024
export const transactionRecordsMax = 20_000

export interface TransactionalOptions extends DeliveryOptions {
  readonly clock: Clock
  readonly checkpoint: CheckpointOptions
  /** Makes durable that the checkpoint is there: from then on a start without it is refused. */
  readonly begun: () => Promise<void>
  /** Asks for smaller requests from now on: of so many bytes a partition, or of so many records until one is put aside. */
  readonly onTooMuch: (bounds: { readonly bytesMax: number } | { readonly recordsMax: number }) => void
}

/**
 * Exactly once: what is sent and the positions behind it, in a topic of checkpoints, are one transaction. After any failure
 * the producer is discarded; a new one of the same transactional id fences it, and the checkpoint alone says what is there.
 */
export class TransactionalDelivery implements Delivery {
  readonly #options: TransactionalOptions
  readonly #attempts: Attempts
  readonly #topic: string
  #lose: (error: Rewind) => void = () => {}
  #lost: Promise<never> = new Promise(() => {})
  #producer: KafkaTransactionalProducer | undefined
  #checkpoint: Checkpoint | undefined
  /** What the open transaction has sent. */
  #sent: SentRequest[] = []
  #bytes = 0
  #records = 0
  /** Messages of this producer, all transactions together. */
  #messages = 0
  #isOpen = false
  /** The newest request was full. */
  #isBehind = false
  /** How long the newest end took. A transaction is open for as long, so that the ends are half of the time at most. */
  #endingMs = transactionMs
  /** What ended the newest producer. */
  #failure: Error | undefined
  #timer: Timer | undefined
  #turn: Promise<void> = Promise.resolve()
  #working = 0
  #settled: number | undefined
  /**
   * Ids of the newest barrier that this delivery has seen written, and of those since then whose commit was not answered: one of them
   * may be there, and is no other program's.
   */
  #runs = new Set<string>()
  /** Whether the first of these was seen. */
  #hasRun = false

  constructor(options: TransactionalOptions, attempts: Attempts) {
    this.#options = options
    this.#attempts = attempts
    this.#topic = checkpointTopicOf(options.topic.topic)
    this.#settled = options.topic.settledPartitions
  }

  get sending(): boolean {
    return this.#working > 0 || this.#sent.length > 0
  }

  get lost(): Promise<never> {
    return this.#lost
  }

  async open(): Promise<Standing> {
    await this.#attempts.untilItWorks(
      () => this.#connect(),
      () => this.cut(),
    )
    this.#lost = new Promise((_, reject) => {
      this.#lose = reject
    })
    this.#lost.catch(() => {})
    return this.#checkpoint as Checkpoint
  }

  deliver(request: OutgoingRequest): Promise<void> {
    return this.#inTurn(async (producer) => {
      if (!this.#isOpen) await producer.begin()
      this.#isOpen = true
      if (request.messages.length > 0) await this.#send(producer, request)
      // A transaction has many times what two requests have: what the broker has is not kept until its end.
      const { messages: _, ...sent } = request
      this.#sent.push(sent)
      this.#bytes += request.bytes
      this.#records += request.records
      this.#isBehind = request.isFull
      if (this.#bytes >= transactionBytesMax || this.#records >= transactionRecordsMax) await this.#commit(producer)
      else this.#timer ??= this.#options.clock.setTimeout(() => this.#due(), this.#openMs())
    })
  }

  /** Commits what was sent. */
  async close(): Promise<void> {
    if (this.#producer) await this.#inTurn((producer) => this.#commit(producer)).catch(() => {})
    const producer = this.#producer
    this.#forget()
    await producer?.close().catch(() => producer.discard())
  }

  cut(): void {
    this.#producer?.discard()
    this.#forget()
  }

  #forget(): void {
    this.#producer = undefined
    this.#timer?.cancel()
    this.#timer = undefined
    this.#sent = []
    this.#bytes = 0
    this.#records = 0
    this.#isOpen = false
  }

  #openMs(): number {
    return Math.min(transactionMs, Math.max(transactionMsMin, this.#endingMs))
  }

  #due(isLast = false): void {
    this.#timer = undefined
    if (this.#isBehind && !isLast) {
      const more = transactionMsBehind - this.#openMs()
      this.#timer = this.#options.clock.setTimeout(() => this.#due(true), more)
      return
    }
    this.#inTurn((producer) => this.#commit(producer)).catch((error: unknown) => this.#lose(error as Rewind))
  }

  /** One call of a producer at a time. After a failure nothing of it is used any more. */
  #inTurn(work: (producer: KafkaTransactionalProducer) => Promise<void>): Promise<void> {
    const producer = this.#producer
    const turn = this.#turn.then(async () => {
      // The failure of the turn before is why there is no producer any more.
      if (!producer || producer !== this.#producer) throw this.#failure ?? new Rewind(new Stopped())
      this.#working++
      try {
        await work(producer)
      } catch (error) {
        this.cut()
        this.#failure = asFailure(error)
        throw this.#failure
      } finally {
        this.#working--
      }
    })
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #send(producer: KafkaTransactionalProducer, request: OutgoingRequest): Promise<void> {
    const { topic, compression } = this.#options
    try {
      await producer.send(topic.topic, request.messages, compression)
      this.#messages += request.messages.length
    } catch (thrown) {
      const error = asMillraceError(thrown)
      if (isOfContent(error)) await this.#refused(request, error)
      throw thrown
    }
  }

  /** The transaction is given up, whatever becomes of the request. Throws what ends it, where that is not the broker's answer. */
  async #refused({ messages, partitionBytes }: OutgoingRequest, error: MillraceError): Promise<void> {
    const { topic, putAside, onTooMuch } = this.#options
    const all = byRecord(unpacked(messages))
    const records = all.length
    if (records === 1) {
      const refused = refusedRecord(topic.topic, all[0]?.[0] as KafkaMessage, error)
      if (!putAside) throw refused.failure
      await putAside(refused)
      throw new Rewind(undefined)
    }
    if (isTooLarge(error)) onTooMuch({ bytesMax: Math.floor(partitionBytes / 2) })
    else if (putAside) onTooMuch({ recordsMax: Math.ceil(records / 2) })
    else return
    throw new Rewind(undefined)
  }

  async #commit(producer: KafkaTransactionalProducer): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    if (!this.#isOpen) return
    const checkpoint = this.#checkpoint as Checkpoint
    const moved = new Map<ShardId, Position>()
    for (const { positions } of this.#sent) for (const position of positions) moved.set(position.shard, position)
    const positions = [...moved.values()]
    const { clock } = this.#options
    const began = clock.monotonic()
    await producer.send(this.#topic, checkpoint.messages(positions), 'none')
    await producer.commit()
    this.#endingMs = clock.monotonic() - began
    checkpoint.moved(positions)
    const requests = this.#sent
    this.#sent = []
    this.#bytes = 0
    this.#records = 0
    this.#isOpen = false
    this.#attempts.succeeded()
    this.#options.onAcknowledged(requests)
    // The library wraps a partition's sequence one short of where the broker does: before that it begins anew.
    if (this.#messages >= producerMessagesMax) throw new MillraceError('KAFKA_UNAVAILABLE', 'The producer is renewed.')
  }

  /**
   * Whether another program has this bridge by now: it must not be fenced by the one that it has fenced. Throws
   * KAFKA_REFUSED then.
   *
   * What is committed at this moment is enough, and no open transaction is waited for: it may be the own one, whose end was lost, and
   * which only the next producer ends. Another program's producer has ended it, so that its barrier is there. Where the open transaction
   * of another bridge hides that barrier, the other program is fenced, as by a start, and finds the barrier of this one.
   */
  async #look(): Promise<void> {
    const { cluster, checkpoint: options, stop } = this.#options
    const checkpoint = new Checkpoint(options)
    await cluster.readCommittedSoFar(this.#topic, (message) => checkpoint.take(message), stop)
    if (stop.aborted) throw new Stopped()
    checkpoint.checkNewest(this.#runs)
  }

  async #connect(): Promise<void> {
    const { cluster, topic, stop, onConnected, checkpoint: options, begun } = this.#options
    const description = await lookAtTopic(cluster, { ...topic, settledPartitions: this.#settled })
    await lookAtTopic(cluster, {
      topic: this.#topic,
      partitions: 1,
      replicationFactor: topic.replicationFactor,
      topicConfig: checkpointTopicConfig,
      // Of another policy it would forget where the bridge stands.
      checked: ['cleanup.policy'],
      createTopic: topic.createTopic,
      settledPartitions: options.isBegun() ? 1 : undefined,
    })
    if (this.#hasRun) await this.#look()
    const producer = await cluster.connectTransactionalProducer(options.transactionalId)
    this.#producer = producer
    this.#failure = undefined
    this.#messages = 0
    if (stop.aborted) throw new Stopped()
    const run = randomUUID()
    const checkpoint = new Checkpoint(options)
    // Whoever had this id before cannot commit any more once this is there.
    await producer.begin()
    await producer.send(this.#topic, [checkpoint.barrier(run)], 'none')
    this.#runs.add(run)
    await producer.commit()
    const take = (message: CommittedMessage) => checkpoint.take(message) === run
    await cluster.readCommitted(this.#topic, take, stop)
    if (stop.aborted) throw new Stopped()
    checkpoint.settle()
    this.#runs = new Set([run])
    this.#hasRun = true
    await onConnected(description)
    this.#settled = description.partitions
    if (checkpoint.isNew) {
      const positions = checkpoint.positions()
      await producer.begin()
      await producer.send(this.#topic, checkpoint.messages(positions), 'none')
      await producer.commit()
    }
    if (!options.isBegun()) await begun()
    this.#checkpoint = checkpoint
  }
}

/** What is refused for good, or that is not known what was delivered. */
function asFailure(error: unknown): Error {
  if (error instanceof Rewind) return error
  // What puts records aside has failed: another try would come to the same.
  const isFinal = error instanceof MillraceError && (error.code === 'KAFKA_REFUSED' || error.code === 'NOT_FOUND')
  return isFinal ? error : new Rewind(error)
}

/** Small segments, so that a start reads little more than the newest position of each shard. */
const checkpointTopicConfig = {
  'cleanup.policy': 'compact',
  'segment.bytes': String(1024 * 1024),
  'min.cleanable.dirty.ratio': '0.1',
  'max.compaction.lag.ms': '3600000',
}
