import type { Rooms } from '../../daemon/index.js'
import { type Shard, type ShardId, type Stream, splitCutsMax } from '../../log/index.js'
import { type Hash64, hashOfText, hashText, MillraceError } from '../../runtime/index.js'
import { type Answer, type Call, ok, only, type Route, streamNamed } from './route.js'

const shape =
  '{id, stream, low, high: key hashes, 16 hex digits; parents, children: [id], state: "open" or "sealed", firstSequence, lastSequence?, newestSequence, lowWatermark, createdAt, sealedAt?, images: {old, new}}'

export const shardRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'streams/{name}/shards',
    summary: 'The shards of a stream, parents before their children.',
    answer: `{shards: [shard]}; shard: ${shape}`,
    errors: ['NOT_FOUND'],
    run: ({ daemon: { rooms }, names }) => {
      const stream = streamNamed(rooms, names[0])
      return ok({ shards: rooms.log.shards(stream.id).map((shard) => shownShard(rooms, shard)) })
    },
  },
  {
    method: 'POST',
    path: 'streams/{name}/shards/{id}/split',
    summary: 'Seals an open shard and opens its children.',
    body: `{at?: the first key hash of the upper child, 16 hex digits, or a list of 1 to ${splitCutsMax}, ascending; the middle by default}`,
    answer: '{parent: shard, children: [shard]}',
    errors: ['NOT_FOUND', 'CONFLICT', 'SHARD_UNSPLITTABLE', 'TOO_BUSY'],
    run: splitShard,
  },
  {
    method: 'POST',
    path: 'streams/{name}/shards/merge',
    summary:
      'Seals two open neighbours and opens one child of both. Refused for the change log of a table while an AWS stream over it can be read.',
    body: '{left, right: shard ids, the lower range first}',
    answer: '{parents: [shard, shard], child: shard}',
    errors: ['NOT_FOUND', 'CONFLICT', 'TOO_BUSY'],
    run: mergeShards,
  },
]

/** A shard of this stream, by what a request calls it. Throws NOT_FOUND. */
export function shardOf({ log }: Rooms, stream: Stream, id: string): Shard {
  const shard = log.shards(stream.id).find((each) => String(each.id) === id)
  if (!shard) {
    throw new MillraceError('NOT_FOUND', `${stream.name} has no shard ${id}.`, {
      remedy: `\`millrace shards ${stream.name}\` or GET /v1/streams/${stream.name}/shards lists them.`,
    })
  }
  return shard
}

async function splitShard({ daemon: { rooms }, names, json }: Call): Promise<Answer> {
  const stream = streamNamed(rooms, names[0])
  const { id } = shardOf(rooms, stream, names[1] as string)
  const body = await json()
  only(body, ['at'])
  const at = body.at === undefined ? undefined : Array.isArray(body.at) ? body.at.map(hashOf) : [hashOf(body.at)]
  const children = await rooms.balancer.split(stream, id, at)
  return ok({
    parent: shownShard(rooms, rooms.log.shard(id as ShardId) as Shard),
    children: children.map((shard) => shownShard(rooms, shard)),
  })
}

async function mergeShards({ daemon: { rooms }, names, json }: Call): Promise<Answer> {
  const stream = streamNamed(rooms, names[0])
  const body = await json()
  only(body, ['left', 'right'])
  const [left, right] = [body.left, body.right].map((id) => shardOf(rooms, stream, String(id)).id) as [ShardId, ShardId]
  const child = await rooms.balancer.merge(stream, left, right)
  return ok({
    parents: [left, right].map((id) => shownShard(rooms, rooms.log.shard(id) as Shard)),
    child: shownShard(rooms, child),
  })
}

/** A key hash on the wire: 16 hex digits. Throws BAD_REQUEST. */
function hashOf(value: unknown): Hash64 {
  const hash = typeof value === 'string' ? hashOfText(value) : undefined
  if (!hash) throw new MillraceError('BAD_REQUEST', 'at is a key hash of 16 hex digits, or a list of them.')
  return hash
}

function shownShard({ log }: Rooms, shard: Shard): object {
  const { low, high } = shard
  return { ...shard, low: hashText(low), high: hashText(high), newestSequence: log.lastSequence(shard.id) }
}
