import { MillraceError } from '../../runtime/index.js'
import { type Answer, type Call, created, ok, only, type Route, wholeNumberOf } from './route.js'

const shape =
  '{name, source, sources, state: "starting", "running", "retrying", "pausing", "paused", "failed", "finished", "sourceDeleted" or "stopped", group, groups, attempts, createdAt, revision, bounded?: {from, until, passed, all: sequence numbers}, shadow?: {of, isWhole, held: [{sink, records}], behind?: {records, seconds}}, takeOver?: {tables: [{from, into, items}]}, recordsPerSecond, steps: [{kind, name?, rowsIn}], barrier: {inFlight, committed, secondsLast}, tasks, watermark?, error?: {code, message, stack?, step?, sequence?, shard?, at}, outboxes?: [{sink, records, bytes, isFull, breaker: "closed", "open" or "halfOpen", delivered, attempts, failures, deadLetters, error?}], onError: "park" or "stop", parked: {records, keys, isFull}, plan: {version, name, onError?, nodes: [{kind, inputs, ...}]}}'

const inspectedShape =
  '{at, inputs: [{source, node, group, lagRecords, lagSeconds, shards?: [{shard, watermark?, isIdle}], moreShards?}], stages: [{stage, kind: "source" or "keyed", label, watermark?, isIdle?}], graph: [{node, kind, label, detail, inputs: [node], stages: [stage], guarantee?, rowsIn, rowsPerSecond, failures, parked}], heldBy?: {source, shard, hasTime: whether it has given a record}, stateBytes, timers: {count, isMore}}'

const stateShape = '{step, operator, cells: [{name: text, number or null, value}], more}'

export const pipelineRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: 'pipelines',
    summary: 'All pipelines.',
    answer: '{pipelines: [pipeline]}',
    run: ({ daemon }) => ok({ pipelines: daemon.rooms.pipelines.list() }),
  },
  {
    method: 'POST',
    path: 'pipelines',
    summary:
      'Runs the pipeline that a bundled module exports. Where one of its name is there, the module takes its place: state of steps with the same names goes on, nothing is lost or repeated. The same module again is no change. With `shadow` it runs beside that one as NAME.shadow, with a state and targets of its own.',
    body: '{bundle: the text of one ES module without imports, as `millrace pipelines deploy` makes it; start?: "oldest" (default) or "newest", where sources begin that the pipeline did not read before; shadow?: true; from?, fromTime?: of a shadow, the sequence number or commit time where it begins (the oldest by default)}',
    answer: '201 pipeline',
    errors: ['MODULE_INVALID', 'PIPELINE_INVALID', 'ALREADY_EXISTS', 'CONFLICT', 'NOT_FOUND', 'SINK_FILE_TAKEN'],
    run: async (call) => {
      const body = await call.json()
      return created(await call.daemon.rooms.pipelines.deploy(deployOf(body)))
    },
  },
  {
    method: 'POST',
    path: 'pipeline-runs',
    summary:
      'Runs a pipeline over a part of its sources to its end, as one named NAME.run with a state of its own. When its state is `finished` everything is committed; it then stays until it is deleted or run again. The same again while it runs is no change.',
    body: '{bundle: a module as for POST pipelines, or pipeline: the name of one whose module is taken; from?, fromTime?: the first sequence number or commit time (the oldest by default); until?, untilTime?: the first one that is read no more (what is there now by default)}',
    answer: '201 pipeline',
    errors: ['MODULE_INVALID', 'PIPELINE_INVALID', 'CONFLICT', 'NOT_FOUND', 'SINK_FILE_TAKEN'],
    run: async (call) => created(await call.daemon.rooms.pipelines.run(runOf(await call.json()))),
  },
  {
    method: 'GET',
    path: 'pipelines/{name}',
    summary:
      'One pipeline, with its graph, what was counted at each node, and how far its sources and stages are. Rates are per second over the last ten, counts since the daemon began; of each source at most 100 shards are listed, those that hold event time back first; timers are counted up to 1000.',
    answer: `pipeline, and ${inspectedShape}; pipeline: ${shape}`,
    errors: ['NOT_FOUND'],
    run: async ({ daemon, names }) => ok(await daemon.rooms.pipelines.inspect(names[0] as string)),
  },
  {
    method: 'POST',
    path: 'pipelines/{name}/pause',
    summary:
      'Commits what is under way with a last barrier and has the pipeline stand still, also over restarts. Nothing happens where it does already.',
    answer: 'pipeline',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => ok(await daemon.rooms.pipelines.pause(names[0] as string)),
  },
  {
    method: 'POST',
    path: 'pipelines/{name}/resume',
    summary: 'Has a paused pipeline go on where it stood, and a failed one try again.',
    answer: 'pipeline',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => ok(await daemon.rooms.pipelines.resume(names[0] as string)),
  },
  {
    method: 'POST',
    path: 'pipelines/{name}/swap',
    summary:
      'Puts the shadow NAME.shadow in the place of a pipeline: both stop at the same record, one commit changes module, state, positions and timers, then the tables take the items of the shadow and the targets of the shadow go.',
    body: '{force?: true: where they stand, however far apart; items?: "replace" or "merge", whether items that the shadow does not have go from the tables}',
    answer: 'pipeline',
    errors: ['NOT_FOUND', 'CONFLICT', 'PIPELINE_INVALID', 'ALREADY_EXISTS'],
    run: async ({ daemon, names, json }) =>
      ok(await daemon.rooms.pipelines.swap(names[0] as string, swapOf(await json()))),
  },
  {
    method: 'GET',
    path: 'pipelines/{name}/state/{key}',
    summary: 'What the steps of a pipeline have committed for a key.',
    answer: `{key, steps: [state]}; a key that is JSON stands for that value, too; state: ${stateShape}`,
    errors: ['NOT_FOUND'],
    run: ({ daemon, names: [name, key] }) => stateOf(daemon, name as string, key as string),
  },
  {
    method: 'GET',
    path: 'pipelines/{name}/state/{step}/{key}',
    summary: 'What one step of a pipeline has committed for a key.',
    answer: '{key, steps: [state]}',
    errors: ['NOT_FOUND'],
    run: ({ daemon, names: [name, step, key] }) => stateOf(daemon, name as string, key as string, step),
  },
  {
    method: 'DELETE',
    path: 'pipelines/{name}',
    summary:
      'Stops a pipeline and forgets its state and positions; what it wrote stays, and only the targets of a shadow go with it.',
    answer: '{deleted: name}',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => {
      await daemon.rooms.pipelines.delete(names[0] as string)
      return ok({ deleted: names[0] })
    },
  },
]

