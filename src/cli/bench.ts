import type { Command } from 'commander'
import type { BenchName, BenchOptions, BenchResult } from '../bench/index.js'
import { Client, globals } from './client.js'
import { printJson, printList } from './output.js'
import { wholeNumber } from './whole-number.js'

const benchmarks: Readonly<Record<BenchName, string>> = {
  shard: 'what one shard takes, what one source task on one worker thread makes of it, and the target that follows',
  stream: 'what a stream takes, and what it gives back',
  pipeline: 'what two pipelines make of a stream that is there already',
}

/** Throughput on the user's own machine. In this process unless --url names a daemon; what it makes it removes. */
export function registerBench(program: Command): void {
  const bench = program
    .command('bench')
    .description('throughput of a shard, a stream, a pipeline: in this process, or of the daemon that --url names')
  for (const [name, description] of Object.entries(benchmarks)) {
    const command = bench
      .command(name)
      .description(description)
      .option('--seconds <n>', 'how long records are appended', wholeNumber, 3)
      .option('--batch <n>', 'records of one append', wholeNumber, 1000)
      .option('--in-flight <n>', 'appends under way at once', wholeNumber, 4)
      .option('--bytes <n>', 'bytes of a record', wholeNumber, 200)
      .option('--keys <n>', 'keys that the records have', wholeNumber, 1000)
    if (name !== 'shard') command.option('--shards <n>', 'shards of the stream', wholeNumber, 4)
    command.action(async (options: Omit<BenchOptions, 'shards'> & { shards?: number }, self: Command) => {
      const { runBench, safeFraction } = await import('../bench/index.js')
      const { json, url } = globals(self)
      const target = url === undefined ? undefined : new Client(globals(self)).url
      const result = await runBench(name as BenchName, { shards: 1, ...options }, target)
      if (json) printJson(result)
      else print(result, safeFraction)
    })
  }
}

function print({ machine, plainSyncMs, rows, target }: BenchResult, safeFraction: number): void {
  const { cores, model, memoryBytes, node } = machine
  say(`${cores} cores (${model}), ${Math.round(memoryBytes / 2 ** 30)} GiB, Node ${node}`)
  if (plainSyncMs)
    say(`64 KiB write + fdatasync: p50 ${plainSyncMs.p50.toFixed(2)} ms, p99 ${plainSyncMs.p99.toFixed(2)} ms`)
  const shown = rows.map(({ what, records, seconds, recordsPerSecond, bytesPerSecond, ms }) => ({
    what,
    records,
    seconds: seconds.toFixed(2),
    'records/s': recordsPerSecond,
    'MB/s': (bytesPerSecond / 1e6).toFixed(1),
    'p50 ms': ms?.p50.toFixed(2),
    'p90 ms': ms?.p90.toFixed(2),
    'p99 ms': ms?.p99.toFixed(2),
    'max ms': ms?.max.toFixed(2),
  }))
  printList('measurements', rows, shown, false)
  if (target)
    say(
      `a safe target of a shard here, ${safeFraction} of the slowest pipeline: split.target.recordsPerSecond ${target.recordsPerSecond}, split.target.bytesPerSecond ${target.bytesPerSecond}`,
    )
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
