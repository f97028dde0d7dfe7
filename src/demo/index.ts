import type { Command } from 'commander'
import { type DemoFlags, defaultRows, demoOptions, isFaultless, printSummary } from './command.js'
import { runDemo } from './run.js'

/**
 * Adds `millrace demo`: the main job on real input, from DynamoDB writes to results, each checked against a plain
 * recomputation. Exit code 1 when anything is lost, duplicated or wrong.
 */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('run the main job on three weeks of real flights, and check every result')
    .option('--rows <n>', `flights to load, 3,000,000 at most (default ${defaultRows})`)
    .option('--data <dir>', 'directory of the fresh store; a temporary one by default')
    .option('--kafka <host:port>', 'mirror the changes to a topic of this broker, and read them back')
    .option('--kill', 'kill the daemon with SIGKILL at least five times on the way')
    .option('--keep', 'leave the daemon running')
    .option('--json', 'print the summary as JSON')
    .action(async (_flags, command: Command) => {
      const flags = command.optsWithGlobals<DemoFlags>()
      const summary = await runDemo(demoOptions(flags))
      if (flags.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
      else printSummary(summary)
      if (!isFaultless(summary)) process.exitCode = 1
    })
}
