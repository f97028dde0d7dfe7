import { expect, test } from 'vitest'
import { Outbox, type OutgoingRequest, requestBytesMax, requestRecordsMax } from '../../src/kafka/outbox.js'
import { unpacked } from '../../src/kafka/packed-messages.js'
import type { LogRecord, Shard } from '../../src/log/index.js'
import { MillraceError, systemClock } from '../../src/runtime/index.js'
import { MemoryLog, newRecord } from './memory.js'

const message = (record: LogRecord) => [
  { key: record.key, value: record.body, partition: 0, timestamp: 0, headers: {} },
]

function filled(
  count: number,
  body: (i: number) => string,
  encode: (record: LogRecord) => ReturnType<typeof message> = message,
) {
  const log = new MemoryLog()
  for (let at = 0; at < count; at += 300) {
    log.append(Array.from({ length: Math.min(300, count - at) }, (_, i) => newRecord(`k${i}`, body(at + i))))
  }
  const shard = log.shards()[0] as Shard
  const outbox = new Outbox(encode, 1, systemClock)
  let released = 0
  const pushAll = async () => {
    for (let from = shard.firstSequence; from < log.nextSequence(); ) {
      const page = await log.read(shard.id, from, { bytesMax: 50_000 })
      outbox.push({ shard, from, page, release: () => released++ })
      from = page.next
    }
  }
  return { log, shard, outbox, pushAll, released: () => released }
}

test('requests are bounded in records and bytes, lose nothing and keep the order', async () => {
  const { log, shard, outbox, pushAll } = filled(5_000, (i) => JSON.stringify({ i, pad: 'x'.repeat(i % 700) }))
  await pushAll()
  outbox.bytesMax = 200_000
  const got: number[] = []
  // The shard itself has taken the first number.
  let next = shard.firstSequence + 1
  while (outbox.records > 0) {
    const request = await outbox.next()
    if (!request) throw new Error('closed')
    expect(request.records).toBeLessThanOrEqual(requestRecordsMax)
    expect(request.bytes).toBeLessThanOrEqual(200_000)
    got.push(...unpacked(request.messages).map((sent) => JSON.parse(String(sent.value)).i))
    const [position, ...others] = request.positions
    expect(others).toEqual([])
    expect(position?.next).toBe(next + request.records)
    next = position?.next as number
  }
  expect(got).toEqual(Array.from({ length: 5_000 }, (_, i) => i))
  expect(next).toBe(log.nextSequence())
})

test('a record that is larger than the bound goes alone', async () => {
  const { outbox, pushAll } = filled(3, (i) => JSON.stringify({ i, pad: 'x'.repeat(i === 1 ? 5_000 : 10) }))
  await pushAll()
  outbox.bytesMax = 1_000
  const sizes = []
  while (outbox.records > 0) sizes.push((await outbox.next())?.records)
  expect(sizes).toEqual([1, 1, 1])
})

test('headers count', async () => {
  const headers = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`h${i}`, 'x'.repeat(1_000)]))
  const { outbox, pushAll } = filled(500, String, (record) => message(record).map((each) => ({ ...each, headers })))
  await pushAll()
  while (outbox.records > 0) {
    const { messages } = (await outbox.next()) as OutgoingRequest
    expect(messages.length).toBeLessThanOrEqual(requestBytesMax / 32_000)
  }
})

test('the end of a shard comes behind its last record, also when it has none', async () => {
  const { log, shard, outbox, released } = filled(1, () => '1')
  await log.closeStream()
  const page = await log.read(shard.id, shard.firstSequence, { bytesMax: 1 })
  outbox.push({ shard, from: shard.firstSequence, page, release: () => {} })
  expect(await outbox.next()).toMatchObject({ records: 1, positions: [{ shard: shard.id, ended: true }] })
  outbox.push({ shard, from: page.next, page: { chunks: [], next: page.next, ended: true }, release: () => {} })
  expect(await outbox.next()).toMatchObject({ records: 0, messages: [], positions: [{ ended: true }] })
  expect(released()).toBe(0)
})

test('a record that cannot be encoded fails after those before it were given out', async () => {
  const { outbox, pushAll } = filled(10, String, (record) => {
    if (String(record.body) === '7') throw new MillraceError('IMAGES_NOT_KEPT', 'no image')
    return message(record)
  })
  await pushAll()
  expect((await outbox.next())?.records).toBe(7)
  await expect(outbox.next()).rejects.toMatchObject({ code: 'IMAGES_NOT_KEPT' })
})

test('closing gives every page back and ends whoever waits', async () => {
  const { outbox, pushAll, released, shard } = filled(1_000, String)
  const waiting = filled(0, String).outbox
  const next = waiting.next()
  waiting.close()
  expect(await next).toBeUndefined()
  await pushAll()
  outbox.close()
  expect(released()).toBeGreaterThan(0)
  const before = released()
  await pushAll()
  expect(released()).toBe(2 * before)
  expect(await outbox.next()).toBeUndefined()
  expect(shard.state).toBe('open')
})
