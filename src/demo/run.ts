import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { MillraceError } from '../runtime/index.js'
import { Aws } from './aws.js'
import { commitsMet } from './commits-met.js'
import { Daemon } from './daemon.js'
import type { RouteResult } from './expectation.js'
import { Findings } from './findings.js'
import { type Flights, readFlights } from './flights.js'
import { checkBroker, type KafkaResult } from './kafka.js'
import { catchUp, check, checkTopic, write } from './phases.js'
import { count, say } from './progress.js'
import { createBridge, fileName, prepare } from './setup.js'
import { SplitStorm } from './split-storm.js'

export interface DemoOptions {
  readonly rows: number
  /** The store's directory; a temporary one that goes away in the end when not given. */
  readonly data: string | undefined
  /** HOST:PORT */
  readonly kafka: string | undefined
  readonly keep: boolean
  readonly kill: boolean
  readonly splitStorm: boolean
}

export interface Kills {
  readonly kills: number
  /** Of these, how many met a pipeline's commit in flight. */
  readonly commitsMet: number
}

/** What `--json` prints. */
export interface DemoSummary {
  readonly rows: number
  /** Writes that were acknowledged: puts, updates and deletes. */
  readonly writes: number
  /** Records that GetRecords shows. */
  readonly changes: number
  /** Rows of the result table. */
  readonly results: number
  /** Lines of the file. */
  readonly lines: number
  /** Rows of the flights table. */
  readonly flights: number
  readonly lost: number
  readonly duplicated: number
  readonly wrong: number
  /** The first findings of each sort, in words. */
  readonly findings: readonly string[]
  /** Per second. */
  readonly rates: {
    readonly writes: number
    readonly changesRead: number
    readonly kafkaRead: number | undefined
  }
  readonly seconds: number
  readonly topTen: readonly RouteResult[]
  readonly kafka: KafkaResult | undefined
  readonly kills: Kills | undefined
  /** That the storm has forced. */
  readonly splits: number | undefined
  readonly daemon: { readonly url: string; readonly pid: number | undefined; readonly data: string } | undefined
}

/** Runs the whole demo. Throws when it cannot be carried through; what it finds wrong is in the summary. */
export async function runDemo(options: DemoOptions): Promise<DemoSummary> {
  // What can be refused is refused before anything is begun.
  if (options.kafka !== undefined) await checkBroker(options.kafka)
  const flights = await readFlights(options.rows)
  const places = choosePlaces(options.data)
  const daemon = new Daemon({ data: places.data, logPath: places.log, outlives: options.keep })
  let isOver = false
  const interrupted = (): void => {
    daemon.destroy()
    places.remove()
    process.exit(130)
  }
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  try {
    const summary = await perform(options, flights, daemon, join(places.data, 'files', fileName))
    isOver = true
    return summary
  } finally {
    process.removeListener('SIGINT', interrupted)
    process.removeListener('SIGTERM', interrupted)
    if (isOver && options.keep) daemon.leave()
    else {
      const code = await daemon.stop()
      if (isOver && code !== 0)
        say(`The daemon stopped with ${code === null ? 'a signal' : `exit code ${code}`} instead of 0.`)
      // After a failure the daemon's log and data may say why.
      if (isOver) places.remove()
      else say(`The daemon's log is ${places.log}, its data are in ${places.data}.`)
    }
  }
}

interface Places {
  readonly data: string
  readonly log: string
  remove(): void
}

/** A given directory must be fresh, and stays; the log lies beside it. Without one, both are temporary. */
function choosePlaces(data: string | undefined): Places {
  if (data === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-demo-'))
    const remove = (): void => rmSync(folder, { recursive: true, force: true })
    return { data: join(folder, 'data'), log: join(folder, 'daemon.log'), remove }
  }
  const path = resolve(data)
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw new MillraceError('USAGE', `The demo starts on a fresh store, and ${path} is not empty.`, {
      remedy: 'Name a directory that does not exist yet, or leave --data out.',
    })
  }
  mkdirSync(dirname(path), { recursive: true })
  return { data: path, log: `${path}.log`, remove: () => undefined }
}

async function perform(options: DemoOptions, flights: Flights, daemon: Daemon, filePath: string): Promise<DemoSummary> {
  const began = performance.now()
  say(`${count(flights.length)} flights, ${flights.at(1).departure} to ${flights.at(flights.length).departure}`)
  await daemon.start()
  say(`a daemon is ready at ${daemon.url} on ${daemon.data}`)
  const aws = await Aws.load(daemon)
  let storm: SplitStorm | undefined
  try {
    const streamArn = await prepare(aws, daemon)
    const topic = options.kafka === undefined ? undefined : await createBridge(daemon, options.kafka)
    const findings = new Findings()

    if (options.splitStorm) storm = new SplitStorm(daemon)
    const written = await write({ daemon, aws, flights, filePath, withKills: options.kill })
    await catchUp(daemon)
    await storm?.stop()
    const kills =
      written.kills === undefined ? undefined : { kills: written.kills, commitsMet: commitsMet(daemon.log(), fileName) }
    const checked = await check({ aws, streamArn, flights, filePath, findings, keepsEventIds: topic !== undefined })
    const kafka = topic === undefined ? undefined : await checkTopic(options.kafka!, topic, checked.eventIds, findings)

    return {
      rows: flights.length,
      writes: written.writes,
      changes: checked.changes,
      results: checked.results,
      lines: checked.lines,
      flights: checked.rows,
      ...findings.counts,
      findings: findings.descriptions,
      rates: { writes: written.perSecond, changesRead: checked.changesPerSecond, kafkaRead: kafka?.perSecond },
      seconds: Math.round((performance.now() - began) / 100) / 10,
      topTen: checked.top,
      kafka: kafka?.result,
      kills,
      splits: storm?.splits,
      daemon: options.keep ? { url: daemon.url, pid: daemon.pid, data: daemon.data } : undefined,
    }
  } finally {
    await storm?.stop()
    aws.close()
  }
}
