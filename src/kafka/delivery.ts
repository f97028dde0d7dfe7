import { asMillraceError, type Clock, MillraceError } from '../runtime/index.js'
import { isTooLarge } from './kafka-errors.js'
import { prepareTopic, type TopicWish } from './topic.js'
import type { Compression, KafkaCluster, KafkaMessage, KafkaProducerClient, TopicDescription } from './types.js'

/** Between two tries: this, doubled each time up to the maximum, of which a random half is taken off. */
export const backOffMsMin = 100
export const backOffMsMax = 10_000
/**
 * Messages after which a producer is replaced. The library counts each partition's sequence up to 2^31 - 1 and wraps one
 * short of where the broker does.
 */
export const producerMessagesMax = 2 ** 30

/** Thrown out of a delivery that was stopped. */
export class Stopped extends Error {}

export interface DeliveryOptions {
  readonly cluster: KafkaCluster
  readonly topic: TopicWish
  readonly compression: Compression
  readonly clock: Clock
  readonly random: () => number
  /** Aborted when the bridge stops: nothing new is tried any more. */
  readonly stop: AbortSignal
  readonly onWaiting: (error: MillraceError, tryAgainInMs: number) => void
  /** After each connection, before anything is sent over it. */
  readonly onConnected: (topic: TopicDescription) => void | Promise<void>
}

/**
 * Gets messages to the topic, for as long as it takes. One send is in flight; a producer that has failed once is
 * discarded, and a new one comes after a growing pause. Only what the broker would refuse again is thrown.
 */
export class Delivery {
  readonly #options: DeliveryOptions
  #producer: KafkaProducerClient | undefined
  /** Partitions of the topic since the first connection. */
  #settled: number | undefined
  #sent = 0
  #sending = false
  #failures = 0

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.#settled = options.topic.settledPartitions
  }

  /** Whether messages are on their way to a broker. */
  get sending(): boolean {
    return this.#sending
  }

  /** Resolves when the topic is there and a producer is connected. */
  async open(): Promise<void> {
    await this.#untilItWorks(() => this.#connected())
  }

  async deliver(messages: readonly KafkaMessage[]): Promise<void> {
    try {
      await this.#untilItWorks(async () => {
        const producer = await this.#connected()
        this.#sending = true
        await producer.send(this.#options.topic.topic, messages, this.#options.compression).finally(() => {
          this.#sending = false
        })
        this.#sent += messages.length
      })
    } catch (thrown) {
      const error = asMillraceError(thrown)
      if (thrown instanceof Stopped || !isTooLarge(error)) throw thrown
      if (messages.length === 1) throw this.#tooLarge(messages[0] as KafkaMessage, error)
      const half = messages.length >> 1
      await this.deliver(messages.slice(0, half))
      await this.deliver(messages.slice(half))
    }
  }

  async close(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.close().catch(() => producer.discard())
  }

  /** Cuts what is in flight; whether the broker has it is unknown. */
  cut(): void {
    this.#producer?.discard()
    this.#producer = undefined
  }

  async #untilItWorks(attempt: () => Promise<unknown>): Promise<void> {
    const { stop, clock, random, onWaiting } = this.#options
    for (;;) {
      if (stop.aborted) throw new Stopped()
      try {
        await attempt()
        this.#failures = 0
        return
      } catch (thrown) {
        this.cut()
        if (stop.aborted) throw new Stopped()
        const error = asMillraceError(thrown)
        if (error.code !== 'KAFKA_UNAVAILABLE') throw error
        const pauseMs = Math.min(backOffMsMax, backOffMsMin * 2 ** Math.min(this.#failures++, 20)) * (1 - random() / 2)
        onWaiting(error, pauseMs)
        await pause(clock, pauseMs, stop)
      }
    }
  }

  async #connected(): Promise<KafkaProducerClient> {
    if (this.#producer && this.#sent >= producerMessagesMax) await this.close()
    if (this.#producer) return this.#producer
    const { cluster, topic, stop, onConnected } = this.#options
    const admin = await cluster.connectAdmin()
    let description: TopicDescription
    try {
      description = await prepareTopic(admin, { ...topic, settledPartitions: this.#settled })
    } finally {
      admin.close().catch(() => {})
    }
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

  #tooLarge(message: KafkaMessage, cause: MillraceError): MillraceError {
    const bytes = message.key.length + (message.value?.length ?? 0)
    const sequence = Number(message.headers['millrace-sequence'])
    return new MillraceError(
      'KAFKA_REFUSED',
      `The message of the record ${sequence} has ${bytes} bytes, more than the topic ${this.#options.topic.topic} takes.`,
      {
        cause,
        remedy: cause.remedy,
        details: { ...cause.details, topic: this.#options.topic.topic, sequence, bytes },
      },
    )
  }
}

/** Waits, but not beyond the stop. */
function pause(clock: Clock, ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel()
      stop.removeEventListener('abort', end)
      resolve()
    }
    const timer = clock.setTimeout(end, ms)
    stop.addEventListener('abort', end)
  })
}
