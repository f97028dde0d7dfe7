import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeProduce } from '../../src/kafka/kafkajs-produce.js'

const require = createRequire(import.meta.url)

type Given = Parameters<typeof encodeProduce>[0]
/** What the library itself makes of it. */
const library = require('kafkajs/src/protocol/requests/produce/v3/request.js') as (given: Given) => {
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
  producerId: fc.bigInt({ min: -1n, max: 2n ** 62n }).map(String),
  producerEpoch: fc.integer({ min: 0, max: 32_767 }),
  topicData: fc.array(
    fc.record({
      topic: fc.string({ minLength: 1, maxLength: 50 }),
      partitions: fc.array(
        fc.record({
          partition: fc.nat(1000),
          firstSequence: fc.nat(2 ** 31 - 1),
          messages: fc.array(message, { minLength: 1, maxLength: 200 }),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    }),
    { minLength: 1, maxLength: 2 },
  ),
})

test('a produce request has the bytes that the library would give it', async () => {
  await fc.assert(
    fc.asyncProperty(request, async (given) => {
      const { buffer } = await library(given).encode()
      expect(encodeProduce(given).buffer.equals(buffer)).toBe(true)
    }),
    { numRuns: 100 },
  )
})
