import { ChunkCursor, Codec, type Sequence, type Shard, type ShardedLog, type ShardId } from '../../log/index.js'
import { type Clock, MillraceError } from '../../runtime/index.js'
import type { Catalogue } from '../catalogue/catalogue.js'
import type { AwsStream } from '../catalogue/table-row.js'
import { keysOf } from '../control/description.js'
import type { Asked } from '../requests/asked.js'
import { expiredIterator, notFound, trimmed, validation } from '../requests/aws-error.js'
import { atMost, Constraints, type Input, object, oneOf, tableName, text, whole } from '../requests/request.js'
import { AnswerMemory } from './answer-memory.js'
import { ReadAhead } from './read-ahead.js'
import { RecordWriter, wireSequence } from './record-writer.js'
import { streamStatus, windowState } from './window-lifecycle.js'
import type { WindowTime } from './window-time.js'

const iteratorMs = 15 * 60 * 1000
const pageRecordsMax = 1000
const pageBytesMax = 1024 * 1024
/** Memory of an answer: a page, its brackets and iterator, and a record that turns out not to fit. */
const answerBytes = pageBytesMax + 128 * 1024
/** What is read of the log for a page: a record of a page is longer by its frame than it is in the log. */
const readShare = 0.65
const readBytesMin = 128 * 1024
const readBytesMax = pageBytesMax * readShare

export interface StreamOperationsOptions {
  readonly catalogue: Catalogue
  readonly log: ShardedLog
  readonly clock: Clock
  readonly region: string
  /** Of an event id, what stands before the digits of its sequence number (log/event-id.ts). */
  readonly eventIdPrefix: (sequence: number) => string
  readonly windowTime: WindowTime
}

/** A shard id on the wire: its time of creation in milliseconds, then its number. Sorts in the order of creation. */
export const wireShardId = (shard: Pick<Shard, 'createdAt' | 'id'>): string =>
  `shardId-${String(shard.createdAt).padStart(20, '0')}-${shard.id.toString(16).padStart(8, '0')}`

/** ListStreams, DescribeStream, GetShardIterator, GetRecords over the change logs of tables. */
export class StreamOperations {
  readonly #options: StreamOperationsOptions
  readonly #memory = new AnswerMemory(answerBytes)
  readonly #ahead: ReadAhead

  constructor(options: StreamOperationsOptions) {
    this.#options = options
    this.#ahead = new ReadAhead(options.log, options.clock)
  }

  async listStreams(input: Input): Promise<object> {
    const { catalogue } = this.#options
    const constraints = new Constraints()
    const limit = atMost(input, 'Limit', 'limit', 100, constraints) ?? 100
    const isNamed = input.TableName !== undefined && input.TableName !== null
    const name = isNamed ? tableName(input, constraints, { lengthMin: 3 }) : undefined
    const start = text(input, 'ExclusiveStartStreamArn')
    checkArn(start, 'exclusiveStartStreamArn', constraints)
    constraints.done()
    if (start !== undefined && !streamArnPattern.test(start)) throw invalidArn(start)
    // Ordered by their ARN, so that pages stay put while streams are made between them.
    const all = catalogue
      .awsStreams()
      .filter((stream) => name === undefined || stream.tableName === name)
      .map((stream) => ({
        StreamArn: catalogue.streamArn(stream),
        TableName: stream.tableName,
        StreamLabel: stream.label,
      }))
      .sort((a, b) => (a.StreamArn < b.StreamArn ? -1 : 1))
      .filter(({ StreamArn }) => start === undefined || StreamArn > start)
    const page = all.slice(0, limit)
    return {
      Streams: page,
      ...(all.length > limit ? { LastEvaluatedStreamArn: page[page.length - 1]?.StreamArn } : {}),
    }
  }

