import type { Command } from 'commander'
import type { PlanDescription } from '../operators/plan/index.js'
import { MillraceError } from '../runtime/index.js'
import { Client, globals } from './client.js'
import { printList, printOne } from './output.js'
import { registerPlanCommands } from './pipeline-plans.js'
import { placeOf, registerRun } from './pipeline-runs.js'

interface Pipeline {
  readonly name: string
  readonly source: string
  readonly state: string
  readonly steps: readonly { readonly kind: string; readonly name?: string; readonly rowsIn: number }[]
  readonly plan: PlanDescription
  readonly outboxes?: readonly {
    readonly sink: string
    readonly records: number
    readonly bytes: number
    readonly isFull: boolean
    readonly breaker: string
    readonly delivered: number
    readonly deadLetters: number
    readonly error?: string
  }[]
  readonly shadow?: {
    readonly of: string
    readonly isWhole: boolean
    readonly held: readonly { readonly sink: string; readonly records: number }[]
    readonly behind?: { readonly records: number; readonly seconds: number }
  }
  readonly takeOver?: {
    readonly tables: readonly { readonly from: string; readonly into: string; readonly items: string }[]
  }
  readonly barrier: { readonly inFlight: boolean; readonly committed: number; readonly secondsLast: number }
  readonly parked: { readonly records: number; readonly keys: number; readonly isFull: boolean }
  readonly error?: {
    readonly code: string
    readonly message: string
    readonly stack?: string
    readonly step?: number
    readonly sequence?: number
    readonly shard?: number
    readonly at: number
  }
}

interface ShownState {
  readonly step: string
  readonly operator: string
  readonly cells: readonly { readonly name: string | number | null; readonly value: unknown }[]
}

/** A pipeline for people: its error with place and stack, as one reads it. Steps are counted from 1, as errors do. */
async function forPeople(pipeline: Pipeline): Promise<object> {
  const { steps, barrier, error, plan, outboxes, parked, shadow, takeOver, ...rest } = pipeline
  const { topologyText } = await import('../operators/plan/index.js')
  const named = steps.map(({ kind, name }, i) => `${i + 1} ${kind}${name === undefined ? '' : ` ${name}`}`)
  return {
    ...rest,
    steps: steps.map(({ rowsIn }, i) => `${named[i]} (${rowsIn} rows)`).join(', '),
    ...(parked.records === 0
      ? {}
      : {
          parked: `${parked.records} records of ${parked.keys} keys${parked.isFull ? '; the sources wait (pipelines.parkedMax)' : ''}`,
        }),
    ...(shadow ? { shadow: shadowText(shadow) } : {}),
    ...(takeOver ? { takingOver: takingOverText(takeOver) } : {}),
    topology: topologyText(plan),
    barriers: `${barrier.committed} committed${barrier.inFlight ? ', one in flight' : ''}`,
    ...(outboxes ? { outboxes: outboxes.map(outboxText).join('\n') } : {}),
    ...(error
      ? {
          error: `${error.message} (${error.code})`,
          at: new Date(error.at).toISOString(),
          step: error.step === undefined ? undefined : named[error.step],
          sequence: error.sequence,
          shard: error.shard,
          stack: error.stack,
        }
      : {}),
  }
}

function outboxText({ sink, records, bytes, isFull, breaker, delivered, deadLetters, error }: OutboxOf<Pipeline>) {
  const parts = [
    `${delivered} delivered`,
    `${records} waiting (${bytes} bytes)`,
    isFull ? 'full: the sources wait' : '',
    deadLetters > 0 ? `${deadLetters} dead letters` : '',
    breaker === 'closed' ? '' : `breaker ${breaker === 'open' ? 'open' : 'half open'}`,
    error === undefined ? '' : `last attempt: ${error}`,
  ]
  return `${sink}: ${parts.filter((part) => part !== '').join(', ')}`
}

function takingOverText({ tables }: NonNullable<Pipeline['takeOver']>): string {
  const moves = tables.map(({ from, into, items }) => `${from} → ${into} (${items})`)
  return moves.length > 0 ? moves.join(', ') : 'the streams and files of the shadow are removed'
}

function shadowText({ of, isWhole, held, behind }: NonNullable<Pipeline['shadow']>): string {
  const parts = [
    `of ${of}`,
    behind ? `${behind.records} records and ${behind.seconds.toFixed(1)} s behind it` : '',
    isWhole ? '' : 'began later than the first record',
    ...held.map(({ sink, records }) => `${records} results of ${sink} dropped (they would go outside)`),
  ]
  return parts.filter((part) => part !== '').join(', ')
}

interface DeployOptions {
  readonly start?: string
  readonly shadow?: true
  readonly from?: string
}

