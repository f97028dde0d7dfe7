import { describe, expect, test } from 'vitest'
import { checkBridgeRequest } from '../../src/kafka/index.js'
import { checkRoomForCheckpoints, topicOf } from '../../src/kafka/options.js'

const least = { name: 'orders', source: 'table:orders', brokers: 'one:9092, two:9093' }
const fault = (change: object): string => {
  try {
    checkBridgeRequest({ ...least, ...change })
    return 'no fault'
  } catch (error) {
    expect(error).toMatchObject({ code: 'BAD_REQUEST' })
    return (error as Error).message
  }
}

describe('the options of a bridge', () => {
  test('have headers that are not those of the bridge, and few of them', () => {
    expect(fault({ headers: { a: 'b', 'x-y.z_1': '' } })).toBe('no fault')
    for (const name of ['millrace-op', 'ce_id', 'content-type', '', 'a b'])
      expect(fault({ headers: { [name]: 'x' } }), name).toContain('headers')
    expect(fault({ headers: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`h${i}`, ''])) })).toContain('32')
  })

  test('have a snapshot of a table alone, and a schema that can be checked', () => {
    expect(fault({ snapshot: true })).toBe('no fault')
    expect(fault({ snapshot: true, source: 'clicks' })).toContain('table:NAME')
    expect(fault({ schema: { $id: 'urn:a:b', type: 'object' } })).toBe('no fault')
    expect(fault({ schema: { type: 'object' } })).toContain('$id')
  })

  test('have defaults', () => {
    expect(checkBridgeRequest(least)).toEqual({
      ...least,
      brokers: ['one:9092', 'two:9093'],
      prefix: 'millrace',
      refused: 'stop',
      topicConfig: {},
      createTopic: true,
      guarantee: 'exactly-once',
      format: 'envelope',
      images: 'dynamodb',
      tombstones: true,
      compression: 'none',
      start: 'oldest',
    })
  })

  test('may say the direction, as they are shown', () => {
    expect(checkBridgeRequest({ ...least, direction: 'out' })).toEqual(checkBridgeRequest(least))
    expect(fault({ direction: 'up' })).toContain('direction')
  })

  test('leave room for the name of the checkpoints', () => {
    const room = (topic: string, guarantee: 'exactly-once' | 'at-least-once') => () =>
      checkRoomForCheckpoints(topic, { guarantee })
    expect(room('t'.repeat(237), 'exactly-once')).not.toThrow()
    expect(room('t'.repeat(238), 'exactly-once')).toThrow('too long for the topic of its checkpoints')
    expect(room('t'.repeat(249), 'at-least-once')).not.toThrow()
  })

  test('that are not known are named', () => {
    expect(fault({ topik: 'x' })).toMatch(
      /unknown: topik \(known: direction, name, source, brokers, cluster, driver, topic,/,
    )
  })

  test.each([
    [{ name: 'a b' }, /name: /],
    [{ brokers: 'nowhere' }, /brokers\.0: is HOST:PORT/],
    [{ brokers: [] }, /brokers: /],
    [{ topic: 'a/b' }, /topic: /],
    [{ cluster: 'main' }, /either its brokers or a cluster/],
    [{ brokers: undefined }, /either its brokers or a cluster/],
    [{ driver: 'librdkafka' }, /driver: /],
    [{ partitions: 0 }, /partitions: /],
    [{ format: 'avro' }, /format: /],
    [{ compression: 'snappy' }, /compression: /],
    [{ format: 'image', tombstones: false }, /tombstone/],
    [{ format: 'dynamodb-streams', images: 'plain' }, /DynamoDB JSON/],
  ])('%j is refused', (change, message) => {
    expect(fault(change)).toMatch(message)
  })

  test('name the topic after the source unless one is given', () => {
    expect(topicOf(checkBridgeRequest(least), 'orders')).toBe('millrace.orders')
    expect(topicOf(checkBridgeRequest({ ...least, prefix: 'shop.eu' }), 'orders')).toBe('shop.eu.orders')
    expect(topicOf(checkBridgeRequest({ ...least, topic: 'given' }), 'orders')).toBe('given')
    expect(() => topicOf(checkBridgeRequest(least), 'my stream')).toThrow(/no name for a topic/)
  })
})
