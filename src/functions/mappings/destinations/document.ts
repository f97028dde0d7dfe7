import { randomUUID } from 'node:crypto'
import { wireSequence } from '../../../tables/index.js'
import type { OpenWindow, Work } from '../core/index.js'
import { type EventRecord, eventOf, secondsText } from '../event-records.js'
import type { FailureDocument } from './destination.js'

export interface DocumentFrame {
  readonly mapping: string
  readonly functionArn: string
  readonly shardId: string
  readonly streamArn: string
  readonly tumblingMs: number
  /** Where the shard stands: the place of a last invocation, which has no records. */
  readonly next: number
}

/** The document that AWS sends of a batch that it gives up. https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html */
export function documentOf(
  { records, attempts, givenUp = 'RetryAttemptsExhausted', last, isFinal }: Work<EventRecord>,
  window: OpenWindow | undefined,
  frame: DocumentFrame,
  now: number,
): FailureDocument {
  const { mapping, functionArn, shardId, streamArn, tumblingMs, next } = frame
  const first = records[0]
  const end = records[records.length - 1]
  const startSequenceNumber = wireSequence(first?.sequence ?? next)
  const endSequenceNumber = wireSequence(end?.sequence ?? next)
  const document = {
    requestContext: {
      requestId: last?.requestId ?? randomUUID(),
      functionArn,
      condition: givenUp,
      approximateInvokeCount: attempts,
    },
    // What was never called has not answered.
    ...(last
      ? { responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: last.functionError } }
      : {}),
    version: '1.0',
    timestamp: new Date(now).toISOString(),
    DDBStreamBatchInfo: {
      shardId,
      startSequenceNumber,
      endSequenceNumber,
      approximateArrivalOfFirstRecord: secondsText(first?.time ?? window?.start ?? now),
      approximateArrivalOfLastRecord: secondsText(end?.time ?? window?.start ?? now),
      batchSize: records.length,
      streamArn,
    },
  }
  const head = Buffer.from(JSON.stringify(document))
  const event = eventOf(records, window && { window, ms: tumblingMs, shardId, streamArn, isFinal })
  return {
    // A last invocation has no records, and its place is where others begin.
    id: `${mapping}:${shardId}:${startSequenceNumber}-${endSequenceNumber}${isFinal && window ? `:${window.start}` : ''}`,
    at: now,
    functionArn,
    condition: givenUp,
    shardId,
    startSequenceNumber,
    withoutPayload: head,
    withPayload: Buffer.concat([
      head.subarray(0, head.length - 1),
      Buffer.from(',"payload":'),
      event,
      Buffer.from('}'),
    ]),
  }
}
