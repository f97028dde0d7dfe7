import type { Command } from 'commander'
import type { PlanDescription } from '../operators/plan/index.js'
import { Client, globals } from './client.js'
import { printList, printOne } from './output.js'
import { registerPlanCommands } from './pipeline-plans.js'

interface Pipeline {
  readonly name: string
  readonly source: string
  readonly state: string
  readonly steps: readonly { readonly kind: string; readonly name?: string; readonly rowsIn: number }[]
  readonly plan: PlanDescription
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
async function forPeople({ steps, barrier, error, plan, parked, ...rest }: Pipeline): Promise<object> {
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
    topology: topologyText(plan),
    barriers: `${barrier.committed} committed${barrier.inFlight ? ', one in flight' : ''}`,
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

export function registerPipelines(program: Command): void {
  const pipelines = program.command('pipelines').description('pipelines: your own operators over a stream')
  pipelines
    .command('deploy <file>')
    .description('bundle a TypeScript or JavaScript module and run the pipeline that it exports')
    .option('--start <where>', 'oldest or newest')
    .action(async (file: string, options: { start?: string }, command: Command) => {
      const { bundleModule } = await import('../workers/index.js')
      const bundle = await bundleModule(file)
      const { json } = globals(command)
      const view = await new Client(globals(command)).call<Pipeline>('POST', 'pipelines', { bundle, ...options })
      printOne(json ? view : await forPeople(view), json)
    })
  registerPlanCommands(pipelines)
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
  pipelines
    .command('state <name> <key>')
    .description('what the steps of a pipeline have committed for a key; JSON stands for its value, too')
    .option('--step <step>', 'one step only')
    .action(async (name: string, key: string, { step }: { step?: string }, command: Command) => {
      const { json } = globals(command)
      const path = [name, 'state', ...(step === undefined ? [] : [step]), key].map(encodeURIComponent).join('/')
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
    .description('stop a pipeline and forget its state and positions')
    .action(async (name: string, _options: object, command: Command) => {
      printOne(
        await new Client(globals(command)).call('DELETE', `pipelines/${encodeURIComponent(name)}`),
        globals(command).json,
      )
    })
}
