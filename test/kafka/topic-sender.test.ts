import { describe, expect, it } from 'vitest'
import { isOfContent, partitionOf, type TopicMessage, TopicSender } from '../../src/kafka/index.js'
import { MillraceError } from '../../src/runtime/index.js'
import { away, FakeCluster, tooLarge } from './fake-cluster.js'

// What pipelines send through: idempotent producers, one batch at a time, each discarded with its first failure.
const message = (id: string, key: string | undefined, more: Partial<TopicMessage> = {}): TopicMessage => ({
  id,
  key: key === undefined ? undefined : Buffer.from(key),
  value: Buffer.from(id),
  headers: {},
  partition: undefined,
  timestamp: 1,
  ...more,
})

function opened(partitions = 5) {
  const cluster = new FakeCluster()
  if (partitions > 0) cluster.topics.set('t', { partitions, messageBytesMax: undefined, config: {} })
  return { cluster, sender: new TopicSender({ cluster, topic: 't', compression: 'none' }) }
}

describe('a sender to a topic', () => {
  it('puts each message into the partition of its key, of its id where it has none, or the one that is said', async () => {
    const { cluster, sender } = opened()
    await sender.send([message('1', 'a'), message('2', undefined), message('3', 'a', { partition: 4 })])
    await sender.send([message('2', undefined)])
    const [a, none, said, again] = cluster.log
    expect(a!.partition).toBe(partitionOf(Buffer.from('a'), 5))
    expect(said!.partition).toBe(4)
    expect(none!.key).toBeNull()
    expect(again!.partition).toBe(none!.partition)
    expect(cluster.producers).toBe(1)
    await sender.close()
    expect(cluster.open).toBe(0)
  })

  it('discards a producer with a batch that failed, and sends the same again with another', async () => {
    const { cluster, sender } = opened()
    cluster.onSend = (_messages, send) => (send === 1 ? { error: away(), stored: 1 } : undefined)
    const batch = [message('1', 'a'), message('2', 'b')]
    await expect(sender.send(batch)).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    expect(cluster.open).toBe(0)
    await sender.send(batch)
    expect(cluster.producers).toBe(2)
    expect(cluster.log.map(({ value }) => value?.toString())).toEqual(['1', '1', '2'])
  })

  it('asks again how many partitions there are after a failure', async () => {
    const { cluster, sender } = opened(2)
    await expect(sender.send([message('1', 'a', { partition: 3 })])).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    cluster.topics.set('t', { partitions: 4, messageBytesMax: undefined, config: {} })
    await sender.send([message('1', 'a', { partition: 3 })])
    expect(cluster.log).toHaveLength(1)
  })

  it('says that there is no topic, and sends when there is one', async () => {
    const { cluster, sender } = opened(0)
    await expect(sender.send([message('1', 'a')])).rejects.toThrow(/there is no topic t/)
    cluster.topics.set('t', { partitions: 1, messageBytesMax: undefined, config: {} })
    await sender.send([message('1', 'a')])
    expect(cluster.log).toHaveLength(1)
  })

  it('a discarded send is cut, and nothing of it comes later', async () => {
    const { cluster, sender } = opened()
    cluster.up = false
    await expect(sender.send([message('1', 'a')])).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' })
    sender.discard()
    cluster.up = true
    await sender.send([message('1', 'a')])
    expect(cluster.open).toBe(1)
  })

  it('tells faults of the content from those of the broker', () => {
    expect(isOfContent(tooLarge())).toBe(true)
    expect(isOfContent(away())).toBe(false)
    const refused = (kafka: string) => new MillraceError('KAFKA_REFUSED', 'no', { details: { kafka } })
    expect(isOfContent(refused('INVALID_RECORD'))).toBe(true)
    expect(isOfContent(refused('TOPIC_AUTHORIZATION_FAILED'))).toBe(false)
  })
})
