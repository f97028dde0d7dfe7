import Table from 'cli-table3'
import { MillraceError } from '../runtime/index.js'
import { count, pc, say } from './progress.js'
import type { DemoOptions, DemoSummary } from './run.js'

export const defaultRows = 300_000

/** The flags as commander hands them over. */
export interface DemoFlags {
  readonly rows?: string
  readonly data?: string
  readonly kafka?: string
  readonly keep?: boolean
  readonly kill?: boolean
  readonly splitStorm?: boolean
  readonly json?: boolean
}

/** Throws USAGE. */
export function demoOptions(flags: DemoFlags): DemoOptions {
  const rows = flags.rows === undefined ? defaultRows : Number(flags.rows.replaceAll('_', ''))
  if (!Number.isSafeInteger(rows) || rows < 1) {
    throw new MillraceError('USAGE', `--rows is a whole number above 0, not ${flags.rows}.`)
  }
  if (flags.kafka !== undefined && !/^[^\s:,/]+:\d{1,5}$/.test(flags.kafka)) {
    throw new MillraceError('USAGE', `--kafka is HOST:PORT, not ${flags.kafka}.`)
  }
  return {
    rows,
    data: flags.data,
    kafka: flags.kafka,
    keep: flags.keep === true,
    kill: flags.kill === true,
    splitStorm: flags.splitStorm === true,
  }
}

/** Whether everything is as the recomputation says, and the kills were what was asked for. */
export const isFaultless = (summary: DemoSummary): boolean =>
  summary.lost === 0 && summary.duplicated === 0 && summary.wrong === 0 && (summary.kafka?.missing ?? 0) === 0

/** For people, on stdout; the last line is the one that scripts may count on. */
export function printSummary(summary: DemoSummary): void {
  const table = new Table({
    head: ['route', 'flights', 'mean delay, minutes'],
    colAligns: ['left', 'right', 'right'],
    style: { head: process.stdout.isTTY ? ['bold'] : [], border: [], compact: true },
  })
  for (const { route, flights, meanDelay } of summary.topTen) table.push([route, count(flights), meanDelay.toFixed(1)])
  print(table.toString())
  const { rates, kills, splits, kafka } = summary
  print(`rates: ${count(rates.writes)} writes/s, ${count(rates.changesRead)} changes/s read back`)
  print(
    `in ${summary.seconds.toFixed(1)} s: ${count(summary.flights)} rows, ${count(summary.lines)} lines, ${count(summary.results)} routes, all compared with a recomputation`,
  )
  if (kills) print(`kills: ${kills.kills} by SIGKILL, ${kills.commitsMet} of them with a pipeline's commit in flight`)
  if (splits !== undefined) print(`splits: ${splits} forced while it ran`)
  if (kafka) {
    print(
      `kafka: ${kafka.delivered} delivered, ${kafka.distinct} distinct by event id, ${kafka.missing} missing (topic ${kafka.topic})`,
    )
  }
  for (const finding of summary.findings) say(pc.red(finding))
  if (summary.daemon) {
    const { url, pid, data } = summary.daemon
    say(`The daemon goes on at ${url} on ${data}; \`kill ${pid}\` stops it.`)
  }
  print(lastLine(summary))
}

export const lastLine = ({ writes, changes, results, lost, duplicated, wrong }: DemoSummary): string =>
  `demo: ${writes} writes, ${changes} changes, ${results} results, ${lost} lost, ${duplicated} duplicated, ${wrong} wrong`

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
