import type { MillraceError } from '../../runtime/index.js'

/** A message for a topic; `id` is the same at each attempt. */
export interface OutgoingMessage {
  readonly id: string
  readonly key: Buffer | undefined
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, string>>
  readonly partition: number | undefined
  readonly timestamp: number
}

/** Sends to one topic, one batch at a time. */
export interface KafkaTopic {
  send(messages: readonly OutgoingMessage[]): Promise<void>
  /** Cuts what is under way. */
  discard(): void
  close(): Promise<void>
}

/** The way to topics of Kafka, which the daemon lends to what sends there. */
export interface TopicAccess {
  /** `kafka.brokers` of the configuration: where those send that name none. */
  readonly brokers: readonly string[]
  /** Names under `kafka.clusters` of the configuration. */
  readonly clusters: readonly string[]
  /** Throws NOT_FOUND for a cluster that is not configured. */
  open(options: {
    readonly topic: string
    readonly brokers: readonly string[]
    readonly cluster: string | undefined
    readonly clientId: string
    readonly compression: 'none' | 'gzip'
  }): KafkaTopic
  /** Whether it is the messages that are at fault. */
  isOfContent(error: MillraceError): boolean
}
