import { MillraceError } from '../../runtime/index.js'
import { ok, type Route } from './route.js'

const shape =
  '{name, status, keys, billing, stream?: view type of its AWS stream, indexes: [{name, kind: "global" or "local", keys, projection, state: "active" or "filling"}], ttl?: attribute, counted?: {items, bytes, at: milliseconds since 1970}, arn}'

export const tableRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'tables',
    summary: 'All tables. They are made and written over the AWS path.',
    answer: '{tables: [table]}',
    run: ({ daemon }) => ok({ tables: daemon.rooms.tables.list() }),
  },
  {
    method: 'GET',
    path: 'tables/{name}',
    summary: 'One table.',
    answer: `table: ${shape}`,
    errors: ['NOT_FOUND'],
    run: ({ daemon, names }) => {
      const table = daemon.rooms.tables.list().find((each) => each.name === names[0])
      if (!table) throw new MillraceError('NOT_FOUND', `There is no table named ${names[0]}.`)
      return ok(table)
    },
  },
]
