import { kafkaMessageOf } from '../operators/index.js'
import { asMillraceError, type Clock } from '../runtime/index.js'
import type {
  Deliverer,
  DeliveryOutcome,
  KafkaTopic,
  OutboxBatch,
  OutgoingMessage,
  TopicAccess,
} from '../sinks/index.js'
import type { KafkaReading } from './feeds/index.js'

/** The way to Kafka, which the daemon lends the pipelines. */
export interface KafkaAccess extends TopicAccess {
  /** Reads a topic. `isBounded`: up to what is there when it begins. */
  read(options: {
    readonly topic: string
    readonly brokers: readonly string[]
    readonly cluster: string | undefined
    readonly clientId: string
    readonly start: 'oldest' | 'newest'
    readonly isBounded: boolean
  }): KafkaReading
}

/** The header with the id of a message: what arrives twice has the same. */
const idHeader = 'millrace-id'

/** Brings batches to a Kafka topic. A batch that was not acknowledged is sent again, with the same ids. */
export class KafkaDeliverer implements Deliverer {
  readonly #topic: KafkaTopic
  readonly #isOfContent: KafkaAccess['isOfContent']
  readonly #clock: Clock
  readonly #timeoutMs: number

  constructor(topic: KafkaTopic, { isOfContent }: Pick<KafkaAccess, 'isOfContent'>, clock: Clock, timeoutMs: number) {
    this.#topic = topic
    this.#isOfContent = isOfContent
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  async deliver({ records }: OutboxBatch, _attempt: number, stop: AbortSignal): Promise<DeliveryOutcome> {
    const messages = records.map(({ id, body, time }): OutgoingMessage => {
      const { key, value, ...message } = kafkaMessageOf(body.toString())
      const bytes = { key: key && bufferOf(key), value: value && bufferOf(value) }
      return { ...message, ...bytes, id, timestamp: time, headers: { ...message.headers, [idHeader]: id } }
    })
    let giveUp = (_why: string): void => {}
    const givenUp = new Promise<DeliveryOutcome>((resolve) => {
      giveUp = (why) => {
        this.#topic.discard()
        resolve({ kind: 'failed', why })
      }
    })
    const timer = this.#clock.setTimeout(() => giveUp(`No answer within ${this.#timeoutMs} ms.`), this.#timeoutMs)
    const onStop = (): void => giveUp('The daemon is stopping.')
    stop.addEventListener('abort', onStop)
    try {
      if (stop.aborted) onStop()
      return await Promise.race([givenUp, this.#send(messages)])
    } finally {
      timer.cancel()
      stop.removeEventListener('abort', onStop)
    }
  }

  async #send(messages: readonly OutgoingMessage[]): Promise<DeliveryOutcome> {
    try {
      await this.#topic.send(messages)
      return { kind: 'delivered' }
    } catch (thrown) {
      const error = asMillraceError(thrown)
      const why = error.message
      const isRefused = error.code === 'BAD_REQUEST' || this.#isOfContent(error)
      return isRefused ? { kind: 'refused', why } : { kind: 'failed', why }
    }
  }

  close(): Promise<void> {
    return this.#topic.close()
  }
}

const bufferOf = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength)
