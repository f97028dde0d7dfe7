import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MillraceError } from '../runtime/index.js'
import { Aws } from './aws.js'
import { ChangeCheck, readStream } from './check-changes.js'
import { checkFile } from './check-file.js'
import { checkFlights, checkResults } from './check-rows.js'
import { commitsMet } from './commits-met.js'
import { Daemon } from './daemon.js'
import { flightsTable, type RouteResult, writesOf } from './expectation.js'
import { Findings } from './findings.js'
import { type Flights, readFlights } from './flights.js'
import { checkBroker, type KafkaResult, readBack } from './kafka.js'
import { Killer } from './killer.js'
import { load } from './load.js'
import { caughtUp } from './native.js'
import { count, Phase, say } from './progress.js'
import { createBridge, fileName, prepare } from './setup.js'

export interface DemoOptions {
  readonly rows: number
  /** The store's directory; a temporary one that goes away in the end when not given. */
  readonly data: string | undefined
  /** HOST:PORT */
  readonly kafka: string | undefined
  readonly keep: boolean
  readonly kill: boolean
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
  readonly daemon: { readonly url: string; readonly pid: number | undefined; readonly data: string } | undefined
}

/** Runs the whole demo. Throws when it cannot be carried through; what it finds wrong is in the summary. */
export async function runDemo(options: DemoOptions): Promise<DemoSummary> {
  if (options.kafka !== undefined) await checkBroker(options.kafka)
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
    const summary = await perform(options, daemon, join(places.data, 'files', fileName))
    isOver = true
    return summary
  } finally {
    process.removeListener('SIGINT', interrupted)
    process.removeListener('SIGTERM', interrupted)
    if (isOver && options.keep) daemon.leave()
    else {
      await daemon.stop()
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
  return { data: path, log: `${path}.log`, remove: () => undefined }
}

async function perform(options: DemoOptions, daemon: Daemon, filePath: string): Promise<DemoSummary> {
  const began = performance.now()
  const flights = await readFlights(options.rows)
  say(`${count(flights.length)} flights, ${flights.at(1).departure} to ${flights.at(flights.length).departure}`)
  await daemon.start()
  say(`a daemon is ready at ${daemon.url} on ${daemon.data}`)
  const aws = await Aws.load(daemon)
  try {
    const streamArn = await prepare(aws, daemon)
    const topic = options.kafka === undefined ? undefined : await createBridge(daemon, options.kafka)
    const findings = new Findings()

    const written = await write(options, daemon, aws, flights, filePath)
    const changes = await checkChanges(aws, streamArn, flights, findings, topic !== undefined)
    const kafka = topic === undefined ? undefined : await checkTopic(options.kafka!, topic, changes.eventIds, findings)
    const rows = await checkTables(aws, flights, findings)
    const lines = await checkFile(filePath, flights, findings)

    return {
      rows: flights.length,
      writes: written.writes,
      changes: changes.count,
      results: rows.results,
      lines,
      flights: rows.flights,
      ...findings.counts,
      findings: findings.descriptions,
      rates: { writes: written.perSecond, changesRead: changes.perSecond, kafkaRead: kafka?.perSecond },
      seconds: Math.round((performance.now() - began) / 100) / 10,
      topTen: rows.top,
      kafka: kafka?.result,
      kills: written.kills,
      daemon: options.keep ? { url: daemon.url, pid: daemon.pid, data: daemon.data } : undefined,
    }
  } finally {
    aws.close()
  }
}

interface Written {
  readonly writes: number
  readonly perSecond: number
  readonly kills: Kills | undefined
}

/** Loads, updates and deletes, kills on the way if that is wanted, and waits until pipelines and bridge have everything. */
async function write(
  options: DemoOptions,
  daemon: Daemon,
  aws: Aws,
  flights: Flights,
  filePath: string,
): Promise<Written> {
  const total = writesOf(flights.length)
  const phase = new Phase('writing', total, 'writes')
  const killer = options.kill
    ? new Killer({ daemon, writes: total, filePath, commitsMet: () => commitsMet(daemon.log(), fileName) })
    : undefined
  let result: { readonly count: number; readonly perSecond: number }
  try {
    await load(aws, flights, (writes) => {
      phase.update(writes)
      killer?.written(writes)
    })
    result = phase.end()
  } catch (error) {
    phase.abandon()
    throw error
  }
  await killer?.finish()

  let largest = 0
  let catchingUp: Phase | undefined
  try {
    await caughtUp(daemon, `table:${flightsTable}`, (lag) => {
      largest = Math.max(largest, lag)
      catchingUp ??= new Phase('pipelines catch up', largest, 'sequence numbers')
      catchingUp.update(largest - lag)
    })
  } catch (error) {
    catchingUp?.abandon()
    throw error
  }
  catchingUp?.end()
  return {
    writes: result.count,
    perSecond: result.perSecond,
    kills: killer && { kills: killer.kills, commitsMet: commitsMet(daemon.log(), fileName) },
  }
}

async function checkChanges(
  aws: Aws,
  streamArn: string,
  flights: Flights,
  findings: Findings,
  wantsEventIds: boolean,
): Promise<{ readonly count: number; readonly perSecond: number; readonly eventIds: ReadonlySet<string> }> {
  const phase = new Phase('checking the stream', writesOf(flights.length), 'changes')
  const check = new ChangeCheck(flights, findings)
  const eventIds = new Set<string>()
  try {
    await readStream(aws, streamArn, findings, (records) => {
      for (const record of records) {
        check.take(record)
        if (wantsEventIds) eventIds.add(record.eventID ?? '')
      }
      phase.update(check.records)
    })
  } catch (error) {
    phase.abandon()
    throw error
  }
  check.finish()
  const { count: changes, perSecond } = phase.end()
  return { count: changes, perSecond, eventIds }
}

async function checkTables(aws: Aws, flights: Flights, findings: Findings) {
  const phase = new Phase('checking the tables', flights.length - Math.floor(flights.length / 50), 'rows')
  try {
    const rows = await checkFlights(aws, flights, findings, (read) => phase.update(read))
    const { results, top } = await checkResults(aws, flights, findings)
    phase.end()
    return { flights: rows, results, top }
  } catch (error) {
    phase.abandon()
    throw error
  }
}

async function checkTopic(broker: string, topic: string, eventIds: ReadonlySet<string>, findings: Findings) {
  const phase = new Phase('checking the topic', eventIds.size, 'messages')
  try {
    const result = await readBack(broker, topic, eventIds, (delivered) => phase.update(delivered))
    if (result.unknown > 0) findings.add('wrong', `the topic has ${result.unknown} event ids that the stream has not`)
    return { result, perSecond: phase.end().perSecond }
  } catch (error) {
    phase.abandon()
    throw error
  }
}
