import { Command, CommanderError } from 'commander'
import { defaultConfigFile } from '../config/index.js'
import { asMillraceError, MillraceError, version } from '../runtime/index.js'
import { registerAppend } from './append.js'
import { registerBackup } from './backup.js'
import { registerBench } from './bench.js'
import { registerBridges } from './bridges.js'
import { registerConfig } from './config.js'
import { registerExport } from './export.js'
import { registerFunctions } from './functions.js'
import { registerGroups } from './groups.js'
import { registerImport } from './import.js'
import { registerLists } from './lists.js'
import { printError } from './output.js'
import { registerParked } from './parked.js'
import { registerPipelines } from './pipelines.js'
import { registerSearch } from './search.js'
import { registerServe } from './serve.js'
import { registerTail } from './tail.js'
import { wholeNumber } from './whole-number.js'

/** The whole command, without running it: docs/reference/cli.md is made from it. */
export async function buildProgram(): Promise<Command> {
  const program = new Command('millrace')
    .description('A high-throughput change-stream engine: tables, streams, pipelines and a Kafka bridge in one daemon.')
    .version(version)
    .option('--data <dir>', 'data directory (default: ./millrace-data)')
    .option('--port <n>', 'port of the daemon; 0 picks one and prints it (default: 8000)', wholeNumber)
    .option('--url <url>', 'address of the daemon, for commands that speak to one (default: http://127.0.0.1:PORT)')
    .option('--config <file>', `configuration file (default: ./${defaultConfigFile} when it exists)`)
    .option('--json', 'results as JSON: one document, or one a line')
  for (const register of [
    registerServe,
    registerLists,
    registerGroups,
    registerPipelines,
    registerParked,
    registerFunctions,
    registerBridges,
    registerSearch,
    registerAppend,
    registerTail,
    registerExport,
    registerImport,
    registerBackup,
    registerBench,
    registerConfig,
  ])
    register(program)
  const { registerDemo } = await import('../demo/index.js')
  registerDemo(program)
  return program
}

/** Exit codes: 0 done, 1 failed, 2 wrong usage. */
export async function run(argv: readonly string[]): Promise<void> {
  // A reader that has seen enough (`millrace tail s | head`) is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  const program = await buildProgram()
  // Each command throws its errors to here, in place of printing them and ending the process.
  everyCommand(program, (command) => command.exitOverride().configureOutput({ outputError: () => {} }))
  const isJson = argv.includes('--json')
  // The help that stands in for a missing command is for people; scripts get the error.
  if (isJson) everyCommand(program, (command) => command.configureOutput({ writeErr: () => {} }))
  try {
    await program.parseAsync([...argv])
  } catch (thrown) {
    if (thrown instanceof CommanderError && isHelp(thrown) && (thrown.exitCode === 0 || !isJson)) {
      process.exitCode = thrown.exitCode === 0 ? 0 : 2
      return
    }
    const error = thrown instanceof CommanderError ? usageError(thrown) : asMillraceError(thrown)
    printError(error, isJson)
    process.exitCode = error.code === 'USAGE' || error.code === 'CONFIG_INVALID' ? 2 : 1
  }
}

/** Help and version were asked for, or help was shown because no command was given. */
const isHelp = ({ code }: CommanderError): boolean =>
  code === 'commander.helpDisplayed' || code === 'commander.help' || code === 'commander.version'

/** `error: unknown option '--jsn'\n(Did you mean --json?)` as a sentence of ours. */
function usageError(thrown: CommanderError): MillraceError {
  if (isHelp(thrown)) return new MillraceError('USAGE', 'There is no command to run.')
  const { message } = thrown
  const [first = '', ...more] = message.replace(/^error: /, '').split('\n')
  const sentence = `${first.charAt(0).toUpperCase()}${first.slice(1).replace(/\.$/, '')}.`
  return new MillraceError('USAGE', [sentence, ...more].join(' '))
}

function everyCommand(command: Command, change: (command: Command) => void): void {
  change(command)
  for (const each of command.commands) everyCommand(each, change)
}
