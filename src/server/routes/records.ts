import type { Arriving } from '../../balance/index.js'
import type { Placement } from '../../commit/index.js'
import {
  type BodyReader,
  batchHeaderBytes,
  forEachRecord,
  type LogPage,
  producerOf,
  recordHeaderBytes,
  type Sequence,
  type StreamId,
} from '../../log/index.js'
import type { ProducerAnswer } from '../../producers/index.js'
import { MillraceError } from '../../runtime/index.js'
import { batchOfBody, shownPlacements, shownRecord } from '../records.js'
import { sendBytes } from '../respond.js'
import { type Answer, type Call, numberOf, ok, plainStream, type Route, streamNamed } from './route.js'
import { shardOf } from './shards.js'

/** What one answer reads of the log. */
const readBytesMax = 1 << 20
const recordsMax = 10_000
const recordsAtOnce = 1000
const ndjson = 'application/x-ndjson'

export const recordRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: 'streams/{name}/records',
    summary: 'Appends records to a plain stream: all of them or none. The answer means that they are durable.',
    body: `{records: [{key: string, value: any JSON, or bytes: base64; time?: milliseconds since 1970}]}; with \`content-type: ${ndjson}\` one record a line; with \`application/octet-stream\` one binary batch, behind the shapes of its rows that the stream does not have, as docs/formats.md draws them`,
    answer:
      '{count, commit, placed: [{shard, firstSequence, count}]}; for a batch with a producer also `alreadyStored`: true when it was stored before (one from before the last one gives only {alreadyStored, last})',
    errors: [
      'NOT_FOUND',
      'CONFLICT',
      'FORMAT_INVALID',
      'SHAPE_UNKNOWN',
      'SHAPES_FULL',
      'EFFECT_TOO_LARGE',
      'TOO_BUSY',
      'STORAGE_FULL',
      'STORE_FAILED',
      'PRODUCER_UNKNOWN',
      'PRODUCER_FENCED',
      'PRODUCER_MISUSE',
      'OUT_OF_ORDER',
    ],
    run: appendRecords,
  },
  {
    method: 'GET',
    path: 'streams/{name}/records',
    summary: `Durable records of one shard, in order. With \`accept: ${ndjson}\` one a line, and \`next\` and \`ended\` in the headers \`x-millrace-next\` and \`x-millrace-ended\`. Read a child only after its parents have \`ended\`.`,
    query: {
      shard: 'its id (required)',
      from: 'a sequence number; the oldest that is kept by default',
      limit: `most records, ${recordsMax} at most; ${recordsAtOnce} by default`,
      wait: 'milliseconds to wait for the first record; `http.pollMsMax` at most',
    },
    answer:
      '{records, next: where to go on, ended: true when the shard is sealed and read}; a record is {sequence, shard, time, commitTime, key, value} (`bytes`, base64, in place of `value` when it is no JSON), or for a table {sequence, shard, time, commitTime, type: "insert", "modify" or "remove", keys, new?, old?}',
    errors: ['NOT_FOUND', 'TRIMMED', 'LOG_DAMAGED'],
    run: readRecords,
  },
]

const bodyTypes = ['application/json', ndjson, 'application/octet-stream']

