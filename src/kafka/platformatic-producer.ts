import { MillraceError } from '../runtime/index.js'
import { kafkaError } from './kafka-errors.js'
import { type BrokerAddress, brokerError, type Connections, library } from './platformatic-connections.js'
import { asked, isMoving, noProducer, type Placed, placed, Sender } from './platformatic-sender.js'
import { Turns } from './turns.js'
import type { Compression, KafkaProducerClient, KafkaTransactionalProducer, MessagesToSend } from './types.js'

/** A transaction whose producer is gone holds readers of what is committed back for so long, unless a newer producer comes. */
const transactionTimeoutMs = 30_000
const ofTransactions = 1

export async function connectPlatformaticProducer(connections: Connections): Promise<KafkaProducerClient> {
  const { initProducerIdV4 } = await library()
  const sender = new Sender(connections)
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

  send(topic: string, messages: MessagesToSend, compression: Compression): Promise<void> {
    return this.#turns.take(async () => {
      try {
        const byPartition = placed(messages)
        await this.#sender.check(topic, byPartition)
        await this.#sender.send(topic, byPartition, compression)
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
  return new PlatformaticTransactions(new Sender(connections, transactionalId), transactionalId)
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

  send(topic: string, messages: MessagesToSend, compression: Compression): Promise<void> {
    return this.#turns.take(async () => {
      const partitions = this.#begun()
      try {
        const byPartition = placed(messages)
        await this.#sender.check(topic, byPartition)
        await this.#add(topic, byPartition, partitions)
        await this.#sender.send(topic, byPartition, compression)
      } catch (error) {
        throw kafkaError(brokerError(error), `sending ${messages.length} messages to ${topic}`)
      }
    })
  }

  /** The coordinator has to know a partition before the first record of the transaction is sent there. */
  async #add(topic: string, messages: Placed, known: Set<string>): Promise<void> {
    const added = [...messages.keys()].filter((partition) => !known.has(`${topic}:${partition}`))
    if (added.length === 0) return
    // Newer versions are for brokers, and want the right to act as one.
    const { addPartitionsToTxnV3 } = await library()
    const { id, epoch } = this.#sender.identity
    const transaction = {
      transactionalId: this.#transactionalId,
      producerId: id,
      producerEpoch: epoch,
      verifyOnly: false,
      topics: [{ name: topic, partitions: added }],
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
