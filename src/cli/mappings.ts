import { type Command, InvalidArgumentError } from 'commander'
import { Client, globals } from './client.js'
import { printDone, printList, printOne } from './output.js'
import { wholeNumber } from './whole-number.js'

interface MappingView {
  readonly id: string
  readonly function: string
  readonly table: string
  readonly state: string
  readonly lastProcessingResult: string
  readonly statistics: { readonly records: number; readonly lagRecords: number; readonly lagSeconds: number }
}

interface TriggerOptions {
  readonly table?: string
  readonly start?: string
  readonly batchSize?: number
  readonly window?: number
  readonly parallel?: number
  readonly retries?: number
  readonly maxAge?: number
  readonly bisect?: boolean
  readonly reportFailures?: boolean
  readonly tumbling?: number
  readonly filter?: readonly string[]
  readonly onFailure?: string
  readonly disabled?: true
}

/** What calls functions: below the noun `functions`. */
export function registerMappings(functions: Command): void {
  withSettings(
    functions
      .command('trigger <name>')
      .description('have a function called with the changes of a table')
      .requiredOption('--table <name>', 'the table; its AWS stream must be on')
      .option('--start <where>', 'TRIM_HORIZON (default): the oldest record, or LATEST')
      .option('--disabled', 'make it, and call nothing yet'),
  ).action(async (name: string, { table, start, disabled, ...options }: TriggerOptions, command: Command) => {
    const body = {
      function: name,
      table,
      startingPosition: start,
      enabled: disabled ? false : undefined,
      ...settingsOf(options),
    }
    printOne(await new Client(globals(command)).call('POST', 'mappings', body), globals(command).json)
  })
  withSettings(
    functions.command('change-trigger <id>').description('change what calls a function; it goes on where it stands'),
  )
    .option('--no-bisect', 'retry a batch that fails as a whole')
    .option('--no-report-failures', 'what the function returns says nothing of single records')
    .action(async (id: string, options: TriggerOptions, command: Command) => {
      const answer = await new Client(globals(command)).call('PATCH', pathOf(id), settingsOf(options))
      printOne(answer, globals(command).json)
    })
  functions
    .command('mappings [name]')
    .description('what calls functions, or one of them')
    .action(async (name: string | undefined, _options: object, command: Command) => {
      const path = name === undefined ? 'mappings' : `mappings?function=${encodeURIComponent(name)}`
      const { mappings } = await new Client(globals(command)).call<{ mappings: MappingView[] }>('GET', path)
      const shown = mappings.map(({ id, function: called, table, state, lastProcessingResult, statistics }) => ({
        mapping: id,
        function: called,
        table,
        state,
        'last result': lastProcessingResult,
        records: statistics.records,
        lag: statistics.lagRecords,
        'lag s': Math.round(statistics.lagSeconds),
      }))
      printList('mappings', mappings, shown, globals(command).json)
    })
  for (const [verb, enabled, what] of [
    ['pause-trigger', false, 'call nothing until it is resumed; it keeps its position'],
    ['resume-trigger', true, 'go on where it stands'],
  ] as const)
    functions
      .command(`${verb} <id>`)
      .description(what)
      .action(async (id: string, _options: object, command: Command) => {
        printOne(await new Client(globals(command)).call('PATCH', pathOf(id), { enabled }), globals(command).json)
      })
  functions
    .command('untrigger <id>')
    .description('end what calls a function, and forget its position')
    .action(async (id: string, _options: object, command: Command) => {
      const answer = await new Client(globals(command)).call('DELETE', pathOf(id))
      printDone(`deleted ${id}`, answer, globals(command).json)
    })
}

const pathOf = (id: string): string => `mappings/${encodeURIComponent(id)}`

function withSettings(command: Command): Command {
  return command
    .option('--batch-size <n>', 'records of one call at most (default: 100)', wholeNumber)
    .option('--window <seconds>', 'how long a batch that is not full waits for more (default: 0)', wholeNumber)
    .option('--parallel <n>', 'batches of one shard at one time (default: 1)', wholeNumber)
    .option('--retries <n>', 'attempts after the first that fails; -1 (default): until it succeeds', orMinusOne)
    .option('--max-age <seconds>', 'give up older records; -1 (default): none', orMinusOne)
    .option('--bisect', 'halve a batch that fails')
    .option('--report-failures', 'the function may say which records have failed (ReportBatchItemFailures)')
    .option('--tumbling <seconds>', 'length of the windows over which the function carries a state', wholeNumber)
    .option('--filter <pattern>', 'an event pattern; may be repeated: one has to match', listed)
    .option('--on-failure <place>', 'stream:NAME, table:NAME, kafka:CLUSTER/TOPIC, file:PATH or a URL')
}

/** What was not named is not there. */
function settingsOf(options: TriggerOptions): object {
  const { batchSize, window, parallel, retries, maxAge, bisect, reportFailures, tumbling, filter, onFailure } = options
  const settings = {
    batchSize,
    maximumBatchingWindowInSeconds: window,
    parallelizationFactor: parallel,
    maximumRetryAttempts: retries,
    maximumRecordAgeInSeconds: maxAge,
    bisectBatchOnFunctionError: bisect,
    functionResponseTypes: reportFailures === undefined ? undefined : reportFailures ? ['ReportBatchItemFailures'] : [],
    tumblingWindowInSeconds: tumbling,
    filterCriteria: filter && { filters: filter.map((pattern) => ({ pattern })) },
    onFailure,
  }
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}

function orMinusOne(text: string): number {
  if (!/^(-1|\d{1,9})$/.test(text)) throw new InvalidArgumentError('It is a whole number, or -1.')
  return Number(text)
}

const listed = (text: string, before: readonly string[] = []): readonly string[] => [...before, text]
