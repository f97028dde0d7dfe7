import { setTimeout as pause } from 'node:timers/promises'
import type { MessageRecord, NumericMap } from '@platformatic/kafka'
import { MillraceError } from '../runtime/index.js'
import { kafkaError } from './kafka-errors.js'
import {
  type BrokerAddress,
  brokerError,
  type Connections,
  library,
  requestTimeoutMs,
} from './platformatic-connections.js'
import { notAcknowledged, Turns } from './turns.js'
import type {
  Compression,
  KafkaMessage,
  KafkaProducerClient,
  KafkaTransactionalProducer,
  ProducedMessage,
} from './types.js'

/** A transaction whose producer is gone holds readers of what is committed back for so long, unless a newer producer comes. */
const transactionTimeoutMs = 30_000
/** Of a producer that the coordinator has not seen before: without it the coordinator takes a newer one for a zombie. */
const noProducer = { id: -1n, epoch: -1 } as const
const allReplicas = -1
const ofTransactions = 1

/**
 * What a coordinator says while it is still busy with what came before, and has done nothing: the broker writes the end of a transaction
 * after it has answered.
 */
const isBusy = new Set(['CONCURRENT_TRANSACTIONS', 'COORDINATOR_LOAD_IN_PROGRESS', 'COORDINATOR_NOT_AVAILABLE'])
/** The same of one that is just becoming, or ceasing to be, the coordinator: who it is has to be asked again, too. */
const isMoving = new Set([...isBusy, 'NOT_COORDINATOR'])
const askedMax = 14
const pauseMsMin = 5
const pauseMsMax = 250

/** Asks again as long as the coordinator is busy. */
async function asked<T>(ask: () => Promise<T>, passing = isBusy): Promise<T> {
  for (let count = 1; ; count++) {
    try {
      return await ask()
    } catch (thrown) {
      const error = brokerError(thrown) as { readonly type?: string }
      if (count === askedMax || !passing.has(error.type ?? '')) throw error
      await pause(Math.min(pauseMsMax, pauseMsMin * 2 ** (count - 1)))
    }
  }
}

interface PartitionAnswer {
  readonly index: number
  readonly errorCode: number
}

/** Partitions that have taken their messages, and those that are led by somebody else by now. */
interface Answered {
  readonly taken: Set<number>
  readonly moved: Set<number>
  /** Messages of each partition. */
  readonly counts: ReadonlyMap<number, number>
}

/** None, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER. */
const passes = new Set([0, 5, 6])

/** The partitions in an answer to a produce request; the library throws it away for an error that has it. */
function partitionsOf(answer: unknown): readonly PartitionAnswer[] {
  const { responses = [] } = (answer ?? {}) as {
    readonly responses?: readonly { readonly partitionResponses: readonly PartitionAnswer[] }[]
  }
  return responses.flatMap(({ partitionResponses }) => partitionResponses)
}

interface Identity {
  readonly id: bigint
  readonly epoch: number
}

/** Sends batches under one producer id, and numbers them. */
class Sender {
  readonly connections: Connections
  readonly #transactionalId: string | undefined
  readonly #sequences: NumericMap
  readonly #headerNames = new Map<string, Buffer>()
  identity: Identity = noProducer

  private constructor(connections: Connections, transactionalId: string | undefined, sequences: NumericMap) {
    this.connections = connections
    this.#transactionalId = transactionalId
    this.#sequences = sequences
  }

  static async of(connections: Connections, transactionalId?: string): Promise<Sender> {
    const { NumericMap } = await library()
    return new Sender(connections, transactionalId, new NumericMap())
  }

  /** Throws KAFKA_UNAVAILABLE for a partition that is not there, before anything is sent. */
  async check(topic: string, messages: readonly ProducedMessage[]): Promise<void> {
    const { leaders } = await this.connections.layoutOf(topic)
    const missing = messages.find(({ partition }) => !leaders[partition])
    if (missing) throw notAcknowledged(topic, missing.partition)
  }

  /**
   * Resolves when each partition has its messages. Those of a partition that has moved to another broker, or is just being made, are
   * sent again under the same numbers: whether they were taken before, the broker knows by these.
   */
  async send(topic: string, messages: readonly ProducedMessage[], compression: Compression): Promise<void> {
    let left = messages
    for (let round = 1; ; round++) {
      const { taken, moved, counts } = await this.#sendOnce(topic, left, compression)
      for (const [partition, count] of counts) {
        if (taken.has(partition)) this.#sequences.postIncrement(`${topic}:${partition}`, count, 0)
        else if (!moved.has(partition)) throw notAcknowledged(topic, partition)
      }
      if (moved.size === 0) return
      left = left.filter(({ partition }) => moved.has(partition))
      if (round === askedMax) throw notAcknowledged(topic, (left[0] as ProducedMessage).partition)
      await pause(Math.min(pauseMsMax, pauseMsMin * 2 ** round))
      this.connections.forgetLayouts()
      await this.check(topic, left)
    }
  }