async function appendRecords(call: Call): Promise<Answer> {
  const stream = plainStream(call.daemon.rooms, call.names[0])
  const type = (call.request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim() as string
  if (!bodyTypes.includes(type))
    throw new MillraceError('BAD_REQUEST', `The content type ${type} is not known; there are ${bodyTypes.join(', ')}.`)
  const { shapes } = call.daemon.rooms.log
  const received = batchOfBody(type, await call.body(), Date.now(), (shape) => shapes.has(stream.id, shape))
  const { batch, count } = received
  const refusal = shapes.refusal(stream.id, received.shapes)
  if (refusal) throw refusal
  const inCommit = shapes.inCommit(stream.id, received.shapes)
  // A stream without a limit, which is every stream at first, pays nothing here.
  await call.daemon.rooms.balancer.admit(stream, () => arrivingOf(batch))
  if (type === 'application/octet-stream' && producerOf(batch))
    return ok(shownAppend(await call.daemon.rooms.producers.append(stream, batch, count, inCommit)))
  const placed: Placement[] = []
  const { commit } = await call.daemon.rooms.store.commit.submit({
    records: [{ stream: stream.id, batch, placed }],
    ...inCommit,
  })
  if (placed.length === 0) throw new MillraceError('NOT_FOUND', `The stream ${stream.name} was deleted.`)
  return ok({ count, commit, placed: shownPlacements(placed) })
}

function shownAppend(answer: ProducerAnswer): object {
  return 'placed' in answer ? { ...answer, placed: shownPlacements(answer.placed) } : answer
}

async function readRecords(call: Call): Promise<Answer | undefined> {
  const { daemon, query, request, response } = call
  const stream = streamNamed(daemon.rooms, call.names[0])
  const id = query.get('shard')
  if (!id)
    throw new MillraceError('BAD_REQUEST', 'The parameter shard is missing.', {
      remedy: `Name one of those that GET /v1/streams/${stream.name}/shards lists: ?shard=ID.`,
    })
  const shard = shardOf(daemon.rooms, stream, id)
  const from = (query.has('from') ? numberOf(query, 'from') : shard.lowWatermark) as Sequence
  const limit = query.has('limit') ? Math.min(numberOf(query, 'limit'), recordsMax) : recordsAtOnce
  const waitMs = query.has('wait') ? Math.min(numberOf(query, 'wait'), daemon.config.http.pollMsMax) : 0
  const read = () => daemon.rooms.log.read(shard.id, from, { bytesMax: readBytesMax })
  const page = waitMs === 0 ? await read() : await pageWithin(call, stream.id, waitMs, read)
  const { records, next, ended } = shownPage(page, shard.id, daemon.rooms.log.shapes.reader(stream.id), from, limit)
  if (request.headers.accept !== ndjson) return ok({ records, next, ended })
  response.setHeader('x-millrace-next', String(next))
  response.setHeader('x-millrace-ended', String(ended))
  sendBytes(response, 200, ndjson, Buffer.from(records.map((record) => `${JSON.stringify(record)}\n`).join('')))
  return undefined
}

/** The records of a batch that was checked, as the limiters of their shards want to know them. */
function* arrivingOf(batch: Buffer): Generator<Arriving> {
  const count = batch.readUInt32LE(12)
  // The few bytes between records do not matter to a limit.
  const bytes = batch.length / count
  for (let at = batchHeaderBytes; at < batchHeaderBytes + count * recordHeaderBytes; at += recordHeaderBytes)
    yield { hi: batch.readUInt32LE(at), lo: batch.readUInt32LE(at + 4), bytes }
}

function shownPage(page: LogPage, shard: number, bodies: BodyReader, from: Sequence, limit: number): LogPageShown {
  const records: object[] = []
  let { next, ended } = page
  for (const chunk of page.chunks) {
    forEachRecord(chunk, from, (record) => {
      if (records.length >= limit) {
        next = Math.min(next, record.sequence) as Sequence
        ended = false
        return false
      }
      records.push(shownRecord(record, shard, bodies))
      return true
    })
    if (records.length >= limit && next !== page.next) break
  }
  // Everything of a record that is shown was copied.
  page.release?.()
  return { records, next, ended }
}

interface LogPageShown {
  readonly records: readonly object[]
  readonly next: Sequence
  readonly ended: boolean
}

/** Reads again after each change of the stream until there is something, or `waitMs` are over, or nobody waits. */
async function pageWithin(
  call: Call,
  stream: StreamId,
  waitMs: number,
  read: () => Promise<LogPage>,
): Promise<LogPage> {
  const wait = new Wait(call, stream, waitMs)
  try {
    for (;;) {
      // Listening begins before the read, so that a commit that returns meanwhile is not slept through.
      const changed = wait.forChange()
      const page = await read()
      if (page.chunks.length > 0 || page.ended || wait.isOver) return page
      await changed
    }
  } finally {
    wait.end()
  }
}

/** The wait of one long poll. It ends with its time, its client, or the daemon. */
class Wait {
  isOver = false
  readonly #call: Call
  readonly #timer: NodeJS.Timeout
  readonly #unlisten: () => void
  #wake: () => void = () => {}
  readonly #over = () => {
    this.isOver = true
    this.#wake()
  }

  constructor(call: Call, stream: StreamId, waitMs: number) {
    this.#call = call
    this.#timer = setTimeout(this.#over, waitMs)
    this.#unlisten = call.daemon.rooms.log.onChange(stream, () => this.#wake())
    call.response.once('close', this.#over)
    call.stopping.addEventListener('abort', this.#over)
    if (call.stopping.aborted) this.isOver = true
  }

  forChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#unlisten()
    this.#call.response.off('close', this.#over)
    this.#call.stopping.removeEventListener('abort', this.#over)
  }
}
