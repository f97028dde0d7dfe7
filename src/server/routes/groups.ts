import type { Rooms } from '../../daemon/index.js'
import { type DurableGroup, isTrimmed, lagRecords } from '../../groups/index.js'
import type { Sequence, StartPosition } from '../../log/index.js'
import { MillraceError } from '../../runtime/index.js'
import { type Answer, type Call, created, objectOf, ok, only, type Route, streamNamed, wholeNumberOf } from './route.js'

/** No colon: `pipeline:NAME` and `bridge:NAME` are taken. */
export const groupNamePattern = /^[A-Za-z0-9_.-]{1,255}$/

const shape =
  '{name, stream, kind: "pipeline", "bridge", "mapping" or "client", hold, state: "active", or "trimmed" when records that it had not read are gone and it must seek, oldest?: the oldest position there is then, lag: records at most; 1 while due timers of what a pipeline has read fire, positions: [{shard, next, ended, lease}], members?: [{member, shards}], of a client group}'
export const startShape = '"oldest", "newest", {sequence} or {timeMs}'

export const groupRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'groups',
    summary: 'All groups; those of pipelines and bridges are called `pipeline:NAME` and `bridge:NAME`.',
    answer: '{groups: [group]}',
    run: ({ daemon: { rooms } }) => ok({ groups: rooms.groups.list().map((group) => shownGroup(rooms, group)) }),
  },
  {
    method: 'POST',
    path: 'groups',
    summary: 'Makes a group that programs join.',
    body: `{name: letters, digits, dot, underscore and dash, 1 to 255; stream: a plain one or \`table:NAME\`; start?: ${startShape}; "oldest" by default; hold?: true keeps records that it has not passed from being trimmed, within the bound of retention}`,
    answer: '201 group',
    errors: ['ALREADY_EXISTS', 'NOT_FOUND', 'TOO_BUSY'],
    run: createGroup,
  },
  {
    method: 'GET',
    path: 'groups/{name}',
    summary: 'One group.',
    answer: `group: ${shape}`,
    errors: ['NOT_FOUND'],
    run: ({ daemon: { rooms }, names }) => ok(shownGroup(rooms, groupNamed(rooms, names[0]))),
  },
  {
    method: 'DELETE',
    path: 'groups/{name}',
    summary: 'Forgets a group and its positions. The polls of its members end with NOT_FOUND.',
    answer: '{deleted: name}',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon: { rooms }, names }) => {
      await rooms.memberships.delete(names[0] as string)
      return ok({ deleted: names[0] })
    },
  },
  {
    method: 'POST',
    path: 'groups/{name}/seek',
    summary:
      'Moves a group. Every lease is raised in that commit: what members were about to commit no longer counts, and each shard is given out again at its new position.',
    body: `{to: ${startShape}}`,
    answer: 'group',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon: { rooms }, names, json }) => {
      const body = await json()
      only(body, ['to'])
      await rooms.memberships.seek(names[0] as string, startOf(body.to, 'to'))
      return ok(shownGroup(rooms, groupNamed(rooms, names[0])))
    },
  },
]

async function createGroup({ daemon: { rooms }, json }: Call): Promise<Answer> {
  const body = await json()
  only(body, ['name', 'stream', 'start', 'hold'])
  const { name, stream, start = 'oldest', hold = false } = body
  if (typeof name !== 'string' || !groupNamePattern.test(name))
    throw new MillraceError('BAD_REQUEST', 'name has letters, digits, dot, underscore and dash, 1 to 255 of them.')
  if (typeof stream !== 'string') throw new MillraceError('BAD_REQUEST', 'stream is the name of a stream.')
  if (typeof hold !== 'boolean') throw new MillraceError('BAD_REQUEST', 'hold is true or false.')
  const { id } = streamNamed(rooms, stream)
  return created(shownGroup(rooms, await rooms.groups.create(name, id, startOf(start, 'start'), { hold })))
}

export function startOf(value: unknown, what: string): StartPosition {
  if (value === 'oldest' || value === 'newest') return value
  if (typeof value === 'string' || value === undefined)
    throw new MillraceError('BAD_REQUEST', `${what} is ${startShape}.`)
  const at = objectOf(value, what, ['sequence', 'timeMs'])
  if (at.sequence !== undefined && at.timeMs === undefined)
    return { sequence: wholeNumberOf(at.sequence, `${what}.sequence`) as Sequence }
  if (at.timeMs !== undefined && at.sequence === undefined)
    return { timeMs: wholeNumberOf(at.timeMs, `${what}.timeMs`) }
  throw new MillraceError('BAD_REQUEST', `${what} is ${startShape}.`)
}

/** Throws NOT_FOUND. */
function groupNamed({ groups }: Rooms, name: string | undefined): DurableGroup {
  const group = groups.group(name as string)
  if (!group) throw new MillraceError('NOT_FOUND', `There is no group named ${name}.`)
  return group
}

function shownGroup({ log, memberships }: Rooms, group: DurableGroup): object {
  const isLost = isTrimmed(log, group)
  return {
    name: group.name,
    stream: log.stream(group.stream)?.name,
    kind: group.kind,
    hold: group.hold,
    state: isLost ? 'trimmed' : 'active',
    ...(isLost ? { oldest: log.oldest(group.stream) } : {}),
    lag: lagRecords(log, group),
    positions: group.positions(),
    ...(group.kind === 'client' ? { members: memberships.membersOf(group.name)?.view() ?? [] } : {}),
  }
}
