import { MillraceError } from '../../runtime/index.js'
import { type Answer, type Call, created, ok, only, type Route, wholeNumberOf } from './route.js'

const shape =
  '{name, source, sources, state: "starting", "running", "retrying", "pausing", "paused", "failed", "finished", "sourceDeleted" or "stopped", group, groups, attempts, createdAt, revision, bounded?: {from, until, passed, all: sequence numbers}, recordsPerSecond, steps: [{kind, name?, rowsIn}], barrier: {inFlight, committed, secondsLast}, tasks, watermark?, error?: {code, message, stack?, step?, sequence?, shard?, at}, outboxes?: [{sink, records, bytes, isFull, breaker: "closed", "open" or "halfOpen", delivered, attempts, failures, deadLetters, error?}], onError: "park" or "stop", parked: {records, keys, isFull}, plan: {version, name, onError?, nodes: [{kind, inputs, ...}]}}'

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
      'Runs the pipeline that a bundled module exports. Where one of its name is there, the module takes its place: state of steps with the same names goes on, nothing is lost or repeated. The same module again is no change.',
    body: '{bundle: the text of one ES module without imports, as `millrace pipelines deploy` makes it; start?: "oldest" (default) or "newest", where sources begin that the pipeline did not read before}',
    answer: '201 pipeline',
    errors: ['MODULE_INVALID', 'PIPELINE_INVALID', 'ALREADY_EXISTS', 'CONFLICT', 'NOT_FOUND', 'SINK_FILE_TAKEN'],
    run: async (call) => {
      const body = await call.json()
      only(body, ['bundle', 'start'])
      if (typeof body.bundle !== 'string')
        throw new MillraceError('BAD_REQUEST', 'bundle is the text of the bundled module.')
      const start = startOf(body.start)
      const { pipelines } = call.daemon.rooms
      return created(await pipelines.deploy({ bundle: body.bundle, ...(start ? { start } : {}) }))
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
    summary: 'Stops a pipeline and forgets its state and positions; what it wrote stays.',
    answer: '{deleted: name}',
    errors: ['NOT_FOUND', 'CONFLICT'],
    run: async ({ daemon, names }) => {
      await daemon.rooms.pipelines.delete(names[0] as string)
      return ok({ deleted: names[0] })
    },
  },
]

type RunRequest = Parameters<Call['daemon']['rooms']['pipelines']['run']>[0]

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