  async #sendOnce(topic: string, messages: readonly ProducedMessage[], compression: Compression): Promise<Answered> {
    const { leaders } = await this.connections.layoutOf(topic)
    const byLeader = new Map<BrokerAddress, MessageRecord[]>()
    const counts = new Map<number, number>()
    for (const message of messages) {
      const { partition } = message
      counts.set(partition, (counts.get(partition) ?? 0) + 1)
      const leader = leaders[partition] as BrokerAddress
      const records = byLeader.get(leader)
      if (records) records.push(this.#record(topic, message))
      else byLeader.set(leader, [this.#record(topic, message)])
    }
    // All of them have ended before one that failed is told: nothing is on its way then.
    const answers = await Promise.allSettled(
      [...byLeader].map(([leader, records]) => this.#produce(leader, records, compression)),
    )
    const answered: Answered = { taken: new Set(), moved: new Set(), counts }
    for (const answer of answers) {
      if (answer.status === 'rejected') throw answer.reason
      for (const { index, errorCode } of answer.value) (errorCode === 0 ? answered.taken : answered.moved).add(index)
    }
    return answered
  }

  /** What the broker says of each partition: that it was taken, or has moved. Rejects with anything else. */
  async #produce(
    leader: BrokerAddress,
    records: MessageRecord[],
    compression: Compression,
  ): Promise<readonly PartitionAnswer[]> {
    const { produceV9 } = await library()
    const connection = await this.connections.to(leader)
    try {
      const answer = await produceV9.api.async(connection, allReplicas, requestTimeoutMs, records, {
        compression,
        producerId: this.identity.id,
        producerEpoch: this.identity.epoch,
        sequences: this.#sequences,
        transactionalId: this.#transactionalId,
      })
      return partitionsOf(answer)
    } catch (error) {
      const partitions = partitionsOf((error as { readonly response?: unknown }).response)
      if (
        partitions.some(({ errorCode }) => errorCode !== 0) &&
        partitions.every(({ errorCode }) => passes.has(errorCode))
      )
        return partitions
      throw error
    }
  }

  #record(topic: string, { key, value, partition, timestamp, headers }: ProducedMessage): MessageRecord {
    const written = new Map<Buffer, Buffer>()
    for (const name of Object.keys(headers)) written.set(this.#headerName(name), Buffer.from(headers[name] as string))
    return {
      topic,
      partition,
      timestamp: BigInt(timestamp),
      headers: written,
      // The library's types know no tombstones and no keyless messages; what it writes does.
      ...({ key, value } as { key: Buffer; value: Buffer }),
    }
  }

  /** Most messages have the same few headers. */
  #headerName(name: string): Buffer {
    const known = this.#headerNames.get(name)
    if (known) return known
    const written = Buffer.from(name)
    if (this.#headerNames.size < headerNamesMax) this.#headerNames.set(name, written)
    return written
  }
}

const headerNamesMax = 256

export async function connectPlatformaticProducer(connections: Connections): Promise<KafkaProducerClient> {
  const { initProducerIdV4 } = await library()
  const sender = await Sender.of(connections)
  const { producerId, producerEpoch } = await asked(async () =>
    initProducerIdV4.api.async(await connections.toAny(), null, transactionTimeoutMs, noProducer.id, noProducer.epoch),
  )
  sender.identity = { id: producerId, epoch: producerEpoch }
  return new PlatformaticProducer(sender)
}

class PlatformaticProducer implements KafkaProducerClient {
  readonly #sender: Sender
  readonly #turns = new Turns()

  constructor(sender: Sender) {
    this.#sender = sender
  }

  send(topic: string, messages: readonly ProducedMessage[], compression: Compression): Promise<void> {
    return this.#turns.take(async () => {
      try {
        await this.#sender.check(topic, messages)
        await this.#sender.send(topic, messages, compression)
      } catch (error) {
        throw kafkaError(brokerError(error), `sending ${messages.length} messages to ${topic}`)
      }
    })
  }

  async close(): Promise<void> {
    this.#turns.end()
    await this.#turns.idle
    this.discard()
  }