function placesOf({ start, shadow, from }: DeployOptions): Record<string, unknown> {
  if (from !== undefined && !shadow)
    throw new MillraceError('USAGE', 'Only a shadow begins at a place of its own.', { remedy: 'Add --shadow.' })
  const isNamed = from === 'oldest' || from === 'newest'
  const place = isNamed ? { start: from } : placeOf(from, 'from')
  return { ...(start === undefined ? {} : { start }), ...(shadow ? { shadow } : {}), ...place }
}

type OutboxOf<View> = View extends { readonly outboxes?: readonly (infer Outbox)[] } ? Outbox : never

export function registerPipelines(program: Command): void {
  const pipelines = program.command('pipelines').description('pipelines: your own operators over a stream')
  pipelines
    .command('deploy <file>')
    .description(
      'bundle a TypeScript or JavaScript module and run the pipeline that it exports, in the place of an older one',
    )
    .option('--start <where>', 'oldest or newest: where sources begin that were not read before')
    .option(
      '--shadow',
      'beside the running one, as NAME.shadow with state and targets of its own, to be swapped with it',
    )
    .option(
      '--from <place>',
      'where a shadow begins: oldest (the default), a sequence number, or a commit time like 2026-01-31T12:00:00Z',
    )
    .action(async (file: string, options: DeployOptions, command: Command) => {
      const { bundleModule } = await import('../workers/index.js')
      const body = { bundle: await bundleModule(file), ...placesOf(options) }
      const { json } = globals(command)
      const view = await new Client(globals(command)).call<Pipeline>('POST', 'pipelines', body)
      printOne(json ? view : await forPeople(view), json)
    })
  registerPlanCommands(pipelines)
  registerRun(pipelines)
  pipelines
    .command('swap <name>')
    .description('put the shadow NAME.shadow in the place of a pipeline, with its state, positions and results')
    .option('--force', 'where they stand, though the shadow is far behind or one of them does not run')
    .option(
      '--items <how>',
      'replace: items that the shadow does not have go from the tables; merge: they stay (default: replace where the shadow has seen everything and nothing else writes to the table)',
    )
    .action(async (name: string, options: { force?: true; items?: string }, command: Command) => {
      const { json } = globals(command)
      const path = `pipelines/${encodeURIComponent(name)}/swap`
      const view = await new Client(globals(command)).call<Pipeline>('POST', path, options)
      printOne(json ? view : await forPeople(view), json)
    })
  pipelines
    .command('list', { isDefault: true })
    .description('all pipelines')
    .action(async (_options: object, command: Command) => {
      const { pipelines: rows } = await new Client(globals(command)).call<{ pipelines: Pipeline[] }>('GET', 'pipelines')
      const shown = rows.map((row) => ({
        pipeline: row.name,
        source: row.source,
        state: row.state,
        error: row.error?.message,
      }))
      printList('pipelines', rows, shown, globals(command).json)
    })
  pipelines
    .command('show <name>')
    .description('one pipeline')
    .action(async (name: string, _options: object, command: Command) => {
      const { json } = globals(command)
      const view = await new Client(globals(command)).call<Pipeline>('GET', `pipelines/${encodeURIComponent(name)}`)
      printOne(json ? view : await forPeople(view), json)
    })
  for (const [verb, description] of [
    ['pause', 'commit what is under way and have a pipeline stand still, also over restarts'],
    ['resume', 'have a paused pipeline go on where it stood, or a failed one try again'],
  ] as const)
    pipelines
      .command(`${verb} <name>`)
      .description(description)
      .action(async (name: string, _options: object, command: Command) => {
        const { json } = globals(command)
        const path = `pipelines/${encodeURIComponent(name)}/${verb}`
        const view = await new Client(globals(command)).call<Pipeline>('POST', path)
        printOne(json ? view : await forPeople(view), json)
      })
  pipelines
    .command('state <name> <key>')
    .description('what the steps of a pipeline have committed for a key; JSON stands for its value, too')
    .option('--step <step>', 'one step only')
    .action(async (name: string, key: string, { step }: { step?: string }, command: Command) => {
      const { json } = globals(command)
      // These are no part of a path, however they are encoded: they are given as JSON.
      const asked = ['', '.', '..'].includes(key) ? JSON.stringify(key) : key
      const path = [name, 'state', ...(step === undefined ? [] : [step]), asked].map(encodeURIComponent).join('/')
      const { steps } = await new Client(globals(command)).call<{ steps: readonly ShownState[] }>(
        'GET',
        `pipelines/${path}`,
      )
      const shown = steps.flatMap((each) =>
        each.cells.map((cell) => ({
          step: each.step,
          operator: each.operator,
          cell: cell.name ?? '',
          value: JSON.stringify(cell.value),
        })),
      )
      printList('state', steps, shown, json)
    })
  pipelines
    .command('delete <name>')
    .description('stop a pipeline and forget its state and positions; a shadow goes with its tables, streams and files')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(
        await new Client(globals(command)).call('DELETE', `pipelines/${encodeURIComponent(name)}`),
        globals(command).json,
      )
    })
}
