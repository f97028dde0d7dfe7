import { createRequire } from 'node:module'
import { produceV8 } from '@platformatic/kafka'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeProduce } from '../../src/kafka/kafkajs-produce.js'
import { ProduceBody } from '../../src/kafka/produce-request.js'
import { RecordBatch } from '../../src/kafka/record-batch-writer.js'
import { decodeBatches } from '../../src/kafka/record-batches.js'
import type { Compression } from '../../src/kafka/types.js'

const require = createRequire(import.meta.url)

type Given = Parameters<typeof encodeProduce>[0]
/** What kafkajs itself makes of it. */
const kafkajs = require('kafkajs/src/protocol/requests/produce/v3/request.js') as (given: Given) => {
  encode: () => Promise<{ buffer: Buffer }>
}

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
const message = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  timestamp: fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
  headers: fc.dictionary(
    fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
    fc.string({ unit: 'grapheme' }),
    {
      maxKeys: 5,
      noNullPrototype: true,
    },
  ),
})
const request = fc.record({
  acks: fc.constantFrom(-1, 1),
  timeout: fc.integer({ min: 0, max: 60_000 }),
  transactionalId: fc.option(fc.string({ minLength: 1, unit: 'grapheme' })),
  producerId: fc.bigInt({ min: -1n, max: 2n ** 62n }),
  producerEpoch: fc.integer({ min: 0, max: 32_767 }),
  topicData: fc.uniqueArray(
    fc.record({
      topic: fc.string({ minLength: 1, maxLength: 50 }),
      partitions: fc.uniqueArray(
        fc.record({
          partition: fc.nat(1000),
          firstSequence: fc.nat(2 ** 31 - 1),
          messages: fc.array(message, { minLength: 1, maxLength: 100 }),
        }),
        { minLength: 1, maxLength: 4, selector: ({ partition }) => partition },
      ),
    }),
    { minLength: 1, maxLength: 2, selector: ({ topic }) => topic },
  ),
})
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never
const compressions = fc.constantFrom<Compression>('none', 'gzip')

async function ours(given: Request, compression: Compression): Promise<Buffer> {
  const body = await ProduceBody.of(given, compression)
  const bytes = Buffer.alloc(body.bytes)
  body.write(bytes, 0)
  return bytes
}

test('a produce request has the bytes that kafkajs would give it', async () => {
  await fc.assert(
    fc.asyncProperty(request, compressions, async (given, compression) => {
      const compressed = { ...given, producerId: String(given.producerId), compression: compression === 'gzip' ? 1 : 0 }
      const { buffer } = await kafkajs(compressed).encode()
      expect((await ours(given, compression)).equals(buffer)).toBe(true)
      expect((await encodeProduce(compressed)).buffer.equals(buffer)).toBe(true)
    }),
    { numRuns: 50 },
  )
})

/** The library writes another number for times that lie 2^31 ms and more behind the first of their batch. */
const timesApart = 2 ** 31

/** What @platformatic/kafka itself makes of it. It counts times from the first message, so that is the oldest. */
function platformatic(given: Request, compression: Compression): Buffer {
  const { acks, timeout, transactionalId, producerId, producerEpoch, topicData } = given
  const partitions = topicData.flatMap(({ topic, partitions }) => partitions.map((each) => ({ topic, ...each })))
  const numbers = new Map(
    partitions.map(({ topic, partition, firstSequence }) => [`${topic}:${partition}`, firstSequence]),
  )
  const records = partitions.flatMap(({ topic, partition, messages }) =>
    messages.map(({ key, value, timestamp, headers }) => ({
      topic,
      partition,
      key,
      value,
      timestamp: BigInt(timestamp),
      headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
    })),
  )
  const options = {
    compression,
    producerId,
    producerEpoch,
    transactionalId: transactionalId ?? undefined,
    sequences: { getWithDefault: (key: string) => numbers.get(key) },
  }
  type Parameters4 = Parameters<typeof produceV8.createRequest>
  return produceV8.createRequest(
    acks,
    timeout,
    records as unknown as Parameters4[2],
    options as unknown as Parameters4[3],
  ).buffer
}

test('a produce request has the bytes that @platformatic/kafka would give it', async () => {
  await fc.assert(
    fc.asyncProperty(request, compressions, async ({ topicData: [first], ...rest }, compression) => {
      const given = { ...rest, topicData: first ? [first] : [] }
      for (const { partitions } of given.topicData) {
        // It writes them in the order of their numbers.
        partitions.sort((a, b) => a.partition - b.partition)
        for (const { messages } of partitions) {
          for (const each of messages) each.timestamp = 1_600_000_000_000 + (each.timestamp % timesApart)
          messages.sort((a, b) => a.timestamp - b.timestamp)
        }
      }
      expect((await ours(given, compression)).equals(platformatic(given, compression))).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test('a batch is read back as it was written, packed or not', async () => {
  const of = { topic: 't', partition: 0, from: 0, aborted: [], bytesMax: Number.MAX_SAFE_INTEGER }
  const producer = { id: 5n, epoch: 1, isTransactional: true }
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 100 }),
      compressions,
      async (messages, compression) => {
        const plain = new RecordBatch(messages)
        const batch = compression === 'gzip' ? await plain.gzipped() : plain
        const bytes = Buffer.alloc(batch.bytes)
        batch.write(bytes, 0, producer, 7)
        expect(decodeBatches(bytes, of).records).toEqual(
          messages.map(({ key, value, timestamp, headers }, offset) => ({
            offset,
            key,
            value,
            timestamp,
            headers: Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)]),
          })),
        )
      },
    ),
    { numRuns: 50 },
  )
})
