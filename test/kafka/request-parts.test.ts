import { expect, test } from 'vitest'
import type { Position } from '../../src/groups/index.js'
import type { OutgoingRequest } from '../../src/kafka/outbox.js'
import { unpacked } from '../../src/kafka/packed-messages.js'
import { beforeMessage, behindMessage, partsOf } from '../../src/kafka/request-parts.js'
import type { KafkaMessage } from '../../src/kafka/types.js'
import type { Sequence, ShardId } from '../../src/log/index.js'
import type { ConvertedMessage } from '../../src/workers/index.js'
import { Random } from '../simulation/random.js'

const sequenceIn = ({ headers }: KafkaMessage): number => Number(headers['millrace-sequence'])
const shardIn = ({ headers }: KafkaMessage): number => Number(headers['millrace-shard'])

function requestOf(random: Random) {
  const messages: KafkaMessage[] = []
  const counts = new Map<ShardId, number>()
  const next = new Map<ShardId, number>()
  const records = random.below(40)
  for (let sequence = 1; sequence <= records; sequence++) {
    const shard = (1 + random.below(3)) as ShardId
    const headers = { 'millrace-shard': String(shard), 'millrace-sequence': String(sequence) }
    const message = { key: Buffer.from('k'), value: Buffer.from('v'), partition: 0, timestamp: sequence, headers }
    counts.set(shard, (counts.get(shard) ?? 0) + 1)
    next.set(shard, sequence + 1)
    // A record that was put aside before has no message, a delete has two.
    const chance = random.below(10)
    if (chance > 0) messages.push(message)
    if (chance > 7) messages.push({ ...message, value: null })
  }
  const positions = [...next].map(([shard, at]): Position => ({ shard, next: at as Sequence, ended: shard === 2 }))
  const request = { messages, records, bytes: 0, partitionBytes: 0, positions, counts, oldestCommitTime: 1 }
  return { ...request, isFull: false } satisfies OutgoingRequest
}

test('parts lose nothing, keep records whole and stand before what comes later', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed)
    const request = requestOf(random)
    const sizes = new Map(request.messages.map((message) => [sequenceIn(message), random.below(5)]))
    const made = request.messages.map((message): ConvertedMessage => {
      const size = sizes.get(sequenceIn(message)) ?? 0
      if (size === 0) return null
      return { key: Buffer.from('k'), value: message.value && Buffer.alloc(size * 300), headers: {} }
    })
    const parts = partsOf(request, request.messages, made, { partitions: 1, partitionBytesMax: 2_000 })
    const sent = parts.flatMap(({ messages }) => messages as readonly KafkaMessage[])
    expect(sent.map(sequenceIn)).toEqual(request.messages.map(sequenceIn).filter((each) => sizes.get(each) !== 0))
    expect(parts.at(-1)?.positions).toEqual(request.positions)
    expect(parts.reduce((sum, { records }) => sum + records, 0)).toBe(request.records)
    parts.forEach((part, i) => {
      const messages = part.messages as readonly KafkaMessage[]
      const records = new Set(messages.map(sequenceIn))
      expect(part.partitionBytes <= 2_000 || records.size === 1).toBe(true)
      const later = parts.slice(i + 1).flatMap((each) => each.messages as readonly KafkaMessage[])
      for (const { shard, next } of part.positions) {
        for (const message of messages) if (shardIn(message) === shard) expect(sequenceIn(message)).toBeLessThan(next)
        for (const message of later)
          if (shardIn(message) === shard) expect(sequenceIn(message)).toBeGreaterThanOrEqual(next)
      }
    })
  }
})

test('a request that is cut in two is whole', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = new Random(seed)
    const request = requestOf(random)
    const { messages } = request
    // Before the first message of a record.
    let index = random.below(messages.length + 1)
    while (index > 0 && messages[index] && sequenceIn(messages[index]!) === sequenceIn(messages[index - 1]!)) index--
    const before = beforeMessage(request, messages, index)
    const behind = behindMessage(request, messages, index)
    expect([...unpacked(before.messages), ...unpacked(behind?.messages ?? [])]).toEqual(messages)
    expect(before.records + (behind?.records ?? 0)).toBe(request.records)
    for (const [shard, count] of request.counts)
      expect((before.counts.get(shard) ?? 0) + (behind?.counts.get(shard) ?? 0)).toBe(count)
    expect((behind ?? before).positions).toEqual(request.positions)
    for (const { shard, next } of before.positions) {
      const later = messages.slice(index).find((message) => shardIn(message) === shard)
      expect(next).toBe(later ? sequenceIn(later) : request.positions.find((each) => each.shard === shard)?.next)
    }
  }
})
