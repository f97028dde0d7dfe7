import type { ListRequest } from '../../functions/index.js'
import type { LambdaCall, LambdaOperation } from './call.js'
import { invalid } from './fault.js'
import { pageSize } from './page-size.js'

const mappings = '/2015-03-31/event-source-mappings'

/** AWS gives a hundred at most, whatever is asked for. */
const pageMax = 100

/** Event source mappings, as the AWS SDKs make, change and list them. */
export const mappingOperations: readonly LambdaOperation[] = [
  {
    name: 'CreateEventSourceMapping',
    method: 'POST',
    path: mappings,
    run: async ({ rooms, body }) => ({ status: 202, body: await rooms.mappings.create(inputOf(body)) }),
  },
  {
    name: 'ListEventSourceMappings',
    method: 'GET',
    path: mappings,
    run: ({ rooms, query }) => ({ status: 200, body: rooms.mappings.list(listRequest(query)) }),
  },
  {
    name: 'GetEventSourceMapping',
    method: 'GET',
    path: `${mappings}/{id}`,
    run: ({ rooms, names }) => ({ status: 200, body: rooms.mappings.describe(rooms.mappings.get(names[0] as string)) }),
  },
  {
    name: 'UpdateEventSourceMapping',
    method: 'PUT',
    path: `${mappings}/{id}`,
    run: async ({ rooms, names, body }) => ({
      status: 202,
      body: await rooms.mappings.update(names[0] as string, inputOf(body)),
    }),
  },
  {
    name: 'DeleteEventSourceMapping',
    method: 'DELETE',
    path: `${mappings}/{id}`,
    run: async ({ rooms, names }) => ({ status: 202, body: await rooms.mappings.delete(names[0] as string) }),
  },
]

function listRequest(query: LambdaCall['query']): ListRequest {
  const named = (name: string): string | undefined => query.get(name) ?? undefined
  const [functionName, eventSourceArn, marker] = [named('FunctionName'), named('EventSourceArn'), named('Marker')]
  return {
    maxItems: pageSize(query, pageMax),
    ...(functionName === undefined ? {} : { functionName }),
    ...(eventSourceArn === undefined ? {} : { eventSourceArn }),
    ...(marker === undefined ? {} : { marker }),
  }
}

function inputOf(body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body.toString() || '{}')
  } catch {
    // Said below.
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('Could not parse request body into json')
  return value as Record<string, unknown>
}
