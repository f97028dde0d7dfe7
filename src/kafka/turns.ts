import { MillraceError } from '../runtime/index.js'

/** One call of a producer at a time, and none after one has failed. */
export class Turns {
  #usable = true
  #ended = false
  /** Resolves when no call is under way. */
  idle: Promise<unknown> = Promise.resolve()

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (!this.#usable || this.#ended)
      throw new MillraceError(
        'INTERNAL',
        'A Kafka producer was used while a send was in flight or after one had failed.',
      )
    this.#usable = false
    const done = work()
    this.idle = done.catch(() => {})
    const result = await done
    this.#usable = true
    return result
  }

  end(): void {
    this.#ended = true
  }
}

/** What a producer rejects with when nothing says that a partition has its messages. */
export function notAcknowledged(topic: string, partition: number): MillraceError {
  return new MillraceError('KAFKA_UNAVAILABLE', `Kafka: ${topic} did not acknowledge partition ${partition}.`, {
    outcome: 'unknown',
    details: { topic, partition },
  })
}
