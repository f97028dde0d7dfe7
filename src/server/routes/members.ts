import type { ServerResponse } from 'node:http'
import type { Arriving } from '../../balance/index.js'
import type { Effect, LeasedPosition, PollAnswer } from '../../groups/index.js'
import {
  type BodyReader,
  forEachRecord,
  type NewRecord,
  recordHeaderBytes,
  type Sequence,
  type Shape,
  type ShardId,
  type Stream,
} from '../../log/index.js'
import { MillraceError } from '../../runtime/index.js'
import { recordsOf, shownPlacements, shownRecord } from '../records.js'
import {
  type Answer,
  type Call,
  created,
  listOf,
  objectOf,
  ok,
  only,
  plainStream,
  type Route,
  wholeNumberOf,
} from './route.js'

/** What an answer to a poll reads when the member does not say. */
const pollBytes = 1 << 20
const frame = 'application/octet-stream'
/** Streams that one commit of positions may append to. */
const effectsMax = 64

export const memberRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: 'groups/{name}/members',
    summary:
      'Joins a group. The shards that may be read are shared out evenly over its members; a member that gives no sign of life (any of these requests) for `sessionMs` has left.',
    answer: '201 {member, sessionMs, releaseMs}',
    errors: ['NOT_FOUND', 'CONFLICT', 'TOO_BUSY'],
    run: ({ daemon: { rooms, config }, names }) => {
      const { id } = rooms.memberships.members(names[0] as string).join()
      const { sessionMs, releaseMs } = config.groups
      return created({ member: id, sessionMs, releaseMs })
    },
  },
  {
    method: 'POST',
    path: 'groups/{name}/members/{member}/poll',
    summary:
      'What a member holds, and records of the shards whose cursors it sends. Waits while there is neither a record nor a change of its shards since `generation`. A shard in `revoked` is to be committed and released within `releaseMs`; one in neither list is lost.',
    body: `{cursors?: {shard: next sequence number to read}, bytesMax?: bytes of chunks, 0 for none; ${pollBytes} by default, waitMs?, shapes?: how many of the stream's shapes it knows, generation?: that of the last answer, whose leases the cursors are of; without it, and when it is an older one, the answer only says what the member holds}`,
    answer: `the poll frame of docs/formats.md (\`${frame}\`), or with \`accept: application/json\` {generation, assigned: [{shard, lease, next}], revoked: [shard], pages: [{shard, next, ended, records}]}`,
    errors: ['NOT_FOUND', 'FENCED', 'TRIMMED', 'LOG_DAMAGED'],
    run: poll,
  },
  {
    method: 'POST',
    path: 'groups/{name}/members/{member}/positions',
    summary:
      'Commits positions, and with them in the same commit the records that they caused. All of it or nothing. The records pass the limiters of their shards, as any append (`TOO_BUSY`: send it again). A lease that is not the newest gives FENCED. Positions only go forward, and a request that moves none changes nothing, so one whose answer was lost can be sent again.',
    body: '{positions: at least one [{shard, lease, next, ended?}], append?: [{stream, records: [{key, value or bytes: base64, time?}]}]}',
    answer: '{moved, commit?, placed: for each of `append` [{shard, firstSequence, count}]}',
    errors: ['NOT_FOUND', 'FENCED', 'CONFLICT', 'EFFECT_TOO_LARGE', 'TOO_BUSY', 'STORAGE_FULL', 'STORE_FAILED'],
    run: commitPositions,
  },
  {
    method: 'POST',
    path: 'groups/{name}/members/{member}/release',
    summary: 'Gives shards back. Their last positions are committed before.',
    body: '{shards: [shard]}',
    answer: '{released: [shard]}',
    errors: ['NOT_FOUND', 'FENCED'],
    run: async ({ daemon: { rooms, config }, names, json }) => {
      const body = await json()
      only(body, ['shards'])
      const shards = listOf(body.shards, 'shards', config.groups.cursorsMax).map(shardOf)
      rooms.memberships.members(names[0] as string).release(names[1] as string, shards)
      return ok({ released: shards })
    },
  },
  {
    method: 'DELETE',
    path: 'groups/{name}/members/{member}',
    summary: 'Leaves a group; the shards go to the others at once.',
    answer: '{left: member}',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: ({ daemon: { rooms }, names }) => {
      rooms.memberships.members(names[0] as string).leave(names[1] as string)
      return ok({ left: names[1] })
    },
  },
]

const shardOf = (value: unknown): ShardId => wholeNumberOf(value, 'A shard') as ShardId

async function poll(call: Call): Promise<Answer | undefined> {
  const { daemon, names, request, response } = call
  const { groups, http } = daemon.config
  const body = await call.json()
  only(body, ['cursors', 'bytesMax', 'waitMs', 'generation', 'shapes'])
  const cursors = cursorsOf(body.cursors ?? {}, groups.cursorsMax)
  const optional = (name: string, value: unknown) => (value === undefined ? undefined : wholeNumberOf(value, name))
  const over = new AbortController()
  const end = () => over.abort()
  response.once('close', end)
  call.stopping.addEventListener('abort', end)
  if (call.stopping.aborted) end()
  try {
    const members = daemon.rooms.memberships.members(names[0] as string)
    const answer = await members.poll(names[1] as string, {
      cursors,
      bytesMax: optional('bytesMax', body.bytesMax) ?? pollBytes,
      waitMs: Math.min(optional('waitMs', body.waitMs) ?? 0, http.pollMsMax),
      generation: optional('generation', body.generation),
      signal: over.signal,
    })
    const { shapes } = daemon.rooms.log
    if (request.headers.accept === 'application/json')
      return ok(shownPoll(answer, cursors, shapes.reader(members.stream)))
    const known = optional('shapes', body.shapes) ?? 0
    sendFrame(response, answer, { from: known, list: shapes.of(members.stream).slice(known) })
    return undefined
  } finally {
    response.off('close', end)
    call.stopping.removeEventListener('abort', end)
  }
}

