import { MillraceError } from '../../runtime/index.js'
import { type Answer, type Call, created, ok, only, type Route } from './route.js'

const shape =
  '{name, source, sources, state: "starting", "running", "retrying", "failed", "sourceDeleted" or "stopped", group, attempts, createdAt, steps: [{kind, name?, rowsIn}], barrier: {inFlight, committed, secondsLast}, tasks, watermark?, error?: {code, message, stack?, step?, sequence?, shard?, at}, parked: {records, keys, isFull}, plan: {version, name, nodes: [{kind, inputs, ...}]}}'

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
    summary: 'Runs the pipeline that a bundled module exports. The same module again is no change.',
    body: '{bundle: the text of one ES module without imports, as `millrace pipelines deploy` makes it; start?: "oldest" (default) or "newest"}',
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
    method: 'GET',
    path: 'pipelines/{name}',
    summary: 'One pipeline.',
    answer: `pipeline: ${shape}`,
    errors: ['NOT_FOUND'],
    run: ({ daemon, names }) => ok(daemon.rooms.pipelines.show(names[0] as string)),
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

function startOf(value: unknown): 'oldest' | 'newest' | undefined {
  if (value === undefined || value === 'oldest' || value === 'newest') return value
  throw new MillraceError('BAD_REQUEST', 'start is oldest or newest.')
}

async function stateOf({ rooms }: Call['daemon'], name: string, key: string, step?: string): Promise<Answer> {
  return ok({ key, steps: await rooms.pipelines.state(name, key, step) })
}