  async describeStream(input: Input): Promise<object> {
    const constraints = new Constraints()
    const limit = atMost(input, 'Limit', 'limit', 100, constraints) ?? 100
    const start = text(input, 'ExclusiveStartShardId')
    checkShardId(start, 'exclusiveStartShardId', constraints)
    const filter = object(input, 'ShardFilter')
    const filterType = filter && oneOf(filter, 'Type', 'shardFilter.type', ['CHILD_SHARDS'], constraints)
    const parentId = filter && text(filter, 'ShardId')
    checkShardId(parentId, 'shardFilter.shardId', constraints)
    const arn = requiredArn(input, constraints)
    constraints.done()
    const stream = this.#stream(arn)
    const shards = this.#shards(stream)
    const ids = new Map(shards.map((shard) => [shard.id, wireShardId(shard)]))
    if (filter && (filterType === undefined || parentId === undefined))
      throw validation('ShardFilter needs a Type and, for CHILD_SHARDS, a ShardId')
    const wanted = shards
      .filter((shard) => parentId === undefined || shard.parents.some((parent) => ids.get(parent) === parentId))
      .filter((shard) => start === undefined || (wireShardId(shard) > start && wasListed(start, stream, shards)))
    const page = wanted.slice(0, limit)
    return {
      StreamDescription: {
        StreamArn: arn,
        StreamLabel: stream.label,
        StreamStatus: streamStatus[windowState(stream, this.#options.windowTime.until)],
        StreamViewType: stream.view,
        CreationRequestDateTime: Math.floor(stream.createdAt) / 1000,
        TableName: stream.tableName,
        KeySchema: keysOf(stream.schema),
        Shards: page.map((shard) => ({
          ShardId: wireShardId(shard),
          SequenceNumberRange: {
            StartingSequenceNumber: wireSequence(shard.firstSequence),
            ...(shard.lastSequence === undefined ? {} : { EndingSequenceNumber: wireSequence(shard.lastSequence) }),
          },
          // DynamoDB has a single parent: shards of a table split and roll, and are never merged while a window is open.
          ...(shard.parents[0] !== undefined && ids.has(shard.parents[0])
            ? { ParentShardId: ids.get(shard.parents[0]) }
            : {}),
        })),
        ...(wanted.length > limit ? { LastEvaluatedShardId: wireShardId(page[page.length - 1] as Shard) } : {}),
      },
    }
  }

  async getShardIterator(input: Input): Promise<object> {
    const { log } = this.#options
    const constraints = new Constraints()
    const arn = requiredArn(input, constraints)
    const shardId = text(input, 'ShardId')
    constraints.check(shardId !== undefined, 'shardId', undefined, 'Member must not be null')
    checkShardId(shardId, 'shardId', constraints)
    const type = oneOf(
      input,
      'ShardIteratorType',
      'shardIteratorType',
      ['AT_SEQUENCE_NUMBER', 'AFTER_SEQUENCE_NUMBER', 'TRIM_HORIZON', 'LATEST'],
      constraints,
    )
    constraints.check(
      input.ShardIteratorType !== undefined && input.ShardIteratorType !== null,
      'shardIteratorType',
      undefined,
      'Member must not be null',
    )
    const wire = text(input, 'SequenceNumber')
    if (wire !== undefined) {
      constraints.check(
        wire.length >= 21,
        'sequenceNumber',
        wire,
        'Member must have length greater than or equal to 21',
      )
      constraints.check(wire.length <= 40, 'sequenceNumber', wire, 'Member must have length less than or equal to 40')
    }
    constraints.done()
    const stream = this.#stream(arn)
    const shard = this.#shards(stream).find((each) => wireShardId(each) === shardId)
    if (!shard) throw notFound(`Requested resource not found: Shard: ${shardId} in Stream: ${arn} not found`)
    const isAt = type === 'AT_SEQUENCE_NUMBER' || type === 'AFTER_SEQUENCE_NUMBER'
    if (isAt !== (wire !== undefined)) {
      throw validation(
        isAt
          ? `A sequence number must be given for the iterator type ${type}`
          : `A sequence number cannot be given for the iterator type ${type}`,
      )
    }
    const oldest = await this.#oldest(shard)
    let position: number
    if (type === 'TRIM_HORIZON') position = oldest
    else if (type === 'LATEST') position = log.lastSequence(shard.id) + 1
    else {
      const sequence = sequenceOf(wire as string, shard)
      if (sequence < oldest) throw pastOldest()
      position = type === 'AT_SEQUENCE_NUMBER' ? sequence : sequence + 1
    }
    return { ShardIterator: this.#iterator(arn, shard.id, position) }
  }

  async getRecords(input: Input, asked: Pick<Asked, 'onSent'>): Promise<Buffer> {
    const { clock, windowTime } = this.#options
    const constraints = new Constraints()
    const wire = text(input, 'ShardIterator')
    constraints.check(wire !== undefined, 'shardIterator', undefined, 'Member must not be null')
    constraints.check(
      wire === undefined || wire.length >= 1,
      'shardIterator',
      wire,
      'Member must have length greater than or equal to 1',
    )
    constraints.check(
      wire === undefined || wire.length <= 2048,
      'shardIterator',
      wire,
      'Member must have length less than or equal to 2048',
    )
    const limit = whole(input, 'Limit')
    if (limit !== undefined) {
      constraints.check(limit >= 1, 'limit', limit, 'Member must have value greater than or equal to 1')
      constraints.check(
        limit <= pageRecordsMax,
        'limit',
        limit,
        `Member must have value less than or equal to ${pageRecordsMax}`,
      )
    }
    constraints.done()
    const { arn, shard, position, issued } = parseIterator(wire as string)
    if (clock.now() - issued > iteratorMs) throw expiredIterator('Iterator has expired')
    const stream = this.#stream(arn)
    const { until } = windowTime
    const read = this.#allShards(stream).find((each) => each.id === shard)
    if (!read) throw validation('Invalid ShardIterator')
    if (isOutside(read, until)) throw pastOldest()
    const memory = this.#memory.take()
    const { region, eventIdPrefix } = this.#options
    const records = new RecordWriter(memory, { view: stream.view, region, eventIdPrefix })
    let next = position as Sequence
    let ended = false
    let isFull = false
    const full = () => isFull || records.count >= (limit ?? pageRecordsMax) || records.bytes >= pageBytesMax
    while (!ended && !full()) {
      const page = await this.#readPage(shard, next, (pageBytesMax - records.bytes) * readShare)
      if (page.chunks.length === 0) {
        ended = page.ended
        break
      }
      let done = 0
      let isCut = false
      for (const chunk of page.chunks) {
        const cursor = new ChunkCursor(chunk)
        while (cursor.next()) {
          if (cursor.sequence < next) continue
          // Times never go back: only the first record of a page can lie before the window.
          if (cursor.commitTime <= until) throw pastOldest()
          if (full()) {
            isCut = true
            break
          }
          if (cursor.codec === Codec.dynamoJsonChange) {
            isFull = !records.add(cursor, pageBytesMax)
            if (isFull) {
              isCut = true
              break
            }
          }
          next = (cursor.sequence + 1) as Sequence
        }
        if (isCut) break
        done++
      }
      if (!isCut) {
        next = page.next
        ended = page.ended
      }
      // Each record was copied.
      if (page.release) page.release()
      else if (full()) this.#ahead.keep(shard, next, { ...page, chunks: page.chunks.slice(done) }, readBytesMax)
    }
    // Where a closed shard ends there is no further iterator: the member is missing, not null.
    const following = ended ? '' : `,"NextShardIterator":${JSON.stringify(this.#iterator(arn, shard, next))}`
    asked.onSent?.(() => this.#memory.giveBack(memory))
    return records.end(following)
  }

  async #readPage(shard: ShardId, from: Sequence, bytes: number) {
    try {
      return await this.#ahead.read(shard, from, Math.max(readBytesMin, bytes))
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'TRIMMED') throw pastOldest()
      throw error
    }
  }

  #stream(arn: string): AwsStream {
    if (!streamArnPattern.test(arn)) throw invalidArn(arn)
    const stream = this.#options.catalogue.awsStream(arn)
    if (!stream) throw notFound(`Requested resource not found: Stream: ${arn} not found`)
    return stream
  }

  /** The shards that a window shows, in the order of their ids: a sealed one as long as its youngest record may be seen. */
  #shards(stream: AwsStream): Shard[] {
    const { until } = this.#options.windowTime
    return this.#allShards(stream)
      .filter((shard) => !isOutside(shard, until))
      .sort((a, b) => (wireShardId(a) < wireShardId(b) ? -1 : 1))
  }

