import { randomUUID } from 'node:crypto'
import type { CommitPath, RowEffect } from '../../commit/index.js'
import { isInternal, type Log, type StreamId } from '../../log/index.js'
import { MillraceError } from '../../runtime/index.js'
import { targetOf } from '../bridge.js'
import type { BridgeView } from '../bridges.js'
import { deadLetterStream } from '../dead-letters.js'
import { deadLettersOf } from '../options.js'
import { Intake, type IntakeRecord, type IntakeSurroundings } from './intake.js'
import { type IntakeOptions, intoOf } from './options.js'

export interface IntakesOptions extends IntakeSurroundings {
  readonly commit: CommitPath
  readonly log: Log
  /** The row of a bridge, with what it remembers or without anything. */
  readonly rowOf: (name: string, record: IntakeRecord | undefined) => RowEffect
}

/** The bridges in of a daemon. Names are looked after by who holds all bridges. */
export class Intakes {
  readonly #options: IntakesOptions
  readonly #intakes = new Map<string, Intake>()

  constructor(options: IntakesOptions) {
    this.#options = options
  }

  /** One that is stored. */
  add(record: IntakeRecord): void {
    this.#intakes.set(record.options.name, this.#make(record))
  }

  start(): void {
    for (const intake of this.#intakes.values()) intake.start()
  }

  async close(): Promise<void> {
    await Promise.all([...this.#intakes.values()].map((intake) => intake.close()))
  }

  get count(): number {
    return this.#intakes.size
  }

  get(name: string): Intake | undefined {
    return this.#intakes.get(name)
  }

  list(): readonly BridgeView[] {
    return [...this.#intakes.values()].map(viewOf)
  }

  /** Throws NOT_FOUND: the stream, table or cluster. */
  async create(options: IntakeOptions): Promise<Intake> {
    const { commit, log, clock, openCluster, logger, rowOf } = this.#options
    const { name, unreadable } = options
    // Connects to nothing: a cluster that is not configured is found now, one that is away is waited for.
    openCluster(targetOf(options, logger))
    const stream = this.#streamOf(options)
    const record: IntakeRecord = {
      options,
      createdAt: clock.now(),
      paused: false,
      instance: randomUUID(),
      stream,
      deadLetters: unreadable === 'stop' ? undefined : await deadLetterStream(log, deadLettersOf(options)),
      known: undefined,
    }
    await commit.submit({ rows: [rowOf(name, record)] })
    const intake = this.#make(record)
    this.#intakes.set(name, intake)
    return intake
  }

  async delete(intake: Intake): Promise<void> {
    const { commit, rowOf } = this.#options
    await intake.close()
    await commit.submit({ rows: [rowOf(intake.name, undefined), ...intake.rowsGone()], essential: true })
    this.#intakes.delete(intake.name)
  }

  /** The stream that a bridge stores messages in; undefined for a table. Throws NOT_FOUND. */
  #streamOf(options: IntakeOptions): StreamId | undefined {
    const { kind, name } = intoOf(options)
    const { log, tables } = this.#options
    if (kind === 'table') {
      if (tables.schema(name)) return undefined
      throw new MillraceError('NOT_FOUND', `There is no table named ${name}.`)
    }
    const stream = log.streamNamed(name)
    if (stream?.kind === 'plain' && !isInternal(stream)) return stream.id
    throw new MillraceError('NOT_FOUND', `There is no stream named ${name}.`, {
      remedy: `Make it with: millrace streams create ${name}`,
    })
  }

  #make(record: IntakeRecord): Intake {
    const { commit, rowOf } = this.#options
    return new Intake(record, this.#options, async (changed, rows) => {
      await commit.submit({ rows: [rowOf(record.options.name, changed), ...rows], essential: true })
    })
  }
}

export function viewOf(intake: Intake): BridgeView {
  const { options, createdAt, known } = intake.record
  return {
    name: intake.name,
    direction: 'in',
    source: `kafka:${intake.topic}`,
    topic: intake.topic,
    into: options.into,
    group: intake.group,
    options,
    createdAt,
    converter: undefined,
    partitions: known?.partitions,
    state: intake.state,
    snapshot: undefined,
    statistics: intake.statistics,
  }
}
