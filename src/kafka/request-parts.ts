import type { Position } from '../groups/index.js'
import type { ShardId } from '../log/index.js'
import type { MillraceError } from '../runtime/index.js'
import { type ConvertedMessage, convertedBytesMax } from '../workers/index.js'
import { byRecord } from './delivery.js'
import { partitionOf } from './murmur2.js'
import { Filling, type OutgoingRequest } from './outbox.js'
import { sequenceOf, shardOf } from './put-aside.js'
import type { KafkaMessage } from './types.js'

export interface PartBounds {
  /** Of the topic. */
  readonly partitions: number
  /** Most bytes of a part for one partition; a record that has more goes alone. */
  readonly partitionBytesMax: number
}

/**
 * What converters made of the messages of a request, in parts of bounded size (`convertedBytesMax`): of little they may make much. A record
 * is in one part with all of its messages; records without messages pass with the last one.
 * @param messages those of the request, before they were converted
 * @param failure why nothing comes behind the last part
 */
export function partsOf(
  request: OutgoingRequest,
  messages: readonly KafkaMessage[],
  made: readonly ConvertedMessage[],
  { partitions, partitionBytesMax }: PartBounds,
  failure?: MillraceError,
): OutgoingRequest[] {
  const fillings: { readonly filling: Filling; readonly from: number }[] = []
  let filling = new Filling(partitions, [])
  let at = 0
  fillings.push({ filling, from: at })
  for (const record of byRecord(messages)) {
    const [first] = record as [KafkaMessage]
    const sent = record.flatMap((message, i) => convertedMessage(message, made[at + i], partitions))
    if (!filling.take(sent, first.timestamp, partitionBytesMax, convertedBytesMax)) {
      filling = new Filling(partitions, [])
      fillings.push({ filling, from: at })
      filling.take(sent, first.timestamp, partitionBytesMax)
    }
    const shard = shardOf(first)
    filling.counts.set(shard, (filling.counts.get(shard) ?? 0) + 1)
    at += record.length
  }
  const positions = positionsAt(
    request,
    messages,
    fillings.slice(1).map(({ from }) => from),
  )
  const isOne = fillings.length === 1
  return fillings.map(({ filling: each }, i) => {
    const isLast = i === fillings.length - 1
    const { messages: sent, bytes, partitionBytes, oldestCommitTime } = each.finished(!isLast)
    const counts = isLast
      ? without(request.counts, ...fillings.slice(0, i).map((part) => part.filling.counts))
      : each.counts
    const records = [...counts.values()].reduce((sum, count) => sum + count, 0)
    return {
      messages: sent,
      records,
      bytes,
      partitionBytes,
      positions: positions[i] as readonly Position[],
      counts,
      oldestCommitTime: isOne ? request.oldestCommitTime : oldestCommitTime,
      isFull: !isLast || request.isFull,
      ...(isLast && failure ? { failure } : {}),
    }
  })
}

function without(
  counts: ReadonlyMap<ShardId, number>,
  ...parts: readonly ReadonlyMap<ShardId, number>[]
): ReadonlyMap<ShardId, number> {
  const left = new Map(counts)
  for (const part of parts) for (const [shard, count] of part) left.set(shard, (left.get(shard) ?? 0) - count)
  return left
}

function convertedMessage(
  { timestamp, headers }: KafkaMessage,
  made: ConvertedMessage | undefined,
  partitions: number,
): KafkaMessage[] {
  if (!made || 'failure' in made) return []
  const key = Buffer.from(made.key)
  return [
    {
      key,
      value: made.value && Buffer.from(made.value),
      partition: partitionOf(key, partitions),
      timestamp,
      headers: { ...made.headers, ...headers },
    },
  ]
}

/** Where each part of a request ends that is cut before these messages: a shard stands before the first of its records that come later. */
function positionsAt(
  request: OutgoingRequest,
  messages: readonly KafkaMessage[],
  cuts: readonly number[],
): (readonly Position[])[] {
  const later = new Map<ShardId, Position>()
  const parts = [request.positions]
  let end = messages.length
  for (const cut of cuts.toReversed()) {
    for (const message of messages.slice(cut, end).reverse()) {
      const shard = shardOf(message)
      later.set(shard, { shard, next: sequenceOf(message), ended: false })
    }
    end = cut
    parts.unshift(request.positions.map((position) => later.get(position.shard) ?? position))
  }
  return parts
}

/** The part of a request before one of its messages. */
export function beforeMessage(
  request: OutgoingRequest,
  messages: readonly KafkaMessage[],
  index: number,
): OutgoingRequest {
  if (index === messages.length) return { ...request, messages }
  const counts = new Map<ShardId, number>()
  const records = byRecord(messages.slice(0, index))
  for (const [message] of records) {
    const shard = shardOf(message as KafkaMessage)
    counts.set(shard, (counts.get(shard) ?? 0) + 1)
  }
  const [positions] = positionsAt(request, messages, [index]) as [readonly Position[]]
  return { ...request, messages: messages.slice(0, index), positions, counts, records: records.length }
}

/** What a part of a request leaves of it; undefined: nothing. */
export function behindMessage(
  request: OutgoingRequest,
  messages: readonly KafkaMessage[],
  index: number,
): OutgoingRequest | undefined {
  if (index === messages.length) return undefined
  const before = beforeMessage(request, messages, index)
  const left = messages.slice(index)
  return {
    ...request,
    messages: left,
    counts: without(request.counts, before.counts),
    records: request.records - before.records,
    oldestCommitTime: left[0]?.timestamp,
  }
}
