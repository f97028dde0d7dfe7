import type { Command } from 'commander'
import type { DemoFlags } from './command.js'

/**
 * Adds `millrace demo`: the main job on real input, from DynamoDB writes to results, each checked against a plain
 * recomputation. Exit code 1 when anything is lost, duplicated or wrong. Its parts are loaded only when it runs.
 */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('run the main job on real flights, and check every result')
    .option('--rows <n>', 'flights to load, 3,000,000 at most (default 300,000)')
    .option('--kafka <host:port>', 'mirror the changes to a topic of this broker, and read them back')
    .option('--kill', 'kill the daemon with SIGKILL at least five times on the way')
    .option('--split-storm', "force a split of the flights' shards every second")
    .option('--keep', 'leave the daemon running')
    .addHelpText(
      'after',
      '\nWith --data DIR the store is made there, and stays; a temporary one is removed. --json prints the summary as JSON.',
    )
    .action(async (_flags: object, command: Command) => {
      const { demoOptions, isFaultless, printSummary } = await import('./command.js')
      const { runDemo } = await import('./run.js')
      const flags = command.optsWithGlobals<DemoFlags>()
      const summary = await runDemo(demoOptions(flags))
      if (flags.json) process.stdout.write(`${JSON.stringify(summary)}\n`)
      else printSummary(summary)
      if (!isFaultless(summary)) process.exitCode = 1
    })
}
