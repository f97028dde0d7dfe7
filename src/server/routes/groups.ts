import type { Rooms } from '../../daemon/index.js'
import { type Group, lagRecords } from '../../groups/index.js'
import { MillraceError } from '../../runtime/index.js'
import { ok, type Route } from './route.js'

const shape = '{name, stream, lag: records at most, positions: [{shard, next, ended}]}'

export const groupRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'groups',
    summary: 'All groups; those of pipelines and bridges are called `pipeline:NAME` and `bridge:NAME`.',
    answer: '{groups: [group]}',
    run: ({ daemon: { rooms } }) => ok({ groups: rooms.groups.list().map((group) => shownGroup(rooms, group)) }),
  },
  {
    method: 'GET',
    path: 'groups/{name}',
    summary: 'One group.',
    answer: `group: ${shape}`,
    errors: ['NOT_FOUND'],
    run: ({ daemon: { rooms }, names }) => {
      const group = rooms.groups.group(names[0] as string)
      if (!group) throw new MillraceError('NOT_FOUND', `There is no group named ${names[0]}.`)
      return ok(shownGroup(rooms, group))
    },
  },
]

function shownGroup({ log }: Rooms, group: Group): object {
  return {
    name: group.name,
    stream: log.stream(group.stream)?.name,
    lag: lagRecords(log, group),
    positions: group.positions(),
  }
}
