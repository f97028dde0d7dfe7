import { MappingFault, type Mappings } from '../../functions/index.js'

/** Below this path of the Lambda API are event source mappings. */
export const mappingsPath = '/2015-03-31/event-source-mappings'

export interface MappingCall {
  readonly method: string
  /** Without its query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Undefined: there is none. */
  readonly body: Buffer
}

export interface MappingAnswer {
  readonly status: number
  readonly value: object
}

const listMax = 10_000
/** AWS gives a hundred at most, whatever is asked for. */
const pageMax = 100

/** What the name of the operation is in metrics. */
export function mappingOperation({ method, path }: Pick<MappingCall, 'method' | 'path'>): string | undefined {
  const isOne = idOf(path) !== undefined
  switch (method) {
    case 'POST':
      return isOne ? undefined : 'CreateEventSourceMapping'
    case 'GET':
      return isOne ? 'GetEventSourceMapping' : 'ListEventSourceMappings'
    case 'PUT':
      return isOne ? 'UpdateEventSourceMapping' : undefined
    case 'DELETE':
      return isOne ? 'DeleteEventSourceMapping' : undefined
    default:
      return undefined
  }
}

/** Runs one operation on event source mappings. Throws MappingFault with AWS's name, status and words. */
export async function callMappings(mappings: Mappings, call: MappingCall): Promise<MappingAnswer> {
  const id = idOf(call.path)
  switch (mappingOperation(call)) {
    case 'CreateEventSourceMapping':
      return { status: 202, value: await mappings.create(inputOf(call.body)) }
    case 'ListEventSourceMappings':
      return { status: 200, value: mappings.list(listRequest(call.query)) }
    case 'GetEventSourceMapping':
      return { status: 200, value: mappings.describe(mappings.get(id as string)) }
    case 'UpdateEventSourceMapping':
      return { status: 202, value: await mappings.update(id as string, inputOf(call.body)) }
    case 'DeleteEventSourceMapping':
      return { status: 202, value: await mappings.delete(id as string) }
    default:
      throw new MappingFault('ResourceNotFoundException', `There is no operation ${call.method} ${call.path}.`)
  }
}

function idOf(path: string): string | undefined {
  const rest = path.slice(mappingsPath.length).replace(/^\/|\/$/g, '')
  return rest === '' ? undefined : decodeURIComponent(rest)
}

function listRequest(query: URLSearchParams) {
  const text = query.get('MaxItems')
  const maxItems = text === null ? pageMax : Number(text)
  if (!Number.isInteger(maxItems) || maxItems < 1 || maxItems > listMax)
    throw new MappingFault(
      'ValidationException',
      `1 validation error detected: Value '${text}' at 'maxItems' failed to satisfy constraint: Member must have value ` +
        (maxItems < 1 ? 'greater than or equal to 1' : `less than or equal to ${listMax}`),
    )
  const named = (name: string): string | undefined => query.get(name) ?? undefined
  const [functionName, eventSourceArn, marker] = [named('FunctionName'), named('EventSourceArn'), named('Marker')]
  return {
    maxItems: Math.min(maxItems, pageMax),
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
    value = undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MappingFault('ValidationException', 'Could not parse request body into json')
  return value as Record<string, unknown>
}
