import type { Rooms } from '../../daemon/index.js'
import type { Shard, ShardId, Stream } from '../../log/index.js'
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
    summary: 'Seals an open shard and opens two children.',
    body: '{at?: the first key hash of the upper child, 16 hex digits; the middle by default}',
    answer: '{parent: shard, children: [shard, shard]}',
    errors: ['NOT_FOUND', 'CONFLICT', 'SHARD_UNSPLITTABLE', 'TOO_BUSY'],
    run: splitShard,
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

async function splitShard({ daemon: { rooms }, names, json, onSplit }: Call): Promise<Answer> {
  const { id } = shardOf(rooms, streamNamed(rooms, names[0]), names[1] as string)
  const body = await json()
  only(body, ['at'])
  const children = await rooms.log.split(id, body.at === undefined ? undefined : hashOf(body.at))
  onSplit('manual')
  return ok({
    parent: shownShard(rooms, rooms.log.shard(id as ShardId) as Shard),
    children: children.map((shard) => shownShard(rooms, shard)),
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
