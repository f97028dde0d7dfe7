import { expect, it } from 'vitest'
import { openKafkajsCluster } from '../../src/kafka/index.js'
import { type InwardWorld, isLong } from './inward-world.js'
import { silent } from './memory.js'
import { deleteRecords, kafkaAt } from './read-topic.js'

/** Bridges in of a daemon that reads a real broker: each message once, over kills of both. */
export function bridgesIn(world: InwardWorld): void {
  interface View {
    readonly state: { readonly kind: string; readonly error?: { code: string; message: string; remedy: string } }
    readonly partitions: number
    readonly group: string
    readonly statistics: { readonly records: number; readonly lagRecords: number; readonly deadLetters: number }
  }
  const bridge = (name: string) => world.daemon.v1<View>('GET', `bridges/${name}`)
  const state = async (name: string) => (await bridge(name)).state.kind

  it('stores each committed message of a topic once and in order, while daemon and broker are killed', async () => {
    await world.newTopic('orders')
    await world.daemon.v1('POST', 'streams', { name: 'orders', shards: 2 })
    const transactional = kafkaAt(world.broker.address).producer({
      transactionalId: 'orders',
      maxInFlightRequests: 1,
      idempotent: true,
    })
    await transactional.connect()
    let sent = 0
    /** Of each partition a number of messages; those that are given up are never seen. */
    async function send(count: number, commits: boolean): Promise<void> {
      const transaction = await transactional.transaction()
      const messages = Array.from({ length: count * 2 }, (_, i) => ({
        key: `key-${i % 2}`,
        value: JSON.stringify(commits ? { n: sent + (i >> 1) } : 'given up'),
        partition: i % 2,
      }))
      await transaction.send({ topic: 'orders', messages })
      await (commits ? transaction.commit() : transaction.abort())
      if (commits) sent += count
    }
    await send(500, true)
    await world.createBridge({ name: 'orders', topic: 'orders', into: 'stream:orders' })
    for (const point of isLong ? ['intake:submitting:2', 'intake:stored:1'] : ['intake:stored:1'])
      await world.killAt(point, async () => {
        await send(300, false)
        await send(700, true)
      })
    if (isLong) {
      await world.broker.kill()
      await expect.poll(() => state('orders')).toBe('waiting')
      await world.broker.start()
    }
    await send(500, true)
    await expect.poll(async () => (await world.records('orders')).length).toBe(sent * 2)
    await expect.poll(async () => (await bridge('orders')).statistics.lagRecords).toBe(0)
    const stored = await world.records('orders')
    for (const key of ['key-0', 'key-1'])
      expect(stored.filter((record) => record.key === key).map(({ value }) => value)).toEqual(
        Array.from({ length: sent }, (_, n) => ({ n })),
      )
    await transactional.disconnect()
  })

  it('carries a table through a topic into another table', async () => {
    for (const name of ['origin', 'copy']) await world.newTable(name, { list: 'S', n: 'N' })
    await world.createBridge({ name: 'out', source: 'table:origin', topic: 'items', partitions: 3 })
    await expect.poll(() => state('out')).toBe('running')
    await world.createBridge({ name: 'in', topic: 'items', into: 'table:copy', driver: 'platformatic' })
    const put = (n: number, text: string) =>
      world.daemon.aws('PutItem', {
        TableName: 'origin',
        Item: {
          list: { S: `list-${n % 7}` },
          n: { N: String(n) },
          text: { S: text },
          big: { N: '12345678901234567890.5' },
        },
      })
    for (let n = 0; n < 60; n++) await put(n, 'first')
    for (let n = 0; n < 60; n += 2) await put(n, 'second')
    for (let n = 0; n < 60; n += 3)
      await world.daemon.aws('DeleteItem', {
        TableName: 'origin',
        Key: { list: { S: `list-${n % 7}` }, n: { N: String(n) } },
      })
    const items = async (TableName: string) =>
      (await world.daemon.aws<{ Items: { n: { N: string } }[] }>('Scan', { TableName })).Items.sort(
        (a, b) => Number(a.n.N) - Number(b.n.N),
      )
    const expected = await items('origin')
    expect(expected).toHaveLength(40)
    await expect.poll(() => items('copy')).toEqual(expected)
    expect((await bridge('in')).statistics.deadLetters).toBe(0)
  })

  it('puts aside what cannot be stored, and reads partitions that come later', async () => {
    await world.newTopic('mixed', 1)
    await world.newTable('mixed', { id: 'S' })
    await world.createBridge({ name: 'mixed', topic: 'mixed', into: 'table:mixed', format: 'image', images: 'plain' })
    await world.producer.send({
      topic: 'mixed',
      messages: [
        { key: 'a', value: '{"id":"a","n":1,"exact":0.1234567890123456789}' },
        { key: 'b', value: '{"n":2}' },
        { key: 'c', value: 'no JSON' },
        { key: 'd', value: '{"id":5}' },
        { key: Buffer.from([0xff]), value: null },
        { key: 'a', value: '{"id":"a","n":3}' },
        { key: 'b', value: null },
      ],
    })
    const item = async (id: string) =>
      (await world.daemon.aws<{ Item?: object }>('GetItem', { TableName: 'mixed', Key: { id: { S: id } } })).Item
    await expect.poll(() => item('a')).toEqual({ id: { S: 'a' }, n: { N: '3' } })
    expect(await item('b')).toBeUndefined()
    const letters = await world.records('mixed.dead-letters')
    expect(letters.map(({ value }) => value)).toMatchObject([
      { error: expect.stringMatching(/no JSON/), topic: 'mixed', partition: 0, offset: 2, key: 'c', value: 'no JSON' },
      { error: expect.stringMatching(/Type mismatch for key id/), offset: 3, key: 'd' },
      { error: expect.stringMatching(/key is not UTF-8/), offset: 4, keyBytes: '/w==', value: null },
    ] as object[])
    expect((await bridge('mixed')).statistics.deadLetters).toBe(3)
    await world.admin.createPartitions({ topicPartitions: [{ topic: 'mixed', count: 3 }] })
    await world.daemon.v1('POST', 'bridges/mixed/pause')
    // The producer has seen the new partitions when the broker takes a message there.
    const later = kafkaAt(world.broker.address).producer({ allowAutoTopicCreation: false })
    await later.connect()
    await later.send({ topic: 'mixed', messages: [{ key: 'e', value: '{"id":"e"}', partition: 2 }] })
    await later.disconnect()
    await world.daemon.v1('POST', 'bridges/mixed/resume')
    await expect.poll(() => item('e')).toEqual({ id: { S: 'e' } })
    expect((await bridge('mixed')).partitions).toBe(3)
  })

  it('stops where the topic has lost what comes next, and goes on behind it when it is told to', async () => {
    await world.newTopic('short', 1)
    await world.daemon.v1('POST', 'streams', { name: 'short' })
    await world.producer.send({ topic: 'short', messages: [{ value: '1' }, { value: 'two' }] })
    await world.createBridge({ name: 'short', topic: 'short', into: 'stream:short' })
    await expect.poll(async () => (await bridge('short')).statistics.records).toBe(2)
    await world.daemon.v1('POST', 'bridges/short/pause')
    await world.producer.send({ topic: 'short', messages: [{ value: '3' }, { value: '4' }] })
    await deleteRecords(world.broker.address, 'short', 0, 3)
    await world.daemon.v1('POST', 'bridges/short/resume')
    await expect.poll(() => state('short')).toBe('failed')
    expect((await bridge('short')).state.error).toMatchObject({
      code: 'TRIMMED',
      message: 'The topic short has lost what comes next: partition 0 begins at 3 by now, and what was read ends at 2.',
    })
    await world.daemon.v1('POST', 'bridges/short/resume?skipLost=true')
    await expect.poll(async () => (await world.records('short')).length).toBe(3)
    expect((await world.records('short')).map(({ key, value, bytes }) => [key, value ?? bytes])).toEqual([
      ['0', 1],
      ['0', Buffer.from('two').toString('base64')],
      ['0', 4],
    ])
  })

  it('refuses a group of another application, a topic that is not there, and a target that is not there', async () => {
    await world.newTopic('shared', 1)
    await world.daemon.v1('POST', 'streams', { name: 'shared' })
    const options = { brokers: [world.broker.address], clientId: 'theirs', logger: silent }
    const theirs = await openKafkajsCluster(options).connectConsumer()
    await theirs.describe('shared')
    await theirs.commitOffsets('theirs', 'shared', new Map([[0, 0]]), '')
    await theirs.close()
    await world.createBridge({ name: 'shared', topic: 'shared', into: 'stream:shared', group: 'theirs' })
    await world.createBridge({ name: 'nothing', topic: 'nothing', into: 'stream:shared' })
    await expect.poll(() => state('shared')).toBe('failed')
    expect((await bridge('shared')).state.error).toMatchObject({
      code: 'KAFKA_REFUSED',
      message: 'The consumer group theirs is used by another application for shared.',
      remedy: expect.stringContaining('--group'),
    })
    await expect.poll(() => state('nothing')).toBe('failed')
    expect((await bridge('nothing')).state.error?.message).toBe('There is no topic nothing.')
    await expect(world.createBridge({ name: 'x', topic: 'shared', into: 'stream:none' })).rejects.toThrow(
      /no stream named none/,
    )
    await expect(world.createBridge({ name: 'x', topic: 'shared', into: 'table:none' })).rejects.toThrow(
      /no table named none/,
    )
    await expect(world.createBridge({ name: 'x', topic: 'shared', into: 'none', extra: 1 })).rejects.toThrow(
      /into: is stream:NAME or table:NAME; unknown: extra/,
    )
  })
}