  /** The shards between the bounds of a window, whatever their age. */
  #allShards(stream: AwsStream): Shard[] {
    return this.#options.log
      .shards(stream.stream)
      .filter(
        (shard) =>
          shard.firstSequence >= stream.first && (stream.last === undefined || shard.firstSequence <= stream.last),
      )
  }

  /** The oldest sequence number of a shard from which nothing is missing. */
  async #oldest(shard: Shard): Promise<number> {
    const { log, windowTime } = this.#options
    const { until } = windowTime
    const kept = Math.max(shard.lowWatermark, shard.firstSequence)
    if (shard.createdAt > until) return kept
    return Math.max(kept, (await log.placeAtTime(shard.id, until + 1)).previous + 1)
  }

  /** A position of its own, without state in the daemon: ARN, shard, next sequence number, time of issue. */
  #iterator(arn: string, shard: ShardId, position: number): string {
    const opaque = Buffer.from(`${shard}.${position}.${this.#options.clock.now()}`).toString('base64')
    return `${arn}|1|${opaque}`
  }
}

const isOutside = (shard: Shard, until: number): boolean => shard.sealedAt !== undefined && shard.sealedAt <= until

const pastOldest = () => trimmed('The operation attempted to read past the oldest stream record in a shard')

const streamArnPattern = /^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table\/[a-zA-Z0-9_.-]+\/stream\/.+$/

