import type { Rooms } from '../../daemon/index.js'
import { isInternal, type Stream } from '../../log/index.js'
import { parsePolicy } from '../../retention/index.js'
import { MillraceError } from '../../runtime/index.js'
import { policyPatchOf } from './balance.js'
import { type Answer, type Call, created, ok, only, type Route, streamNamed } from './route.js'

/** Not `.` and `..`: no URL can have them as a part of its path. */
const streamNamePattern = /^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,255}$/

const shape =
  '{name, id, kind: "plain" or "table", createdAt, closedAt?, shards, open, bytes, oldest: the oldest position there is, policy?, retention?: what it has instead of the configuration}'

export const streamRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'streams',
    summary: 'All streams: plain ones, and the change logs of tables (`table:NAME`).',
    query: { internal: 'true: also those that the daemon keeps for itself, such as outboxes of pipelines' },
    answer: '{streams: [stream]}',
    run: ({ daemon: { rooms }, query }) => {
      const isShown = query.get('internal') === 'true' ? () => true : (stream: Stream) => !isInternal(stream)
      return ok({
        streams: rooms.log
          .streams()
          .filter(isShown)
          .map((stream) => shownStream(rooms, stream)),
      })
    },
  },
  {
    method: 'POST',
    path: 'streams',
    summary: 'Makes a plain stream.',
    body: '{name: letters, digits, dot, underscore and dash, 1 to 255; shards?: 1 by default}',
    answer: '201 stream',
    errors: ['ALREADY_EXISTS', 'TOO_BUSY'],
    run: createStream,
  },
  {
    method: 'GET',
    path: 'streams/{name}',
    summary: 'One stream.',
    answer: `stream: ${shape}`,
    errors: ['NOT_FOUND'],
    run: ({ daemon: { rooms }, names }) => ok(shownStream(rooms, streamNamed(rooms, names[0]))),
  },
  {
    method: 'PATCH',
    path: 'streams/{name}',
    summary: 'Changes what a stream has instead of the configuration; in force at once.',
    body: '{policy?: any part of the section `split` of the configuration; null takes a value, or all of them, back; retention?: "forever", {ms?, bytes?}, or null for what the configuration says}',
    answer: '{stream, policy: in force}',
    errors: ['NOT_FOUND'],
    run: changeStream,
  },
  {
    method: 'DELETE',
    path: 'streams/{name}',
    summary:
      'Closes a plain stream for ever; refused while a group reads it. Its records go after `retention.deletedMs`.',
    answer: '{deleted: name}',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: deleteStream,
  },
]

async function createStream(call: Call): Promise<Answer> {
  const body = await call.json()
  only(body, ['name', 'shards'])
  const { name, shards = 1 } = body
  if (typeof name !== 'string' || !streamNamePattern.test(name)) {
    throw new MillraceError('BAD_REQUEST', 'name has letters, digits, dot, underscore and dash, 1 to 255 of them.')
  }
  if (typeof shards !== 'number') throw new MillraceError('BAD_REQUEST', 'shards is a number.')
  const { rooms } = call.daemon
  const images = { old: false, new: false }
  return created(shownStream(rooms, await rooms.log.createStream({ name, kind: 'plain', shards, images })))
}

async function changeStream({ daemon: { rooms }, names, json }: Call): Promise<Answer> {
  const stream = streamNamed(rooms, names[0])
  const body = await json()
  only(body, ['policy', 'retention'])
  const retention = body.retention === undefined ? undefined : { own: parsePolicy(body.retention) }
  if (body.policy !== undefined) await rooms.balancer.setPolicy(stream, policyPatchOf(body.policy))
  if (retention)
    await rooms.log.alterStream(stream.id, ({ retention: _, ...others }) =>
      retention.own === undefined ? others : { ...others, retention: retention.own },
    )
  const changed = streamNamed(rooms, stream.name)
  return ok({ stream: shownStream(rooms, changed), policy: rooms.balancer.policy(changed) })
}

async function deleteStream({ daemon: { rooms }, names }: Call): Promise<Answer> {
  const stream = streamNamed(rooms, names[0])
  if (stream.kind === 'table')
    throw new MillraceError('CONFLICT', `${stream.name} is the change log of a table; it goes with what needs it.`)
  const user = rooms.groups.list().find((group) => group.stream === stream.id)
  if (user)
    throw new MillraceError('CONFLICT', `The group ${user.name} reads the stream ${stream.name}.`, {
      remedy: user.kind === 'client' ? 'Delete the group first.' : `Delete the ${user.kind} first.`,
    })
  await rooms.log.closeStream(stream.id)
  return ok({ deleted: stream.name })
}

function shownStream({ log }: Rooms, stream: Stream): object {
  const shards = log.shards(stream.id)
  return {
    name: stream.name,
    id: stream.id,
    kind: stream.kind,
    createdAt: stream.createdAt,
    closedAt: stream.closedAt,
    shards: shards.length,
    open: shards.filter((shard) => shard.state === 'open').length,
    policy: stream.policy,
    bytes: log.bytesOf(stream.id),
    oldest: log.oldest(stream.id),
    retention: stream.retention,
  }
}
