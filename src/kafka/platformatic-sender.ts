import { setTimeout as pause } from 'node:timers/promises'
import { PackedMessages } from './packed-messages.js'
import { type BrokerAddress, brokerError, type Connections } from './platformatic-connections.js'
import { type NumberedMessages, produce } from './platformatic-produce.js'
import type { BatchContent } from './produce-request.js'
import { notAcknowledged } from './turns.js'
import type { Compression, MessagesToSend, ProducedMessage } from './types.js'

/**
 * What a coordinator says while it is still busy with what came before, and has done nothing: the broker writes the end of a transaction
 * after it has answered.
 */
const isBusy = new Set(['CONCURRENT_TRANSACTIONS', 'COORDINATOR_LOAD_IN_PROGRESS', 'COORDINATOR_NOT_AVAILABLE'])
/** The same of one that is just becoming, or ceasing to be, the coordinator: who it is has to be asked again, too. */
export const isMoving = new Set([...isBusy, 'NOT_COORDINATOR'])
const askedMax = 14
const pauseMsMin = 5
const pauseMsMax = 250

/** Asks again as long as the coordinator is busy. */
export async function asked<T>(ask: () => Promise<T>, passing = isBusy): Promise<T> {
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

/** Messages by their partition, each in their order. */
export type Placed = ReadonlyMap<number, BatchContent>

export function placed(messages: MessagesToSend): Placed {
  if (messages instanceof PackedMessages)
    return new Map(messages.partitions.map((packed) => [packed.partition, packed]))
  const byPartition = new Map<number, ProducedMessage[]>()
  for (const message of messages) {
    const group = byPartition.get(message.partition)
    if (group) group.push(message)
    else byPartition.set(message.partition, [message])
  }
  return byPartition
}

interface Identity {
  readonly id: bigint
  readonly epoch: number
}

/** Of a producer that the coordinator has not seen before: without it the coordinator takes a newer one for a zombie. */
export const noProducer: Identity = { id: -1n, epoch: -1 }

/** Partitions that have taken their messages, and those that are led by somebody else by now. */
interface Answered {
  readonly taken: Set<number>
  readonly moved: Set<number>
}

/** Sends batches under one producer id, and numbers them. */
export class Sender {
  readonly connections: Connections
  identity = noProducer
  readonly #transactionalId: string | undefined
  /** The number of the next message, by topic and partition. A producer is renewed before one reaches 2^31. */
  readonly #sequences = new Map<string, Map<number, number>>()

  constructor(connections: Connections, transactionalId?: string) {
    this.connections = connections
    this.#transactionalId = transactionalId
  }

  /** Throws KAFKA_UNAVAILABLE for a partition that is not there, before anything is sent. */
  async check(topic: string, messages: Placed): Promise<void> {
    const { leaders } = await this.connections.layoutOf(topic)
    for (const partition of messages.keys()) if (!leaders[partition]) throw notAcknowledged(topic, partition)
  }

  /**
   * Resolves when each partition has its messages. Those of a partition that has moved to another broker, or is just being made, are
   * sent again under the same numbers: whether they were taken before, the broker knows by these.
   */
  async send(topic: string, messages: Placed, compression: Compression): Promise<void> {
    const left = new Map(messages)
    const sequences = this.#sequencesOf(topic)
    for (let round = 1; ; round++) {
      const { taken, moved } = await this.#sendOnce(topic, left, compression)
      for (const [partition, { length }] of left) {
        if (moved.has(partition)) continue
        if (!taken.has(partition)) throw notAcknowledged(topic, partition)
        sequences.set(partition, (sequences.get(partition) ?? 0) + length)
        left.delete(partition)
      }
      const [missing] = left.keys()
      if (missing === undefined) return
      if (round === askedMax) throw notAcknowledged(topic, missing)
      await pause(Math.min(pauseMsMax, pauseMsMin * 2 ** round))
      this.connections.forgetLayouts()
      await this.check(topic, left)
    }
  }

  async #sendOnce(topic: string, left: Placed, compression: Compression): Promise<Answered> {
    const { leaders } = await this.connections.layoutOf(topic)
    const sequences = this.#sequencesOf(topic)
    const byLeader = new Map<BrokerAddress, NumberedMessages[]>()
    for (const [partition, messages] of left) {
      const leader = leaders[partition] as BrokerAddress
      const numbered = { partition, firstSequence: sequences.get(partition) ?? 0, messages }
      const led = byLeader.get(leader)
      if (led) led.push(numbered)
      else byLeader.set(leader, [numbered])
    }
    const { identity: producer, connections } = this
    const transactionalId = this.#transactionalId
    // All of them have ended before one that failed is told: nothing is on its way then.
    const answers = await Promise.allSettled(
      [...byLeader].map(async ([leader, partitions]) =>
        produce(await connections.to(leader), { topic, partitions, compression, producer, transactionalId }),
      ),
    )
    const answered: Answered = { taken: new Set(), moved: new Set() }
    for (const answer of answers) {
      if (answer.status === 'rejected') throw answer.reason
      for (const { index, errorCode } of answer.value) (errorCode === 0 ? answered.taken : answered.moved).add(index)
    }
    return answered
  }

  #sequencesOf(topic: string): Map<number, number> {
    const known = this.#sequences.get(topic)
    if (known) return known
    const made = new Map<number, number>()
    this.#sequences.set(topic, made)
    return made
  }
}
