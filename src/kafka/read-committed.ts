import { MillraceError, systemClock } from '../runtime/index.js'
import type { CommittedMessage, KafkaConsumerClient } from './types.js'

const bounds = { bytesMax: 1024 * 1024, waitMs: 100 } as const
/** Longest that nothing comes of a topic that has more to give. */
const silenceMsMax = 10_000

/**
 * Hands over the committed messages of partition 0 from its beginning, until `take` gives true for one, or the stop is aborted. The
 * consumer is used up.
 */
export function readCommitted(
  consumer: KafkaConsumerClient,
  topic: string,
  take: (message: CommittedMessage) => boolean,
  stop: AbortSignal,
): Promise<void> {
  return read(consumer, topic, take, stop, false)
}

/** The same up to the end that there is now: it waits for no transaction that is open. */
export function readCommittedSoFar(
  consumer: KafkaConsumerClient,
  topic: string,
  take: (message: CommittedMessage) => void,
  stop: AbortSignal,
): Promise<void> {
  const takeOn = (message: CommittedMessage): boolean => {
    take(message)
    return false
  }
  return read(consumer, topic, takeOn, stop, true)
}

async function read(
  consumer: KafkaConsumerClient,
  topic: string,
  take: (message: CommittedMessage) => boolean,
  stop: AbortSignal,
  toEnd: boolean,
): Promise<void> {
  try {
    if (!(await consumer.describe(topic))) throw unavailable(`there is no topic ${topic}`)
    const { oldest = 0, end = 0 } = (await consumer.bounds(topic, [0])).get(0) ?? {}
    let next = oldest
    let heardAt = systemClock.monotonic()
    while (!stop.aborted && !(toEnd && next >= end)) {
      const [fetched] = await consumer.fetch(topic, new Map([[0, next]]), bounds)
      for (const message of fetched?.records ?? []) if (take(message)) return
      const at = systemClock.monotonic()
      if (fetched && fetched.next > next) heardAt = at
      else if (at - heardAt > silenceMsMax) throw unavailable(`nothing came of ${topic} for ${silenceMsMax / 1000} s`)
      next = fetched?.next ?? next
    }
  } finally {
    consumer.discard()
  }
}

const unavailable = (what: string): MillraceError => new MillraceError('KAFKA_UNAVAILABLE', `Kafka: ${what}.`)