const invalidArn = (arn: string) => validation(`Invalid StreamArn: ${arn}`)

function checkArn(arn: string | undefined, member: string, constraints: Constraints): void {
  if (arn === undefined) return
  constraints.check(arn.length >= 37, member, arn, 'Member must have length greater than or equal to 37')
  constraints.check(arn.length <= 1024, member, arn, 'Member must have length less than or equal to 1024')
}

function requiredArn(input: Input, constraints: Constraints): string {
  const arn = text(input, 'StreamArn')
  constraints.check(arn !== undefined, 'streamArn', undefined, 'Member must not be null')
  checkArn(arn, 'streamArn', constraints)
  return arn ?? ''
}

function checkShardId(id: string | undefined, member: string, constraints: Constraints): void {
  if (id === undefined) return
  constraints.check(id.length >= 28, member, id, 'Member must have length greater than or equal to 28')
  constraints.check(id.length <= 65, member, id, 'Member must have length less than or equal to 65')
}

/**
 * Whether a shard of this id is listed, or can have been before it was trimmed, so that a reader that pages meanwhile goes
 * on behind it. Behind any other id AWS lists nothing, and says nothing of it.
 */
function wasListed(id: string, stream: AwsStream, shards: readonly Shard[]): boolean {
  const found = /^shardId-(\d{20})-([0-9a-f]{8})$/.exec(id)
  if (!found) return false
  const [createdAt, number] = [Number(found[1]), Number.parseInt(found[2] as string, 16)]
  return shards.some(
    (shard) =>
      wireShardId(shard) === id || (createdAt >= stream.createdAt && createdAt <= shard.createdAt && number < shard.id),
  )
}

function sequenceOf(wire: string, shard: Shard): number {
  const value = /^\d+$/.test(wire) ? Number(BigInt(wire) - 10n ** 20n) : Number.NaN
  const isInShard =
    Number.isSafeInteger(value) && value >= 0 && (shard.lastSequence === undefined || value <= shard.lastSequence)
  if (!isInShard) throw validation('Invalid SequenceNumber')
  return value
}

function parseIterator(wire: string): { arn: string; shard: ShardId; position: number; issued: number } {
  const parts = wire.split('|')
  const opaque = parts.length === 3 && parts[1] === '1' ? Buffer.from(parts[2] as string, 'base64').toString() : ''
  const found = /^(\d{1,10})\.(\d{1,16})\.(\d{1,16})$/.exec(opaque)
  // Node's decoder leaves out what is no base64, so an iterator that was cut or added to is told by encoding it again.
  if (!found || Buffer.from(opaque).toString('base64') !== parts[2]) throw validation('Invalid ShardIterator')
  return {
    arn: parts[0] as string,
    shard: Number(found[1]) as ShardId,
    position: Number(found[2]),
    issued: Number(found[3]),
  }
}
