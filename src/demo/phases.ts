import type { Aws } from './aws.js'
import { ChangeCheck, readStream } from './check-changes.js'
import { checkFile } from './check-file.js'
import { checkFlights, checkResults } from './check-rows.js'
import { commitsMet } from './commits-met.js'
import type { Daemon } from './daemon.js'
import { flightsTable, type RouteResult, writesOf } from './expectation.js'
import type { Findings } from './findings.js'
import type { Flights } from './flights.js'
import { type KafkaResult, readBack } from './kafka.js'
import { Killer } from './killer.js'
import { load } from './load.js'
import { caughtUp } from './native.js'
import { Phase } from './progress.js'
import { fileName } from './setup.js'

export interface WriteOptions {
  readonly daemon: Daemon
  readonly aws: Aws
  readonly flights: Flights
  readonly filePath: string
  readonly withKills: boolean
}

export interface Written {
  readonly writes: number
  readonly perSecond: number
  readonly kills: number | undefined
}

/** Loads, updates and deletes, with kills on the way if that is wanted. */
export async function write({ daemon, aws, flights, filePath, withKills }: WriteOptions): Promise<Written> {
  const total = writesOf(flights.length)
  const killer = withKills
    ? new Killer({ daemon, writes: total, filePath, commitsMet: () => commitsMet(daemon.log(), fileName) })
    : undefined
  const phase = new Phase('writing', total, 'writes')
  await phase.during(async () => {
    await load(aws, flights, (writes) => {
      phase.update(writes)
      return killer?.written(writes)
    })
  })
  const { count, perSecond } = phase.end()
  await killer?.finish()
  return { writes: count, perSecond, kills: killer?.kills }
}

/** Waits until pipelines and bridge have committed everything. */
export async function catchUp(daemon: Daemon): Promise<void> {
  let largest = 0
  let phase: Phase | undefined
  const onLag = (lag: number): void => {
    if (lag === 0 && phase === undefined) return
    if (lag > largest || phase === undefined) {
      phase?.abandon()
      largest = lag
      phase = new Phase('catching up', largest, 'sequence numbers')
    }
    phase.update(largest - lag)
  }
  try {
    await caughtUp(daemon, `table:${flightsTable}`, onLag)
    phase?.end()
  } finally {
    phase?.abandon()
  }
}

export interface CheckOptions {
  readonly aws: Aws
  readonly streamArn: string
  readonly flights: Flights
  readonly filePath: string
  readonly findings: Findings
  /** Whether the event ids are wanted, for a comparison with a topic. */
  readonly keepsEventIds: boolean
}

export interface Checked {
  readonly changes: number
  readonly changesPerSecond: number
  readonly eventIds: ReadonlySet<string>
  readonly rows: number
  readonly lines: number
  readonly results: number
  readonly top: readonly RouteResult[]
}

/** Reads everything through the public faces and compares it with the input: stream and tables at once, then the file. */
export async function check(options: CheckOptions): Promise<Checked> {
  const { aws, streamArn, flights, filePath, findings, keepsEventIds } = options
  const length = flights.length
  const kept = length - Math.floor(length / 50)
  const phase = new Phase('checking', writesOf(length) + kept, 'changes and rows')
  const changes = new ChangeCheck(flights, findings)
  const eventIds = new Set<string>()
  let rows = 0
  let changesPerSecond = 0

  const checkChanges = async (): Promise<void> => {
    const began = performance.now()
    await readStream(aws, streamArn, findings, (records) => {
      for (const record of records) {
        changes.take(record)
        if (keepsEventIds) eventIds.add(record.eventID ?? '')
      }
      phase.update(changes.records + rows)
    })
    changesPerSecond = Math.round((changes.records * 1000) / Math.max(1, performance.now() - began))
    changes.finish()
  }
  const checkTables = async () => {
    await checkFlights(aws, flights, findings, (read) => {
      rows = read
      phase.update(changes.records + rows)
    })
    return checkResults(aws, flights, findings)
  }

  const [{ results, top }, lines] = await phase.during(async () => {
    const [checked] = await Promise.all([checkTables(), checkChanges()])
    return [checked, await checkFile(filePath, flights, findings)] as const
  })
  phase.end()
  return { changes: changes.records, changesPerSecond, eventIds, rows, lines, results, top }
}

/** Reads the topic back. */
export async function checkTopic(
  broker: string,
  topic: string,
  eventIds: ReadonlySet<string>,
  findings: Findings,
): Promise<{ readonly result: KafkaResult; readonly perSecond: number }> {
  const phase = new Phase('checking the topic', eventIds.size, 'messages')
  const result = await phase.during(() => readBack(broker, topic, eventIds, (delivered) => phase.update(delivered)))
  if (result.unknown > 0) findings.add('wrong', `the topic has ${result.unknown} event ids that the stream has not`)
  return { result, perSecond: phase.end().perSecond }
}