  discard(): void {
    this.#turns.end()
    this.#sender.connections.discard()
  }
}

export async function connectPlatformaticTransactions(
  connections: Connections,
  transactionalId: string,
): Promise<KafkaTransactionalProducer> {
  await connections.toAny()
  return new PlatformaticTransactions(await Sender.of(connections, transactionalId), transactionalId)
}

class PlatformaticTransactions implements KafkaTransactionalProducer {
  readonly #sender: Sender
  readonly #transactionalId: string
  readonly #turns = new Turns()
  #coordinator: BrokerAddress | undefined
  /** Partitions that the coordinator knows to be in the open transaction; undefined when none is open. */
  #partitions: Set<string> | undefined

  constructor(sender: Sender, transactionalId: string) {
    this.#sender = sender
    this.#transactionalId = transactionalId
  }

  begin(): Promise<void> {
    return this.#turns.take(async () => {
      try {
        this.#coordinator ??= await this.#fence()
        this.#partitions = new Set()
      } catch (error) {
        throw kafkaError(brokerError(error), 'beginning a transaction')
      }
    })
  }

  /** A new epoch of the transactional id: what an older producer has begun is aborted, and it can do nothing more. */
  async #fence(): Promise<BrokerAddress> {
    const { initProducerIdV4 } = await library()
    const { connections } = this.#sender
    return asked(async () => {
      const coordinator = await connections.coordinatorOf(ofTransactions, this.#transactionalId)
      const { producerId, producerEpoch } = await initProducerIdV4.api.async(
        await connections.to(coordinator),
        this.#transactionalId,
        transactionTimeoutMs,
        noProducer.id,
        noProducer.epoch,
      )
      this.#sender.identity = { id: producerId, epoch: producerEpoch }
      return coordinator
    }, isMoving)
  }

  send(topic: string, messages: readonly KafkaMessage[], compression: Compression): Promise<void> {
    return this.#turns.take(async () => {
      const partitions = this.#begun()
      try {
        await this.#sender.check(topic, messages)
        await this.#add(topic, messages, partitions)
        await this.#sender.send(topic, messages, compression)
      } catch (error) {
        throw kafkaError(brokerError(error), `sending ${messages.length} messages to ${topic}`)
      }
    })
  }

  /** The coordinator has to know a partition before the first record of the transaction is sent there. */
  async #add(topic: string, messages: readonly KafkaMessage[], known: Set<string>): Promise<void> {
    const added = new Set<number>()
    for (const { partition } of messages) if (!known.has(`${topic}:${partition}`)) added.add(partition)
    if (added.size === 0) return
    // Newer versions are for brokers, and want the right to act as one.
    const { addPartitionsToTxnV3 } = await library()
    const { id, epoch } = this.#sender.identity
    const transaction = {
      transactionalId: this.#transactionalId,
      producerId: id,
      producerEpoch: epoch,
      verifyOnly: false,
      topics: [{ name: topic, partitions: [...added] }],
    }
    await asked(async () => addPartitionsToTxnV3.api.async(await this.#toCoordinator(), [transaction]))
    for (const partition of added) known.add(`${topic}:${partition}`)
  }

  commit(): Promise<void> {
    return this.#turns.take(async () => {
      const partitions = this.#begun()
      this.#partitions = undefined
      try {
        if (partitions.size > 0) await this.#end(true)
      } catch (error) {
        throw kafkaError(brokerError(error), 'committing a transaction')
      }
    })
  }

  /** Not asked again: whether a lost answer was a yes, a newer producer finds out. */
  async #end(isCommitted: boolean): Promise<void> {
    const { endTxnV3 } = await library()
    const { id, epoch } = this.#sender.identity
    await endTxnV3.api.async(await this.#toCoordinator(), this.#transactionalId, id, epoch, isCommitted)
  }

  async close(): Promise<void> {
    this.#turns.end()
    await this.#turns.idle
    const partitions = this.#partitions
    this.#partitions = undefined
    if (partitions && partitions.size > 0) await this.#end(false).catch(() => {})
    this.#sender.connections.discard()
  }

  discard(): void {
    this.#turns.end()
    this.#sender.connections.discard()
  }

  #toCoordinator() {
    return this.#sender.connections.to(this.#coordinator as BrokerAddress)
  }

  #begun(): Set<string> {
    if (!this.#partitions) throw new MillraceError('INTERNAL', 'A Kafka transaction was used before it had begun.')
    return this.#partitions
  }
}
