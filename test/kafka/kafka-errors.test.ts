import { describe, expect, test } from 'vitest'
import { kafkaError } from '../../src/kafka/kafka-errors.js'

describe('an error of a Kafka client', () => {
  test.each([
    [
      'kafkajs',
      Object.assign(new Error('Failed to find group coordinator'), { name: 'KafkaJSGroupCoordinatorNotFound' }),
    ],
    ['platformatic', Object.assign(new Error('not available'), { type: 'COORDINATOR_NOT_AVAILABLE' })],
  ])('of a cluster without a coordinator says what it wants for (%s)', (_driver, thrown) => {
    expect(kafkaError(thrown, 'beginning a transaction')).toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      details: { kafka: 'COORDINATOR_NOT_AVAILABLE' },
      remedy: expect.stringMatching(/transaction\.state\.log\.replication\.factor.*at-least-once/),
    })
  })
})
