import {
  type BodyReader,
  type ExportFailure,
  type ExportShard,
  encodeFrame,
  forEachRecord,
  type Log,
  readChunkHeader,
  type Sequence,
  type Shard,
  type ShardedLog,
  type Stream,
} from '../../log/index.js'
import { asMillraceError, MillraceError } from '../../runtime/index.js'
import { brokenExport, parseResume } from '../broken-export.js'
import type { Output } from '../export-output.js'
import { shownRecord } from '../records.js'
import { type Call, numberOf, type Route, streamNamed } from './route.js'

const pageBytesMax = 4 << 20
const pieceBytesMin = 64 * 1024
const ndjson = 'application/x-ndjson'
const nothing = (): void => {}
const binary = 'application/octet-stream'

export const exportRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'streams/{name}/export',
    summary: `Every durable record of a range, shard after shard, parents before children, in one answer. As it lies in the log (\`accept: ${binary}\`, docs/formats.md draws it) or, with \`accept: ${ndjson}\`, a record a line. An answer that breaks off is not whole; where records go from under it, or cannot be read, it ends with the error: a frame \`{error}\` in place of the end, or a last line \`{"error": {...}}\`, with \`details.resume\` and \`details.until\`.`,
    query: {
      from: 'the first sequence number; the oldest that is kept by default',
      until: 'the sequence number behind the last; by default the next that will be given',
      fromTime: 'in place of `from`: the first commit time, milliseconds since 1970',
      untilTime: 'in place of `until`: the commit time behind the last',
      resume:
        'SHARD:SEQUENCE, as the error of an export that broke off names it: what it has sent is left out; with `until` as it names that',
    },
    answer: 'the records',
    errors: ['NOT_FOUND', 'TRIMMED', 'LOG_DAMAGED', 'TOO_BUSY'],
    run: exportStream,
  },
]

async function exportStream(call: Call): Promise<undefined> {
  const { log } = call.daemon.rooms
  const stream = streamNamed(call.daemon.rooms, call.names[0])
  const { accept = binary } = call.request.headers
  if (accept !== ndjson && accept !== binary && !accept.includes('*/*'))
    throw new MillraceError('BAD_REQUEST', `An export is ${binary} or ${ndjson}, not ${accept}.`)
  await call.exports.run(call.response, call.stopping, async (output) => {
    const asked = await rangesOf(log, stream, call.query)
    if (accept === ndjson) await exportLines(log, log.shapes.reader(stream.id), asked, output)
    else await exportChunks(log, stream, asked, output)
  })
  return undefined
}

interface Asked {
  /** What is asked for of each shard. */
  readonly shards: readonly ExportShard[]
  readonly until: Sequence
}

/** Throws BAD_REQUEST, or TRIMMED when the first that is wanted is no longer kept. */
async function rangesOf(log: Log, stream: Stream, query: URLSearchParams): Promise<Asked> {
  for (const [one, other] of [
    ['from', 'fromTime'],
    ['until', 'untilTime'],
  ] as const)
    if (query.has(one) && query.has(other)) throw new MillraceError('BAD_REQUEST', `Give ${one} or ${other}, not both.`)
  const end = log.nextSequence()
  const bound = async (name: 'from' | 'until', otherwise: Sequence): Promise<Sequence> => {
    if (query.has(name)) return Math.min(numberOf(query, name), end) as Sequence
    const time = `${name}Time`
    return query.has(time) ? log.sequenceAtTime(stream.id, numberOf(query, time)) : otherwise
  }
  const from = await bound('from', 0 as Sequence)
  const until = await bound('until', end)
  const resume = parseResume(query.get('resume') ?? '0:0')
  // By id, so parents come before their children, and a shard that is made meanwhile behind all others.
  const shards = log.shards(stream.id).filter(({ id }) => id >= resume.shard)
  const ranges = shards.map((shard): ExportShard => {
    const { id, parents, lowWatermark } = shard
    const first = id === resume.shard ? (Math.max(from, resume.sequence) as Sequence) : from
    const isNamed = query.has('from') || id === resume.shard
    if (isNamed && Math.max(first, shard.firstSequence) < lowWatermark) throw trimmed(shard, first)
    return {
      id,
      parents,
      from: Math.max(first, lowWatermark) as Sequence,
      until: Math.min(until, (shard.lastSequence ?? end) + 1) as Sequence,
    }
  })
  return { shards: ranges.filter((range) => range.from < range.until), until }
}

