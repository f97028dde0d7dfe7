import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createEncoder, createPassing, type EncoderOptions } from '../../src/kafka/encoder.js'
import { Outbox, type OutgoingRequest } from '../../src/kafka/outbox.js'
import { PackedMessages, type PackedPartition } from '../../src/kafka/packed-messages.js'
import { RecordBatch, type WritableBatch } from '../../src/kafka/record-batch-writer.js'
import { decodeBatches } from '../../src/kafka/record-batches.js'
import { BodyReader, Codec, type NewRecord, RecordKind, type Shard } from '../../src/log/index.js'
import { crc32c, crc32cByTables } from '../../src/runtime/crc32c.js'
import { hashKey, systemClock } from '../../src/runtime/index.js'
import { decodeChange } from '../../src/tables/index.js'
import { MemoryLog, origin } from './memory.js'

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))
const text = fc.string({ maxLength: 20, unit: 'grapheme' })
const message = fc.record({
  key: bytes(300),
  value: fc.option(bytes(2000)),
  partition: fc.nat(3),
  timestamp: fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
  headers: fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true }),
})
const producer = { id: 5n, epoch: 1, isTransactional: true }

function written(batch: WritableBatch): Buffer {
  const into = Buffer.alloc(batch.bytes)
  batch.write(into, 0, producer, 7)
  return into
}

describe('packed messages', () => {
  test('come out as they went in, in their order, also in memory that had others', async () => {
    const packed = new PackedMessages()
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 100 }), async (messages) => {
        packed.empty()
        for (const each of messages) packed.push(each)
        expect(packed.length).toBe(messages.length)
        expect(packed.unpacked()).toEqual(messages)
        for (const partition of packed.partitions) await expectBatch(partition, messages)
      }),
      { numRuns: 50 },
    )
  })

  async function expectBatch(
    packed: PackedPartition,
    messages: readonly (typeof message extends fc.Arbitrary<infer T> ? T : never)[],
  ) {
    const of = { topic: 't', partition: 0, from: 0, aborted: [], bytesMax: Number.MAX_SAFE_INTEGER }
    const wanted = messages.filter(({ partition }) => partition === packed.partition)
    expect(packed.length).toBe(wanted.length)
    for (const batch of [packed, await packed.gzipped()]) {
      const read = decodeBatches(written(batch), of).records
      expect(read.map(({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value }))).toEqual(
        wanted.map(({ timestamp, key, value }, offset) => ({ offset, timestamp, key, value })),
      )
    }
    // As long as no time goes back, the bytes are those of a batch that knows all of its messages before.
    const inOrder = [...wanted].sort((a, b) => a.timestamp - b.timestamp)
    const again = new PackedMessages()
    for (const each of inOrder) again.push(each)
    expect(written(again.partitions[0] as PackedPartition)).toEqual(written(new RecordBatch(inOrder)))
  }
})

const record = fc.record({
  key: fc.oneof(bytes(8), bytes(300)),
  body: bytes(600),
  codec: fc.constantFrom(Codec.json, Codec.raw),
  kind: fc.constantFrom(RecordKind.append, RecordKind.append, RecordKind.append, RecordKind.remove),
})

/** All that an outbox makes of a log, with the parts of its pages taken for others as soon as they are given back. */
async function sent(log: MemoryLog, options: EncoderOptions, passes: boolean): Promise<OutgoingRequest[]> {
  const shard = log.shards()[0] as Shard
  const passing = createPassing(options)
  expect(passing).toBeDefined()
  const packing = { passing: passes ? passing : undefined, sendsAll: () => true }
  const outbox = new Outbox(createEncoder(options), 3, systemClock, packing)
  outbox.bytesMax = 8_000
  for (let from = shard.firstSequence; ; ) {
    const page = await log.read(shard.id, from, { bytesMax: 5_000 })
    if (page.chunks.length === 0) break
    const chunks = page.chunks.map((chunk) => Buffer.from(chunk))
    const release = () => {
      for (const chunk of chunks) chunk.fill(0xff)
    }
    outbox.push({ shard, from, page: { ...page, chunks, release }, release: () => {} })
    from = page.next
  }
  const requests: OutgoingRequest[] = []
  while (outbox.records > 0) requests.push((await outbox.next()) as OutgoingRequest)
  return requests
}

test('records that go out as they are have the bytes that the encoder gives them', async () => {
  const firsts = fc.constantFrom(0, 7, 95, 9_990, 2 ** 31 - 5, 2 ** 32 - 5, 10 ** 12 - 10)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(record, { minLength: 1, maxLength: 60 }), { maxLength: 4 }),
      firsts,
      async (batches, first) => {
        const log = new MemoryLog()
        log.skip(first)
        for (const batch of batches) {
          log.commitTime += 1000
          log.append(batch.map((each): NewRecord => ({ ...each, hash: hashKey(each.key), flags: 0, time: 5 })))
        }
        const options: EncoderOptions = {
          stream: log.streams()[0]!,
          sourceName: 'clicks',
          format: 'image',
          images: 'dynamodb',
          tombstones: true,
          origin,
          decodeChange,
          bodies: () => new BodyReader(),
        }
        const [direct, made] = [await sent(log, options, true), await sent(log, options, false)]
        expect(direct.length).toBe(made.length)
        direct.forEach((request, i) => {
          const { messages, ...rest } = request
          const { messages: others, ...otherRest } = made[i] as OutgoingRequest
          expect(rest).toEqual(otherRest)
          const batchesOf = (each: typeof messages) =>
            (each as PackedMessages).partitions.map((batch) => written(batch))
          expect(batchesOf(messages)).toEqual(batchesOf(others))
        })
      },
    ),
    { numRuns: 60 },
  )
})

test('both checksums are the same, and that of the specification', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  fc.assert(
    fc.property(bytes(300), fc.nat(20), (all, start) => {
      const from = Math.min(start, all.length)
      expect(crc32cByTables(all, from, all.length)).toBe(crc32c(all, from, all.length))
      expect(crc32cByTables(all)).toBe(crc32c(all))
    }),
  )
})
