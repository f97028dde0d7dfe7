import type { Rooms } from '../../daemon/index.js'
import {
  asNativeError,
  changeOf,
  type Mapping,
  type NativeMapping,
  nativeMembers,
  nativeView,
  requestOf,
} from '../../functions/index.js'
import { MillraceError } from '../../runtime/index.js'
import { created, ok, only, type Route } from './route.js'

const settings =
  'startingPosition: "TRIM_HORIZON" or "LATEST", enabled, batchSize, maximumBatchingWindowInSeconds, parallelizationFactor, maximumRetryAttempts, maximumRecordAgeInSeconds, bisectBatchOnFunctionError, functionResponseTypes: ["ReportBatchItemFailures"], tumblingWindowInSeconds, filterCriteria?: {filters: [{pattern}]}, onFailure?: stream:NAME, table:NAME, kafka:CLUSTER/TOPIC, file:PATH or a URL'

const shape = `{id, function, table, eventSourceArn, state: "Creating", "Enabling", "Enabled", "Disabling", "Disabled", "Updating" or "Deleting", stateTransitionReason, lastProcessingResult, lastError?: {code, message, remedy}, isConfigured, ${settings}, createdAt, lastModified, statistics: {records, batches, failures, throttles, discarded, filtered, lost, destinationFailures, lagRecords, lagSeconds}}`

export const mappingRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'mappings',
    summary: 'Event source mappings: what calls functions with the changes of tables.',
    query: { function: 'only those of this function' },
    answer: '{mappings: [mapping]}',
    run: async ({ daemon, query }) => {
      const name = query.get('function')
      const { mappings } = daemon.rooms
      const found = mappings.all().filter(({ row }) => name === null || row.functionName === name)
      return ok({ mappings: await Promise.all(found.map(shown)) })
    },
  },
  {
    method: 'POST',
    path: 'mappings',
    summary: 'Has a function called with the changes of a table from now on.',
    body: `{function, table or eventSourceArn, ${settings}}; what is left out is as by default, startingPosition TRIM_HORIZON`,
    answer: '201 mapping',
    errors: ['ALREADY_EXISTS', 'NOT_FOUND', 'TOO_BUSY'],
    run: async ({ daemon, json }) => {
      const { table, ...body } = await json()
      only(body, nativeMembers)
      const { mappings } = daemon.rooms
      const eventSourceArn = table === undefined ? body.eventSourceArn : streamOf(daemon.rooms, table)
      const input = requestOf({ startingPosition: 'TRIM_HORIZON', ...body, eventSourceArn } as NativeMapping)
      const { UUID } = await native(mappings.create(input))
      return created(await shown(mappings.get(UUID)))
    },
  },
  {
    method: 'GET',
    path: 'mappings/{id}',
    summary: 'One mapping.',
    answer: `mapping: ${shape}`,
    errors: ['NOT_FOUND'],
    run: async ({ daemon, names }) => ok(await shown(found(daemon.rooms, names[0]))),
  },
  {
    method: 'PATCH',
    path: 'mappings/{id}',
    summary:
      'Changes a mapping; what is not named stays, null takes filterCriteria or onFailure away. It goes on where it stands.',
    body: `{function?, ${settings}}, each of which may be left out, without startingPosition`,
    answer: 'mapping',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names, json }) => {
      const body = await json()
      only(
        body,
        nativeMembers.filter((name) => name !== 'eventSourceArn' && name !== 'startingPosition'),
      )
      const mapping = found(daemon.rooms, names[0])
      await native(daemon.rooms.mappings.update(mapping.id, changeOf(body)))
      return ok(await shown(mapping))
    },
  },
  {
    method: 'DELETE',
    path: 'mappings/{id}',
    summary: 'Ends a mapping and forgets its position, when nothing of it is under way any more.',
    answer: '{deleted: id}',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => {
      const mapping = found(daemon.rooms, names[0])
      await native(daemon.rooms.mappings.delete(mapping.id))
      return ok({ deleted: mapping.id })
    },
  },
]

const shown = async (mapping: Mapping): Promise<object> => nativeView(mapping, await mapping.measured())

async function native<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work
  } catch (thrown) {
    throw asNativeError(thrown)
  }
}

/** Throws NOT_FOUND. */
function found({ mappings }: Rooms, id: string | undefined): Mapping {
  try {
    return mappings.get(id as string)
  } catch (thrown) {
    throw asNativeError(thrown)
  }
}

/** The stream of a table that is on. Throws NOT_FOUND. */
function streamOf({ tables }: Rooms, table: unknown): string {
  const stream = typeof table === 'string' ? tables.latestStream(table) : undefined
  if (!stream)
    throw new MillraceError('NOT_FOUND', `There is no table ${String(table)} whose AWS stream is on.`, {
      remedy: 'Switch it on: UpdateTable with StreamSpecification {StreamEnabled: true, StreamViewType}.',
    })
  return stream.arn
}