function cursorsOf(value: unknown, cursorsMax: number): ReadonlyMap<ShardId, Sequence> {
  const entries =
    typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined
  if (!entries) throw new MillraceError('BAD_REQUEST', 'cursors is an object of sequence numbers by shard.')
  if (entries.length > cursorsMax)
    throw new MillraceError('BAD_REQUEST', `cursors has ${entries.length} entries; there may be ${cursorsMax}.`, {
      details: { limit: 'groups.cursorsMax' },
    })
  return new Map(
    entries.map(([shard, next]) => [shardOf(Number(shard)), wholeNumberOf(next, `cursors.${shard}`) as Sequence]),
  )
}

function shownPoll(answer: PollAnswer, cursors: ReadonlyMap<ShardId, Sequence>, bodies: BodyReader): object {
  const { generation, assigned, revoked } = answer
  const pages = answer.pages.map(({ shard, chunks, next, ended, release }) => {
    const records: object[] = []
    for (const chunk of chunks) {
      forEachRecord(chunk, cursors.get(shard) as Sequence, (record) => {
        records.push(shownRecord(record, shard, bodies))
        return true
      })
    }
    release?.()
    return { shard, next, ended, records }
  })
  answer.release()
  return { generation, assigned, revoked, pages }
}

/** Shapes of the stream from the first on that the member does not know. */
interface NewShapes {
  readonly from: number
  readonly list: readonly Shape[]
}

/** u32 length of the head, the head as JSON, the chunks as they lie: nothing of a record is touched. */
function sendFrame(response: ServerResponse, answer: PollAnswer, { from, list }: NewShapes): void {
  const { generation, assigned, revoked, bytes, release } = answer
  const pages = answer.pages.map(({ shard, chunks, next, ended }) => ({ shard, next, ended, chunks: chunks.length }))
  const shapes = list.length > 0 ? { shapes: { from, list: list.map(({ fields }) => fields) } } : {}
  const head = Buffer.from(`....${JSON.stringify({ generation, assigned, revoked, pages, ...shapes })}`)
  head.writeUInt32LE(head.length - 4, 0)
  if (response.destroyed) return release()
  // The chunks are the cache's own; they count as held until the kernel has them.
  response.once('close', release)
  // Of a connection that broke, the system may not be through with them.
  response.once('finish', () => {
    for (const page of answer.pages) page.release?.()
  })
  response.writeHead(200, { 'content-type': frame, 'content-length': head.length + bytes })
  response.cork()
  response.write(head)
  for (const { chunks } of answer.pages) for (const chunk of chunks) response.write(chunk)
  response.uncork()
  response.end()
}

interface Append {
  readonly stream: Stream
  readonly records: readonly NewRecord[]
}

/** Records as the limiters of their shards want to know them: with the bytes that they take in a batch. */
function* arrivingOf(records: readonly NewRecord[]): Generator<Arriving> {
  for (const { hash, key, body } of records)
    yield { hi: hash.hi, lo: hash.lo, bytes: recordHeaderBytes + key.length + body.length }
}

async function commitPositions({ daemon: { rooms, config }, names, json }: Call): Promise<Answer> {
  const body = await json()
  only(body, ['positions', 'append'])
  const positions = listOf(body.positions, 'positions', config.groups.cursorsMax).map(positionOf)
  const now = Date.now()
  const appends = listOf(body.append ?? [], 'append', effectsMax).map((value): Append => {
    const { stream, records } = objectOf(value, 'An entry of append', ['stream', 'records'])
    const list = listOf(records, 'records', Number.POSITIVE_INFINITY)
    return { stream: plainStream(rooms, String(stream)), records: recordsOf(list, now) }
  })
  const members = rooms.memberships.members(names[0] as string)
  await Promise.all(appends.map(({ stream, records }) => rooms.balancer.admit(stream, () => arrivingOf(records))))
  const effects = appends.map(({ stream, records }): Effect => ({ stream: stream.id, records }))
  const { moved, commit, placed } = await members.commitPositions(names[1] as string, positions, effects)
  return ok({ moved, commit, placed: placed.map(shownPlacements) })
}

function positionOf(value: unknown): LeasedPosition {
  const position = objectOf(value, 'A position', ['shard', 'lease', 'next', 'ended'])
  const { ended = false } = position
  if (typeof ended !== 'boolean') throw new MillraceError('BAD_REQUEST', 'ended is true or false.')
  return {
    shard: shardOf(position.shard),
    lease: wholeNumberOf(position.lease, 'lease'),
    next: wholeNumberOf(position.next, 'next') as Sequence,
    ended,
  }
}