const trimmed = (shard: Shard, from: Sequence): MillraceError =>
  new MillraceError(
    'TRIMMED',
    `Shard ${shard.id} begins at sequence number ${shard.lowWatermark}; ${from} is no longer kept.`,
    { details: { shard: shard.id, oldest: shard.lowWatermark } },
  )

async function exportChunks(log: ShardedLog, stream: Stream, { shards, until }: Asked, output: Output): Promise<void> {
  output.begin(binary)
  const shapes = log.shapes.of(stream.id).map(({ fields }) => fields)
  await output.write(encodeFrame({ stream: stream.name, kind: stream.kind, exportedAt: Date.now(), shards, shapes }))
  let chunks = 0
  let bytes = 0
  try {
    for (const shard of shards) {
      await eachPage(log, shard, until, async (page, release) => {
        chunks += page.length
        const pieces = piecesOf(page)
        for (const [i, piece] of pieces.entries()) {
          bytes += piece.length
          await output.write(piece, i === pieces.length - 1 ? release : undefined)
        }
      })
    }
    await output.write(encodeFrame({ chunks, bytes }))
  } catch (error) {
    if (!(error instanceof ReadFailure)) throw error
    await output.write(encodeFrame(error.broken.toJSON() as unknown as ExportFailure))
  }
  output.end()
}

/** Small chunks go together, or each would be a write of its own; large ones go as they are, since a copy costs more. */
function piecesOf(chunks: readonly Buffer[]): readonly Buffer[] {
  const pieces: Buffer[] = []
  let small: Buffer[] = []
  let smallBytes = 0
  const join = (): void => {
    if (small.length > 0) pieces.push(small.length === 1 ? (small[0] as Buffer) : Buffer.concat(small, smallBytes))
    small = []
    smallBytes = 0
  }
  for (const chunk of chunks) {
    if (chunk.length >= pieceBytesMin) {
      join()
      pieces.push(chunk)
      continue
    }
    small.push(chunk)
    smallBytes += chunk.length
    if (smallBytes >= pieceBytesMin) join()
  }
  join()
  return pieces
}

async function exportLines(log: Log, bodies: BodyReader, { shards, until }: Asked, output: Output): Promise<void> {
  output.begin(ndjson)
  try {
    for (const shard of shards) {
      await eachPage(log, shard, until, async (page, release) => {
        for (const chunk of page) {
          const lines: string[] = []
          forEachRecord(chunk, shard.from, (record) => {
            if (record.sequence >= shard.until) return false
            lines.push(`${JSON.stringify(shownRecord(record, shard.id, bodies))}\n`)
            return true
          })
          if (lines.length > 0) await output.write(Buffer.from(lines.join('')))
        }
        release()
      })
    }
  } catch (error) {
    if (!(error instanceof ReadFailure)) throw error
    await output.write(Buffer.from(`${JSON.stringify(error.broken)}\n`))
  }
  output.end()
}

/** The log could not be read on, in the middle of an export. */
class ReadFailure extends Error {
  readonly broken: MillraceError

  constructor(broken: MillraceError) {
    super(broken.message, { cause: broken })
    this.broken = broken
  }
}

/** Takes some chunks, and releases them when it looks at no byte of them any more. */
type TakePage = (chunks: Buffer[], release: () => void) => Promise<void>

/** Chunks that hold records of the range, page after page. Throws ReadFailure, and what `take` throws. */
async function eachPage(log: Log, shard: ExportShard, until: Sequence, take: TakePage): Promise<void> {
  let next = shard.from
  // A page is read while the one before it is being sent.
  let reading = log.read(shard.id, next, { bytesMax: pageBytesMax })
  for (;;) {
    const page = await reading.catch((error: unknown) => {
      throw new ReadFailure(brokenExport(asMillraceError(error), log, shard, next, until))
    })
    const chunks = page.chunks.filter((chunk) => readChunkHeader(chunk).first < shard.until)
    const isLast =
      page.ended || page.chunks.length === 0 || chunks.length < page.chunks.length || page.next >= shard.until
    next = page.next
    if (!isLast) {
      reading = log.read(shard.id, next, { bytesMax: pageBytesMax })
      // Should the sending fail, nobody waits for it.
      reading.catch(() => {})
    }
    if (chunks.length > 0) await take(chunks, page.release ?? nothing)
    if (isLast) return
  }
}
