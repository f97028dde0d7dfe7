/** What is given up goes to a topic of a real broker: what came while it was away or the daemon was killed, and what is too large for it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ensureBuilt } from '../../built.js'
import { DaemonProcess } from '../../daemon-process.js'
import { type Broker, kafkaAvailable, startBroker } from '../../kafka/broker.mjs'
import { kafkaAt, readTopic } from '../../kafka/read-topic.js'
import { temporaryFolder } from '../../temporary-folder.js'

const topic = 'failed.items'
const code = `exports.handler = async ({ Records }) => {
  if (Records.some(({ dynamodb }) => dynamodb.Keys.id.S.startsWith('poison'))) throw new Error('as it was told')
}`

/** What the topic holds of one document. */
interface Given {
  readonly requestContext: { readonly condition: string; readonly functionArn: string }
  readonly DDBStreamBatchInfo: {
    readonly shardId: string
    readonly startSequenceNumber: string
    readonly batchSize: number
  }
  readonly payload?: { readonly Records: readonly { readonly dynamodb: { readonly Keys: { id: { S: string } } } }[] }
}

interface Shown {
  readonly id: string
  readonly lastProcessingResult: string
  readonly statistics: { readonly discarded: number; readonly destinationFailures: number; readonly lagRecords: number }
}

/** A broker with the topic, which takes messages of 200,000 bytes. */
async function brokerWithTopic(): Promise<Broker> {
  const broker = await startBroker()
  onTestFinished(() => broker.close())
  const admin = kafkaAt(broker.address).admin()
  await admin.connect()
  const configEntries = [{ name: 'max.message.bytes', value: '200000' }]
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 3, configEntries }] })
  await admin.disconnect()
  return broker
}

const shown = async (daemon: DaemonProcess): Promise<Shown> =>
  (await daemon.v1<{ mappings: Shown[] }>('GET', 'mappings')).mappings[0] as Shown

const put = (daemon: DaemonProcess, id: string, text = '') =>
  daemon.aws('PutItem', { TableName: 'items', Item: { id: { S: id }, text: { S: text } } })

async function messagesOf({ address }: Broker) {
  const all = await readTopic(address, topic)
  return all.map(({ value, ...message }) => ({ ...message, given: JSON.parse(value ?? '') as Given }))
}

const idsOf = (messages: Awaited<ReturnType<typeof messagesOf>>) =>
  messages.map(({ given }) => given.payload?.Records[0]?.dynamodb.Keys.id.S)

describe.skipIf(!kafkaAvailable())('a topic as the destination of a mapping', () => {
  test('gets every document: at once, after the broker was away, after a kill, and without its event when that is too large', async () => {
    ensureBuilt()
    const broker = await brokerWithTopic()
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'index.js'), code)
    const trigger = { table: 'items', batchSize: 1, maximumRetryAttempts: 0, onFailure: `kafka:${topic}` }
    writeFileSync(
      join(folder, 'millrace.yaml'),
      JSON.stringify({
        kafka: { brokers: [broker.address] },
        functions: { items: { path: './index.js', timeoutMs: 60_000, triggers: [trigger] } },
      }),
    )
    const options = { data: join(folder, 'data'), args: ['--config', join(folder, 'millrace.yaml')] }
    const daemon = await DaemonProcess.start(options)
    await daemon.aws('CreateTable', {
      TableName: 'items',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
    })
    await expect.poll(async () => (await shown(daemon))?.id).toBeDefined()
    for (let i = 0; i < 5; i++) await put(daemon, `poison-${i}`)
    await expect.poll(async () => (await shown(daemon)).statistics.discarded).toBe(5)
    const first = await messagesOf(broker)
    expect(idsOf(first).sort()).toEqual([0, 1, 2, 3, 4].map((i) => `poison-${i}`))
    // Those of one shard lie in one partition, in their order.
    expect(new Set(first.map(({ partition }) => partition)).size).toBe(1)
    const { id } = await shown(daemon)
    for (const { key, headers, given } of first) {
      const { shardId, startSequenceNumber: at, batchSize } = given.DDBStreamBatchInfo
      expect([key, batchSize, given.requestContext.condition]).toEqual([shardId, 1, 'RetryAttemptsExhausted'])
      expect(headers['millrace-id']).toBe(`${id}:${shardId}:${at}-${at}`)
    }

    await broker.stop()
    for (let i = 5; i < 8; i++) await put(daemon, `poison-${i}`)
    await put(daemon, 'good')
    await expect
      .poll(async () => (await shown(daemon)).lastProcessingResult)
      .toBe('PROBLEM: The on-failure destination cannot be reached')
    expect((await shown(daemon)).statistics).toMatchObject({ discarded: 5, lagRecords: 4 })
    await daemon.kill()
    const again = await DaemonProcess.start(options)
    await expect
      .poll(async () => (await shown(again)).lastProcessingResult)
      .toBe('PROBLEM: The on-failure destination cannot be reached')
    await broker.start()
    await expect.poll(async () => (await shown(again)).statistics.lagRecords).toBe(0)
    expect((await shown(again)).lastProcessingResult).toBe('OK')
    const second = await messagesOf(broker)
    const places = new Map(second.map(({ headers, given }) => [headers['millrace-id'], given]))
    expect(places.size).toBe(8)
    expect([...new Set(idsOf(second))]).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((i) => `poison-${i}`))

    await put(again, 'poison-large', 'x'.repeat(300_000))
    await put(again, 'good')
    await expect.poll(async () => (await shown(again)).statistics.lagRecords).toBe(0)
    const large = (await messagesOf(broker)).at(-1)
    expect(large?.given.payload).toBeUndefined()
    expect(large?.given.DDBStreamBatchInfo.batchSize).toBe(1)
    expect(await again.stop()).toBe(0)
  })
})
