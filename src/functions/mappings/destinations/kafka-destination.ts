import { asMillraceError } from '../../../runtime/index.js'
import type { KafkaTopic, OutgoingMessage, TopicAccess } from '../../../sinks/index.js'
import type { Destination, FailureDocument } from './destination.js'

/** Sends each document as a message; those of one shard have one key. */
export class KafkaDestination implements Destination {
  readonly #topic: KafkaTopic
  readonly #isOfContent: TopicAccess['isOfContent']
  #last: Promise<unknown> = Promise.resolve()

  constructor(topic: KafkaTopic, { isOfContent }: Pick<TopicAccess, 'isOfContent'>) {
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

function messageOf({ id, at, shardId }: FailureDocument, value: Buffer): OutgoingMessage {
  return { id, key: Buffer.from(shardId), value, headers: { 'millrace-id': id }, partition: undefined, timestamp: at }
}
