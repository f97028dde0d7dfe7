import type { Shard, _Record as StreamRecord } from '@aws-sdk/client-dynamodb-streams'
import type { Aws } from './aws.js'
import { type ChangeKind, changesOf, flightIdOf, imagesOf, keyOf, numberOfFlightId } from './expectation.js'
import type { Findings } from './findings.js'
import type { Flights } from './flights.js'
import { isItem, show } from './items.js'

const pageRecordsMax = 1000
/** An open shard has been read to its end when it answers this often in a row without a record. */
const emptyPagesMax = 2

const bitOf: Readonly<Record<ChangeKind, number>> = { insert: 1, modify: 2, remove: 4 }
const kindOfEvent: Readonly<Record<string, ChangeKind>> = { INSERT: 'insert', MODIFY: 'modify', REMOVE: 'remove' }

/** Judges the records of the stream, one after the other, against the input. */
export class ChangeCheck {
  readonly #flights: Flights
  readonly #findings: Findings
  /** The changes seen of each flight, as bits. */
  readonly #seen: Uint8Array
  #records = 0

  constructor(flights: Flights, findings: Findings) {
    this.#flights = flights
    this.#findings = findings
    this.#seen = new Uint8Array(flights.length + 1)
  }

  /** Records so far. */
  get records(): number {
    return this.#records
  }

  take(record: StreamRecord): void {
    this.#records++
    const kind = kindOfEvent[record.eventName ?? '']
    const id = record.dynamodb?.Keys?.flight?.S ?? ''
    const number = numberOfFlightId(id)
    if (kind === undefined || !Number.isInteger(number) || number < 1 || number > this.#flights.length) {
      this.#findings.add('wrong', `a record that nobody wrote: ${show(record)}`)
      return
    }
    const flight = this.#flights.at(number)
    const expected = changesOf(number)
    const place = expected.indexOf(kind)
    if (place < 0) {
      this.#findings.add('wrong', `flight ${id} has the change ${kind}, which nobody made`)
      return
    }
    const seen = this.#seen[number]!
    if (seen & bitOf[kind]) {
      this.#findings.add('duplicated', `flight ${id} has the change ${kind} twice`)
      return
    }
    this.#seen[number] = seen | bitOf[kind]
    const before = expected.slice(0, place).reduce((bits, earlier) => bits | bitOf[earlier], 0)
    if (seen !== before) this.#findings.add('wrong', `flight ${id} has the change ${kind} out of order`)
    const images = imagesOf(flight, kind)
    const { Keys, OldImage, NewImage } = record.dynamodb!
    if (!isItem(Keys, keyOf(flight)) || !isItem(OldImage, images.old) || !isItem(NewImage, images.new)) {
      this.#findings.add('wrong', `flight ${id} has a ${kind} with other images: ${show(record.dynamodb)}`)
    }
  }

  /** Everything has been read: what is missing is lost. */
  finish(): void {
    for (let number = 1; number <= this.#flights.length; number++) {
      for (const kind of changesOf(number)) {
        if (this.#seen[number]! & bitOf[kind]) continue
        this.#findings.add('lost', `flight ${flightIdOf(this.#flights.at(number))} lacks the change ${kind}`)
      }
    }
  }
}

/**
 * Reads a stream as any consumer of DynamoDB Streams does: every shard from its beginning, a parent to its end before its
 * children. Within a shard sequence numbers must rise.
 */
export async function readStream(
  aws: Aws,
  streamArn: string,
  findings: Findings,
  onRecords: (records: readonly StreamRecord[]) => void,
): Promise<void> {
  const shards = new Map((await listShards(aws, streamArn)).map((shard) => [shard.ShardId!, shard]))
  const readings = new Map<string, Promise<void>>()
  const read = (id: string): Promise<void> => {
    const under = readings.get(id)
    if (under !== undefined) return under
    const parent = shards.get(id)!.ParentShardId
    const afterParent = parent !== undefined && shards.has(parent) ? read(parent) : Promise.resolve()
    const reading = afterParent.then(() => readShard(aws, streamArn, id, findings, onRecords))
    readings.set(id, reading)
    return reading
  }
  await Promise.all([...shards.keys()].map(read))
}

async function listShards(aws: Aws, streamArn: string): Promise<Shard[]> {
  const shards: Shard[] = []
  let after: string | undefined
  do {
    const command = new aws.dynamodbStreams.DescribeStreamCommand({
      StreamArn: streamArn,
      ExclusiveStartShardId: after,
    })
    const { StreamDescription } = await aws.request(({ streams }) => streams.send(command))
    shards.push(...(StreamDescription?.Shards ?? []))
    after = StreamDescription?.LastEvaluatedShardId
  } while (after !== undefined)
  return shards
}

async function readShard(
  aws: Aws,
  streamArn: string,
  shardId: string,
  findings: Findings,
  onRecords: (records: readonly StreamRecord[]) => void,
): Promise<void> {
  const { GetShardIteratorCommand, GetRecordsCommand } = aws.dynamodbStreams
  const first = await aws.request(({ streams }) =>
    streams.send(
      new GetShardIteratorCommand({ StreamArn: streamArn, ShardId: shardId, ShardIteratorType: 'TRIM_HORIZON' }),
    ),
  )
  let last = ''
  let emptyPages = 0
  for (let iterator = first.ShardIterator; iterator !== undefined && emptyPages < emptyPagesMax; ) {
    const command = new GetRecordsCommand({ ShardIterator: iterator, Limit: pageRecordsMax })
    const { Records = [], NextShardIterator } = await aws.request(({ streams }) => streams.send(command))
    emptyPages = Records.length === 0 ? emptyPages + 1 : 0
    for (const record of Records) {
      // Sequence numbers have one length and sort as text.
      const sequence = record.dynamodb?.SequenceNumber ?? ''
      if (sequence <= last) findings.add('wrong', `${shardId}: the sequence number ${sequence} comes after ${last}`)
      last = sequence
    }
    onRecords(Records)
    iterator = NextShardIterator
  }
}
