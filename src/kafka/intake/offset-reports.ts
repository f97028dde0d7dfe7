import { asMillraceError, type Clock, MillraceError, type Timer } from '../../runtime/index.js'
import type { BridgeLogger, CommittedOffset, KafkaConsumerClient } from '../types.js'

/** Between two reports. */
const reportMs = 5_000
/** What stands beside an offset that a bridge has stored, so that nobody takes it for another application's. */
const mark = 'millrace bridge '

export interface OffsetReportsOptions {
  readonly consumer: KafkaConsumerClient
  readonly bridge: string
  readonly group: string
  readonly topic: string
  readonly clock: Clock
  readonly logger: BridgeLogger
}

/**
 * Tells Kafka how far a bridge is, under a consumer group, for tools that show lag. Nothing is read from there but, once, whether the
 * group is another application's.
 */
export class OffsetReports {
  readonly #options: OffsetReportsOptions
  #due = new Map<number, number>()
  #timer: Timer | undefined
  #reporting: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(options: OffsetReportsOptions) {
    this.#options = options
  }

  /** Throws KAFKA_REFUSED when somebody else has offsets in the group. */
  async checkUnused(partitions: readonly number[]): Promise<void> {
    const { consumer, group, topic } = this.#options
    const offsets = await consumer.committedOffsets(group, topic, partitions).catch((thrown: unknown) => {
      const error = asMillraceError(thrown)
      if (error.details.kafka !== 'GROUP_AUTHORIZATION_FAILED') throw error
      // Who may not look there stores nothing there either.
      this.#log(error)
      return new Map<number, CommittedOffset>()
    })
    for (const { metadata } of offsets.values()) if (!metadata.startsWith(mark)) throw groupTaken(group, topic)
  }

  /** Stores all offsets. Throws KAFKA_REFUSED when the group has members; whatever else fails is only logged. */
  async begin(offsets: ReadonlyMap<number, number>): Promise<void> {
    const { group, topic } = this.#options
    try {
      await this.#store(offsets)
    } catch (thrown) {
      const error = asMillraceError(thrown)
      if (isOfMembers(error)) throw groupTaken(group, topic)
      this.#log(error)
    }
  }

  /** The offset is to be told with the next report. */
  moved(partition: number, next: number): void {
    if (this.#isOver) return
    this.#due.set(partition, next)
    this.#timer ??= this.#options.clock.setTimeout(() => {
      this.#timer = undefined
      this.#reporting = this.#report()
    }, reportMs)
  }

  /** Tells what is due, when there is still somebody to tell. */
  async end(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    await this.#reporting
    await this.#report()
    this.cut()
  }

  cut(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  async #report(): Promise<void> {
    const due = this.#due
    this.#due = new Map()
    if (due.size === 0 || this.#isOver) return
    try {
      await this.#store(due)
    } catch (thrown) {
      const error = asMillraceError(thrown)
      // Their members would be set back by it.
      if (isOfMembers(error)) this.#isOver = true
      this.#log(error)
    }
  }

  #store(offsets: ReadonlyMap<number, number>): Promise<void> {
    const { consumer, bridge, group, topic } = this.#options
    return consumer.commitOffsets(group, topic, offsets, `${mark}${bridge}`)
  }

  #log(error: MillraceError): void {
    const { bridge, group, logger } = this.#options
    logger.warn(
      { bridge, group, error: error.toJSON() },
      `bridge ${bridge} cannot tell Kafka how far it is: ${error.message}`,
    )
  }
}

const isOfMembers = ({ details }: MillraceError): boolean =>
  details.kafka === 'UNKNOWN_MEMBER_ID' ||
  details.kafka === 'ILLEGAL_GENERATION' ||
  details.kafka === 'REBALANCE_IN_PROGRESS'

const groupTaken = (group: string, topic: string): MillraceError =>
  new MillraceError('KAFKA_REFUSED', `The consumer group ${group} is used by another application for ${topic}.`, {
    remedy: 'Delete the bridge and create it again with another --group, or with none.',
    details: { group, topic },
  })
