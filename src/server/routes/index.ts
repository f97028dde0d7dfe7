import { MillraceError } from '../../runtime/index.js'
import type { Bodies } from '../body.js'
import { parse } from '../records.js'
import { sendJson } from '../respond.js'
import { backupRoutes } from './backup.js'
import { balanceRoutes } from './balance.js'
import { bridgeRoutes } from './bridges.js'
import { exportRoutes } from './export.js'
import { functionLogRoutes } from './function-logs.js'
import { functionRoutes } from './functions.js'
import { groupRoutes } from './groups.js'
import { mappingRoutes } from './mappings.js'
import { memberRoutes } from './members.js'
import { metricRoutes } from './metrics.js'
import { parkedRoutes } from './parked.js'
import { pipelineRoutes } from './pipelines.js'
import { producerRoutes } from './producers.js'
import { recordRoutes } from './records.js'
import { replicaRoutes } from './replicas.js'
import type { Call, Route } from './route.js'
import { searchRoutes } from './search.js'
import { shardRoutes } from './shards.js'
import { statusRoutes } from './status.js'
import { streamRoutes } from './streams.js'
import { tableRoutes } from './tables.js'

export type { Route } from './route.js'

/** Everything below /v1. docs/reference/http.md is made from this list. */
export const routes: readonly Route[] = [
  ...statusRoutes,
  ...metricRoutes,
  ...tableRoutes,
  ...replicaRoutes,
  ...streamRoutes,
  ...recordRoutes,
  ...producerRoutes,
  ...exportRoutes,
  ...shardRoutes,
  ...balanceRoutes,
  ...groupRoutes,
  ...memberRoutes,
  ...pipelineRoutes,
  ...parkedRoutes,
  ...bridgeRoutes,
  ...functionRoutes,
  ...mappingRoutes,
  ...functionLogRoutes,
  ...searchRoutes,
  ...backupRoutes,
]

interface Match {
  readonly route: Route
  readonly names: readonly string[]
}

interface Pattern {
  readonly route: Route
  readonly parts: readonly string[]
}

/** By number of parts and the first one, which is a name in every route. */
const patterns = new Map<string, Pattern[]>()
for (const route of routes) {
  const parts = route.path.split('/')
  const place = placeOf(parts)
  patterns.set(place, [...(patterns.get(place) ?? []), { route, parts }])
}

function placeOf(parts: readonly string[]): string {
  return `${parts.length} ${parts[0]}`
}

/** Finds the route of a path below /v1/. Throws NOT_FOUND, or BAD_REQUEST for a method that the path does not have. */
export function routeOf(path: string, method: string | undefined): Match {
  const parts = path.split('/').map(decode)
  const matching = (patterns.get(placeOf(parts)) ?? []).filter((pattern) =>
    pattern.parts.every((part, i) => (part.startsWith('{') ? parts[i] !== '' : part === parts[i])),
  )
  const wanted = method === 'HEAD' ? 'GET' : method
  const match = matching.find(({ route }) => route.method === wanted)
  if (match) return { route: match.route, names: parts.filter((_, i) => (match.parts[i] as string).startsWith('{')) }
  if (matching.length === 0)
    throw new MillraceError('NOT_FOUND', `There is nothing at /v1/${path}.`, {
      remedy: 'docs/reference/http.md lists the paths.',
    })
  const methods = matching.map(({ route }) => route.method).join(' and ')
  throw new MillraceError('BAD_REQUEST', `/v1/${path} takes ${methods}, not ${method}.`)
}

/** What every route of a request is given, whatever its path. */
type Surroundings = Omit<Call, 'names' | 'body' | 'json'>

/** A call with its body; what is the same for every path is taken over member by member, since a spread costs much more. */
class RunningCall implements Call {
  readonly daemon: Call['daemon']
  readonly metrics: Call['metrics']
  readonly request: Call['request']
  readonly response: Call['response']
  readonly query: Call['query']
  readonly stopping: Call['stopping']
  readonly exports: Call['exports']
  readonly names: readonly string[]
  readonly #bodies: Bodies
  #held: Buffer | undefined

  constructor(surroundings: Surroundings, names: readonly string[], bodies: Bodies) {
    this.daemon = surroundings.daemon
    this.metrics = surroundings.metrics
    this.request = surroundings.request
    this.response = surroundings.response
    this.query = surroundings.query
    this.stopping = surroundings.stopping
    this.exports = surroundings.exports
    this.names = names
    this.#bodies = bodies
  }

  // Routes take these two out of their call.
  readonly body = async (): Promise<Buffer> => {
    this.#held = await this.#bodies.read(this.request)
    return this.#held
  }

  readonly json = async (): Promise<Record<string, unknown>> => objectOf(await this.body())

  end(): void {
    if (this.#held) this.#bodies.release(this.#held)
  }
}

/** Runs a route and answers with what it gives. */
export async function runRoute({ route, names }: Match, surroundings: Surroundings, bodies: Bodies): Promise<void> {
  const call = new RunningCall(surroundings, names, bodies)
  try {
    const answer = await route.run(call)
    if (answer) sendJson(call.response, answer.status, answer.value)
  } finally {
    call.end()
  }
}

/** No body at all is an empty object: everything in it may be left out. */
function objectOf(body: Buffer): Record<string, unknown> {
  const value = parse(body.toString() || '{}', 'The body')
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MillraceError('BAD_REQUEST', 'The body is not a JSON object.')
  return value as Record<string, unknown>
}

function decode(part: string): string {
  if (!part.includes('%')) return part
  try {
    return decodeURIComponent(part)
  } catch {
    throw new MillraceError('BAD_REQUEST', `The path has a badly encoded part: ${part}.`)
  }
}
