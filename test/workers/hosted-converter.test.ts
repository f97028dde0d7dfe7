import { expect, test } from 'vitest'
import { HostedConverter } from '../../src/workers/hosted-converter.js'
import { type ConvertedMessage, convertedBytesMax, type MessageToConvert, rowPackr } from '../../src/workers/index.js'

const thread = (module: object) => ({ load: async () => module, enter: () => {}, mark: () => {}, leave: () => {} })
const options = { number: 1, label: 'test', file: 'converter.mjs', schema: undefined, member: undefined }

test('what a converter makes at once is bounded, and a delete keeps its tombstone', async () => {
  const size = convertedBytesMax / 4
  const converter = new HostedConverter(options, thread({ value: () => 'x'.repeat(size) }))
  // Each record is a delete and its tombstone.
  const messages = Array.from({ length: 40 }, (_, i): MessageToConvert => {
    const value = i % 2 === 0 ? Buffer.from('1') : null
    return { key: Buffer.from('k'), value, headers: {}, op: 'd', sequence: i >> 1, shard: 1, time: 0 }
  })
  const made = rowPackr.unpack(await converter.convert(rowPackr.pack(messages))) as readonly ConvertedMessage[]
  expect(made).toHaveLength(8)
  expect(made.at(-1)).toMatchObject({ value: null })
})
