import type { Group } from '../groups/index.js'
import { asMillraceError } from '../runtime/index.js'
import { type Attempts, Stopped } from './attempts.js'
import { byRecord, type Delivery, type DeliveryOptions, lookAtTopic, refusedRecord } from './delivery.js'
import { isOfContent, isTooLarge } from './kafka-errors.js'
import type { OutgoingRequest } from './outbox.js'
import { type Messages, unpacked } from './packed-messages.js'
import type { Standing } from './reading.js'
import type { KafkaMessage, KafkaProducerClient } from './types.js'

/**
 * Messages after which a producer is replaced. The library counts each partition's sequence up to 2^31 - 1 and wraps one
 * short of where the broker does.
 */
export const producerMessagesMax = 2 ** 30

/**
 * At least once: a producer that has failed is discarded, and a new one sends the same again, for as long as it takes. Where
 * it begins is the group's position.
 */
export class PlainDelivery implements Delivery {
  readonly lost: Promise<never> = new Promise(() => {})
  readonly #options: DeliveryOptions
  readonly #attempts: Attempts
  readonly #group: Group
  #producer: KafkaProducerClient | undefined
  /** Partitions of the topic since the first connection. */
  #settled: number | undefined
  #sent = 0
  #sending = false

  constructor(options: DeliveryOptions, attempts: Attempts, group: Group) {
    this.#options = options
    this.#attempts = attempts
    this.#group = group
    this.#settled = options.topic.settledPartitions
  }

  get sending(): boolean {
    return this.#sending
  }

  async open(): Promise<Standing> {
    await this.#untilItWorks(() => this.#connected())
    return this.#group
  }

  async deliver(request: OutgoingRequest): Promise<void> {
    if (request.messages.length > 0) await this.#send(request.messages)
    this.#options.onAcknowledged([request])
  }

  async #send(messages: Messages): Promise<void> {
    const { topic, compression } = this.#options
    try {
      await this.#untilItWorks(async () => {
        const producer = await this.#connected()
        this.#sending = true
        await producer.send(topic.topic, messages, compression).finally(() => {
          this.#sending = false
        })
        this.#sent += messages.length
      })
    } catch (thrown) {
      const error = asMillraceError(thrown)
      const { putAside } = this.#options
      if (thrown instanceof Stopped || !(putAside ? isOfContent(error) : isTooLarge(error))) throw thrown
      const records = byRecord(unpacked(messages))
      if (records.length === 1) {
        const refused = refusedRecord(topic.topic, records[0]?.[0] as KafkaMessage, error)
        if (!putAside) throw refused.failure
        await putAside(refused)
        return
      }
      const half = records.length >> 1
      await this.#send(records.slice(0, half).flat())
      await this.#send(records.slice(half).flat())
    }
  }

  async close(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.close().catch(() => producer.discard())
  }

  cut(): void {
    this.#producer?.discard()
    this.#producer = undefined
  }

  async #untilItWorks(attempt: () => Promise<unknown>): Promise<void> {
    await this.#attempts.untilItWorks(attempt, () => this.cut())
    this.#attempts.succeeded()
  }

  async #connected(): Promise<KafkaProducerClient> {
    if (this.#producer && this.#sent >= producerMessagesMax) await this.close()
    if (this.#producer) return this.#producer
    const { cluster, topic, stop, onConnected } = this.#options
    const description = await lookAtTopic(cluster, { ...topic, settledPartitions: this.#settled })
    const producer = await cluster.connectProducer()
    if (stop.aborted) {
      producer.discard()
      throw new Stopped()
    }
    this.#producer = producer
    this.#sent = 0
    await onConnected(description)
    this.#settled = description.partitions
    return producer
  }
}
