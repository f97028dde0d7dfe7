import { Command, CommanderError } from 'commander'
import { asMillraceError, version } from '../runtime/index.js'
import { registerBridges } from './bridges.js'
import { registerConfig } from './config.js'
import { registerLists } from './lists.js'
import { printError } from './output.js'
import { registerPipelines } from './pipelines.js'
import { registerRecords } from './records.js'
import { registerServe } from './serve.js'
import { wholeNumber } from './whole-number.js'

/** Exit codes: 0 done, 1 failed, 2 wrong usage. */
export async function run(argv: readonly string[]): Promise<void> {
  const program = new Command('millrace')
    .description('A high-throughput change-stream engine: tables, streams, pipelines and a Kafka bridge in one daemon.')
    .version(version)
    .option('--data <dir>', 'data directory (default ./millrace-data)')
    .option('--port <n>', 'port of the daemon; 0 picks one and prints it', wholeNumber)
    .option('--url <url>', 'address of the daemon, for commands that speak to one (default http://127.0.0.1:PORT)')
    .option('--config <file>', 'configuration file (default ./millrace.yaml when it exists)')
    .option('--json', 'results as JSON: one document, or one a line', false)
    .showHelpAfterError('(add --help for the usage)')
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(text) })
  for (const register of [
    registerServe,
    registerLists,
    registerPipelines,
    registerBridges,
    registerRecords,
    registerConfig,
  ])
    register(program)
  const { registerDemo } = await import('../demo/index.js')
  registerDemo(program)
  // Subcommands take over neither of these by themselves; global flags may stand before and behind the command.
  everyCommand(program, (command) => command.exitOverride().showHelpAfterError('(add --help for the usage)'))
  try {
    await program.parseAsync([...argv])
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      process.exitCode = thrown.exitCode === 0 ? 0 : 2
      return
    }
    const error = asMillraceError(thrown)
    printError(error, program.opts().json === true)
    process.exitCode = error.code === 'USAGE' || error.code === 'CONFIG_INVALID' ? 2 : 1
  }
}

function everyCommand(command: Command, change: (command: Command) => void): void {
  for (const each of command.commands) {
    change(each)
    everyCommand(each, change)
  }
}