type Pipelines = Call['daemon']['rooms']['pipelines']

function deployOf(body: Record<string, unknown>): Parameters<Pipelines['deploy']>[0] {
  only(body, ['bundle', 'start', 'shadow', 'from', 'fromTime'])
  const { bundle, shadow } = body
  if (typeof bundle !== 'string') throw new MillraceError('BAD_REQUEST', 'bundle is the text of the bundled module.')
  const isShadow = flagOf(shadow, 'shadow')
  const [start, from] = [startOf(body.start), boundOf(body, 'from')]
  if (from && !isShadow)
    throw new MillraceError('BAD_REQUEST', 'Only a shadow begins at a sequence number or time: give shadow: true.')
  if (from && start) throw new MillraceError('BAD_REQUEST', 'Give either start or from.')
  const place = from ?? start
  return { bundle, isShadow, ...(place ? { start: place } : {}) }
}

function swapOf(body: Record<string, unknown>): Parameters<Pipelines['swap']>[1] {
  only(body, ['force', 'items'])
  const { items } = body
  if (items !== undefined && items !== 'replace' && items !== 'merge')
    throw new MillraceError('BAD_REQUEST', 'items is replace or merge.')
  return { isForced: flagOf(body.force, 'force'), ...(items ? { items } : {}) }
}

function flagOf(value: unknown, what: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false
  throw new MillraceError('BAD_REQUEST', `${what} is true or false.`)
}

type RunRequest = Parameters<Pipelines['run']>[0]

function runOf(body: Record<string, unknown>): RunRequest {
  only(body, ['bundle', 'pipeline', 'from', 'fromTime', 'until', 'untilTime'])
  const { bundle, pipeline } = body
  if ((typeof bundle === 'string') === (typeof pipeline === 'string'))
    throw new MillraceError('BAD_REQUEST', 'Give either bundle, the text of a bundled module, or pipeline, a name.')
  const module = typeof bundle === 'string' ? { bundle } : { pipeline: String(pipeline) }
  const [from, until] = [boundOf(body, 'from'), boundOf(body, 'until')]
  return { module, ...(from ? { from } : {}), ...(until ? { until } : {}) }
}

function boundOf(body: Record<string, unknown>, name: 'from' | 'until'): RunRequest['from'] {
  const [sequence, time] = [body[name], body[`${name}Time`]]
  if (sequence !== undefined && time !== undefined)
    throw new MillraceError('BAD_REQUEST', `Give either ${name} or ${name}Time.`)
  if (sequence !== undefined) return { sequence: wholeNumberOf(sequence, name) }
  return time === undefined ? undefined : { timeMs: wholeNumberOf(time, `${name}Time`) }
}

function startOf(value: unknown): 'oldest' | 'newest' | undefined {
  if (value === undefined || value === 'oldest' || value === 'newest') return value
  throw new MillraceError('BAD_REQUEST', 'start is oldest or newest.')
}

async function stateOf({ rooms }: Call['daemon'], name: string, key: string, step?: string): Promise<Answer> {
  return ok({ key, steps: await rooms.pipelines.state(name, key, step) })
}
