import type { Rooms } from '../../daemon/index.js'
import { MillraceError } from '../../runtime/index.js'
import { numberOf, ok, only, type Route } from './route.js'

const shape =
  '{pipeline, step, key, number, kind: "row" or "timer", value?, sequence?, time, parkedAt, attempts: 0 for what only waits behind another, error?: {code, message, stack?}, behind: rows of the key that wait behind it}'
const errors = ['NOT_FOUND', 'CONFLICT'] as const

export const parkedRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'parked',
    summary:
      'Records that their steps could not take, the first of each key and step; with `rows` also what waits behind.',
    query: {
      pipeline: 'only of this pipeline',
      step: 'only at this step, by its name',
      key: 'only of this key, as it is shown',
      rows: 'so many rows of each key (1)',
      limit: 'so many keys of each pipeline (100)',
      skip: 'so many keys of each pipeline are left out before (0)',
    },
    answer: `{parked: [${shape}], more: keys that follow those that were listed}`,
    errors: ['NOT_FOUND'],
    run: async ({ daemon, query }) => {
      const filter = {
        step: query.get('step') ?? undefined,
        key: query.get('key') ?? undefined,
        rowsMax: countOf(query, 'rows'),
        limit: countOf(query, 'limit'),
        skip: query.has('skip') ? numberOf(query, 'skip') : 0,
      }
      const { pipelines } = daemon.rooms
      const name = query.get('pipeline') ?? undefined
      if (name === undefined && filter.step !== undefined)
        throw new MillraceError('BAD_REQUEST', 'A step is one of a pipeline: name that too.')
      const chosen = name === undefined ? [...pipelines.all()] : [pipelines.get(name)]
      const lists = await Promise.all(chosen.map((pipeline) => pipeline.parked.list(filter)))
      return ok({
        parked: lists.flatMap(({ records }) => records),
        more: lists.reduce((sum, { more }) => sum + more, 0),
      })
    },
  },
  {
    method: 'POST',
    path: 'parked/retry',
    summary:
      'Tries parked records again, those of each key in their order. What fails again stays, with what is behind it.',
    body: '{pipeline, step?, key?}',
    answer: '{retried: how many records are tried}',
    errors,
    run: async (call) => {
      const body = await call.json()
      only(body, ['pipeline', 'step', 'key'])
      const { pipeline, filter } = chosenBy(body, call.daemon.rooms.pipelines)
      return ok({ retried: await pipeline.parked.retry(filter) })
    },
  },
  {
    method: 'POST',
    path: 'parked/drop',
    summary:
      'Gives up the first parked record of each key, and tries those that waited behind it; with `all` gives up all of them.',
    body: '{pipeline, step?, key?, all?: true}',
    answer: '{dropped: how many records were given up}',
    errors,
    run: async (call) => {
      const body = await call.json()
      only(body, ['pipeline', 'step', 'key', 'all'])
      if (body.all !== undefined && typeof body.all !== 'boolean')
        throw new MillraceError('BAD_REQUEST', 'all is true or false.')
      const { pipeline, filter } = chosenBy(body, call.daemon.rooms.pipelines)
      return ok({ dropped: await pipeline.parked.drop(filter, body.all === true) })
    },
  },
]

function chosenBy(body: Readonly<Record<string, unknown>>, pipelines: Rooms['pipelines']) {
  const { pipeline, step, key } = body
  if (typeof pipeline !== 'string') throw new MillraceError('BAD_REQUEST', 'pipeline is the name of a pipeline.')
  return { pipeline: pipelines.get(pipeline), filter: { step: textOf(step, 'step'), key: textOf(key, 'key') } }
}

function textOf(value: unknown, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw new MillraceError('BAD_REQUEST', `${name} is a text.`)
}

function countOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const count = Number(text)
  if (Number.isSafeInteger(count) && count > 0 && count <= countMax) return count
  throw new MillraceError('BAD_REQUEST', `${name} is a whole number from 1 to ${countMax}.`)
}

const countMax = 10_000
