import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { type ErrorCode, errorKinds, MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { printDone } from './output.js'
import { dateMs } from './places.js'
import { Progress } from './progress.js'

/** Between two looks at how far a run is. */
const everyMs = 200

interface Run {
  readonly name: string
  readonly state: string
  readonly attempts: number
  readonly steps: readonly { readonly kind: string; readonly rowsIn: number }[]
  readonly bounded: {
    readonly from: number
    readonly until: number
    readonly passed: number
    readonly all: number
    /** Bytes of its source files. */
    readonly files?: { readonly read: number; readonly all: number }
  }
  readonly barrier: { readonly committed: number }
  readonly error?: { readonly code: string; readonly message: string }
  readonly parked: { readonly records: number }
  readonly outboxes?: readonly { readonly records: number; readonly deadLetters: number }[]
  readonly plan: {
    readonly nodes: readonly {
      readonly sink?: { readonly delivery?: object }
      readonly source?: { readonly kind: string }
    }[]
  }
}

interface RunOptions {
  readonly from?: string
  readonly to?: string
}

/** A pipeline over a part of its sources, to its end. */
export function registerRun(pipelines: Command): void {
  pipelines
    .command('run <module>')
    .description(
      'run a pipeline, of a file or of the name that it is deployed under, over what its sources hold, to its end',
    )
    .option(
      '--from <place>',
      'the first sequence number, or commit time like 2026-01-31T12:00:00Z (default: the oldest)',
    )
    .option('--to <place>', 'the first one that is read no more (default: what is there now)')
    .action(async (module: string, options: RunOptions, command: Command) => {
      const client = new Client(globals(command))
      const body = { ...(await moduleOf(module)), ...placeOf(options.from, 'from'), ...placeOf(options.to, 'until') }
      const begun = await client.call<Run>('POST', 'pipeline-runs', body)
      const run = await ended(client, begun)
      if (run.parked.records > 0) throw parkedOf(run)
      const refused = (run.outboxes ?? []).reduce((sum, { deadLetters }) => sum + deadLetters, 0)
      if (refused === 0) await client.call('DELETE', `pipelines/${encodeURIComponent(run.name)}`)
      const sentence = `${run.name} has read ${whatOf(run)}: all of it is committed.`
      const left = [
        ...(refused === 0 ? [] : [`${refused} results were refused outside: ${run.name} stays with its dead letters.`]),
      ]
      printDone([sentence, ...left].join('\n'), run, globals(command).json)
    })
}

function whatOf({ plan, bounded: { from, until } }: Run): string {
  const sources = plan.nodes.flatMap(({ source }) => source?.kind ?? [])
  const isFile = (kind: string): boolean => kind === 'files'
  const range = `the sequence numbers from ${from} to before ${until}`
  if (!sources.some(isFile)) return range
  return sources.every(isFile) ? 'its files to their ends' : `its files to their ends, and ${range}`
}

async function moduleOf(module: string): Promise<{ bundle: string } | { pipeline: string }> {
  if (!existsSync(module) && !/[\\/]|\.[cm]?[jt]sx?$/.test(module)) return { pipeline: module }
  const { bundleModule } = await import('../workers/index.js')
  return { bundle: await bundleModule(module) }
}

/** A whole number is a sequence number, everything else a time. Throws USAGE. */
export function placeOf(text: string | undefined, name: 'from' | 'until'): Record<string, number> {
  if (text === undefined) return {}
  if (/^\d+$/.test(text)) return { [name]: Number(text) }
  const time = dateMs(text)
  if (time === undefined)
    throw new MillraceError('USAGE', `${text} is neither a sequence number nor a time.`, {
      remedy: 'Give a time like 2026-01-31T12:00:00Z.',
    })
  return { [`${name}Time`]: time }
}

/** Waits for the end. Throws what the run failed with; it then stays, to be looked into. */
async function ended(client: Client, begun: Run): Promise<Run> {
  const { all } = begun.bounded
  const isOfFiles = all === 0 && begun.plan.nodes.some(({ source }) => source?.kind === 'files')
  const progress = isOfFiles
    ? new Progress('reading', undefined, 'bytes')
    : new Progress('running', all, 'sequence numbers')
  try {
    for (let run = begun; ; ) {
      if (run.state === 'finished' && isDelivered(run)) return run
      if (run.state !== 'finished' && run.state !== 'starting' && run.state !== 'running' && run.state !== 'retrying')
        throw failureOf(run)
      const { passed, files } = run.bounded
      const done = isOfFiles ? (files?.read ?? 0) : passed
      progress.update(done, done)
      await sleep(everyMs)
      run = await client.call<Run>('GET', `pipelines/${encodeURIComponent(run.name)}`)
    }
  } finally {
    progress.stop()
  }
}

/** Whether its sinks outside have taken all of it: what is not delivered when a run is deleted is lost. */
function isDelivered({ plan, outboxes = [] }: Run): boolean {
  const sinks = plan.nodes.filter(({ sink }) => sink?.delivery).length
  // They are not open yet when the daemon has just begun.
  return outboxes.length === sinks && outboxes.every(({ records }) => records === 0)
}

function parkedOf({ name, parked, error }: Run): MillraceError {
  const why = error ? ` The last one: ${error.message}` : ''
  return new MillraceError(
    'PIPELINE_FAILED',
    `${name} has read all of it, but ${parked.records} records are parked.${why}`,
    {
      remedy: `Look at them: millrace parked list --pipeline ${name}. Then delete it: millrace pipelines delete ${name}`,
    },
  )
}

function failureOf({ name, state, error }: Run): MillraceError {
  const code = error && error.code in errorKinds ? (error.code as ErrorCode) : 'PIPELINE_FAILED'
  return new MillraceError(code, `The run ${name} is ${state}${error ? `: ${error.message}` : '.'}`, {
    remedy: `Look into it with: millrace pipelines show ${name}. Then resume it, or delete it and run again.`,
  })
}
