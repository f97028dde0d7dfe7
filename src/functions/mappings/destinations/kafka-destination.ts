import { asMillraceError, type MillraceError } from '../../../runtime/index.js'
import type { Destination, FailureDocument } from './destination.js'

/** A message for a topic; `id` is the same at each attempt. */
export interface DocumentMessage {
  readonly id: string
  readonly key: Buffer | undefined
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
  readonly partition: number | undefined
  readonly timestamp: number
}

/** Sends to one topic. */
export interface DocumentTopic {
  send(messages: readonly DocumentMessage[]): Promise<void>
  /** Cuts what is under way. */
  discard(): void
  close(): Promise<void>
}

/** The way to Kafka, which the daemon lends. */
export interface TopicAccess {
  /** `kafka.brokers` of the configuration. */
  readonly brokers: readonly string[]
  /** Names under `kafka.clusters` of the configuration. */
  readonly clusters: readonly string[]
  open(options: {
    readonly topic: string
    readonly brokers: readonly string[]
    readonly cluster: string | undefined
    readonly clientId: string
    readonly compression: 'none' | 'gzip'
  }): DocumentTopic
  /** Whether it is the message that is at fault. */
  isOfContent(error: MillraceError): boolean
}

/** Sends each document as a message; those of one shard have one key. */
export class KafkaDestination implements Destination {
  readonly #topic: DocumentTopic
  readonly #isOfContent: TopicAccess['isOfContent']
  #last: Promise<unknown> = Promise.resolve()

  constructor(topic: DocumentTopic, { isOfContent }: Pick<TopicAccess, 'isOfContent'>) {
    this.#topic = topic
    this.#isOfContent = isOfContent
  }

  deliver(document: FailureDocument, stop: AbortSignal): Promise<void> {
    // A sender takes one batch at a time.
    const sent = this.#last.then(() => this.#send(document, stop))
    this.#last = sent.catch(() => {})
    return sent
  }

  async #send(document: FailureDocument, stop: AbortSignal): Promise<void> {
    const onStop = (): void => this.#topic.discard()
    stop.addEventListener('abort', onStop)
    try {
      stop.throwIfAborted()
      await this.#topic.send([messageOf(document, document.withPayload)])
    } catch (error) {
      if (stop.aborted || !this.#isOfContent(asMillraceError(error))) throw error
      await this.#topic.send([messageOf(document, document.withoutPayload)])
    } finally {
      stop.removeEventListener('abort', onStop)
    }
  }

  close(): Promise<void> {
    return this.#topic.close()
  }
}

function messageOf({ id, at, shardId }: FailureDocument, value: Buffer): DocumentMessage {
  return { id, key: Buffer.from(shardId), value, headers: { 'millrace-id': id }, partition: undefined, timestamp: at }
}
