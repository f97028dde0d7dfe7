import { expect } from 'vitest'
import { type Item, itemSize, itemText } from '../naive/values.js'
import type { Backend } from './backend.js'
import type { Event, ModelTable } from './table.js'

export const viewTypes = ['KEYS_ONLY', 'NEW_IMAGE', 'OLD_IMAGE', 'NEW_AND_OLD_IMAGES'] as const
export type View = (typeof viewTypes)[number]

interface StreamRecord {
  readonly eventID: string
  readonly eventName: string
  readonly userIdentity?: unknown
  readonly dynamodb: {
    readonly Keys: Item
    readonly NewImage?: Item
    readonly OldImage?: Item
    readonly SequenceNumber: string
    readonly SizeBytes: number
    readonly StreamViewType: string
    readonly ApproximateCreationDateTime: number
  }
}

interface Shard {
  readonly ShardId: string
  readonly ParentShardId?: string
  readonly SequenceNumberRange: { readonly StartingSequenceNumber: string; readonly EndingSequenceNumber?: string }
}

async function shardsOf(backend: Backend, StreamArn: string): Promise<Shard[]> {
  const shards: Shard[] = []
  let ExclusiveStartShardId: string | undefined
  do {
    const { body } = await backend.ask('DescribeStream', {
      StreamArn,
      Limit: 3,
      ...(ExclusiveStartShardId ? { ExclusiveStartShardId } : {}),
    })
    const description = body.StreamDescription as { Shards: Shard[]; LastEvaluatedShardId?: string }
    shards.push(...description.Shards)
    ExclusiveStartShardId = description.LastEvaluatedShardId
  } while (ExclusiveStartShardId)
  return shards
}

async function recordsOf(backend: Backend, StreamArn: string, shard: Shard, Limit: number): Promise<StreamRecord[]> {
  const records: StreamRecord[] = []
  const first = await backend.ask('GetShardIterator', {
    StreamArn,
    ShardId: shard.ShardId,
    ShardIteratorType: 'TRIM_HORIZON',
  })
  let ShardIterator = first.body.ShardIterator as string | undefined
  while (ShardIterator) {
    const { body } = await backend.ask('GetRecords', { ShardIterator, Limit })
    const page = body.Records as StreamRecord[]
    expect(page.length).toBeLessThanOrEqual(Limit)
    records.push(...page)
    // An open shard always has a next iterator, and an empty page is its end for now.
    const isOpen = shard.SequenceNumberRange.EndingSequenceNumber === undefined
    if (isOpen) expect(body.NextShardIterator).toBeDefined()
    if (isOpen && page.length === 0) break
    ShardIterator = body.NextShardIterator as string | undefined
  }
  return records
}

/** Everything in a table's stream, by item, parents before children; and that the stream is as AWS's must be. */
export async function checkStream(
  backend: Backend,
  table: ModelTable,
  options: { StreamArn: string; view: View; Limit: number },
): Promise<void> {
  const { StreamArn, view, Limit } = options
  const shards = await shardsOf(backend, StreamArn)
  expect(shards.map(({ ShardId }) => ShardId)).toEqual([...shards].map(({ ShardId }) => ShardId).sort())
  const byItem = new Map<string, StreamRecord[]>()
  const ids = new Set<string>()
  let count = 0
  for (const shard of shards) {
    const { StartingSequenceNumber: start, EndingSequenceNumber: end } = shard.SequenceNumberRange
    const parent = shards.find(({ ShardId }) => ShardId === shard.ParentShardId)
    let last = BigInt(start) - 1n
    if (parent) expect(BigInt(start)).toBeGreaterThan(BigInt(parent.SequenceNumberRange.EndingSequenceNumber as string))
    for (const record of await recordsOf(backend, StreamArn, shard, Limit)) {
      const { Keys, SequenceNumber, ApproximateCreationDateTime, StreamViewType } = record.dynamodb
      expect(SequenceNumber).toMatch(/^\d{21,40}$/)
      expect(BigInt(SequenceNumber)).toBeGreaterThan(last)
      last = BigInt(SequenceNumber)
      if (end !== undefined) expect(last).toBeLessThanOrEqual(BigInt(end))
      expect(Number.isInteger(ApproximateCreationDateTime)).toBe(true)
      expect(StreamViewType).toBe(view)
      expect(record).not.toHaveProperty('userIdentity')
      ids.add(record.eventID)
      count++
      const name = itemText(Keys)
      byItem.set(name, [...(byItem.get(name) ?? []), record])
    }
  }
  expect(ids.size).toBe(count)
  expect(count).toBe(table.history.length)
  for (const name of new Set(table.history.map(({ key }) => itemText(key)))) {
    const events = table.history.filter(({ key }) => itemText(key) === name)
    expect((byItem.get(name) ?? []).map(shown)).toEqual(events.map((event) => expected(event, view)))
  }
}

const shown = ({ eventName, dynamodb }: StreamRecord) => ({
  eventName,
  new: itemText(dynamodb.NewImage),
  old: itemText(dynamodb.OldImage),
  size: dynamodb.SizeBytes,
})

function expected(event: Event, view: View): ReturnType<typeof shown> {
  const newImage = view.includes('NEW') ? event.new : undefined
  const oldImage = view.includes('OLD') ? event.old : undefined
  const sizes = [event.key, newImage, oldImage].map((item) => (item ? itemSize(item) : 0))
  return {
    eventName: event.name,
    new: itemText(newImage),
    old: itemText(oldImage),
    size: sizes.reduce((total, size) => total + size, 0),
  }
}
