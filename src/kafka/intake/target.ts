import type { BatchEffect, Placement, RecordEffect, Release, RowEffect } from '../../commit/index.js'
import { encodeBatch, type Log, type NewRecord, type ShardId, type StreamId } from '../../log/index.js'
import { type Clock, MillraceError } from '../../runtime/index.js'
import { type GivenWrite, type Tables, ValidationError } from '../../tables/index.js'
import type { ConsumedRecord } from '../types.js'
import type { IntakeOptions } from './options.js'
import { recordOfMessage } from './stream-messages.js'
import { tableReaderOf } from './table-messages.js'
import { Unreadable } from './unreadable.js'

/** A message that cannot be stored, and why. */
export interface Refused {
  readonly message: ConsumedRecord
  readonly why: string
}

/** What storing messages takes. Submit, then release. */
export interface Prepared {
  /** How many of the messages it is about, from the first on. */
  readonly taken: number
  readonly rows: readonly RowEffect[]
  readonly records: readonly (RecordEffect | BatchEffect)[]
  readonly refused: readonly Refused[]
  readonly release: Release
  /** Throws when the commit did not take them, since what they were for is gone. */
  readonly check: () => void
}

/** What a bridge stores messages in. */
export interface Target {
  /** Makes effects of the first of some messages of a partition, as many as go into one set; at least one. */
  prepare(messages: readonly ConsumedRecord[], partition: number): Promise<Prepared> | Prepared
}

const gone = (into: string): MillraceError =>
  new MillraceError('NOT_FOUND', `${into}, which the bridge stores messages in, is gone.`, {
    remedy: 'Delete the bridge, and create it again when there is one.',
  })

export type IntakeLog = Pick<Log, 'stream' | 'openShards' | 'route'>

export class StreamTarget implements Target {
  readonly #stream: StreamId
  readonly #into: string
  readonly #log: IntakeLog
  readonly #clock: Clock

  constructor(stream: StreamId, { into }: Pick<IntakeOptions, 'into'>, log: IntakeLog, clock: Clock) {
    this.#stream = stream
    this.#into = into
    this.#log = log
    this.#clock = clock
  }

  prepare(messages: readonly ConsumedRecord[], partition: number): Prepared {
    const found = this.#log.stream(this.#stream)
    if (!found || found.closedAt !== undefined) throw gone(this.#into)
    const now = this.#clock.now()
    const records: NewRecord[] = []
    const refused: Refused[] = []
    for (const message of messages) {
      try {
        records.push(recordOfMessage(message, partition, now))
      } catch (error) {
        refused.push({ message, why: whyOf(error) })
      }
    }
    const placed: Placement[] = []
    return {
      taken: messages.length,
      rows: [],
      records: this.#batches(records).map((batch) => ({ stream: this.#stream, batch, placed })),
      refused,
      release: () => {},
      check: () => {
        if (records.length > 0 && placed.length === 0) throw gone(this.#into)
      },
    }
  }

  /**
   * A batch for each open shard: it goes into its chunk as it lies, and nothing of single messages has to live until then. Where the shards are
   * others by then, the commit takes it apart.
   */
  #batches(records: readonly NewRecord[]): readonly Buffer[] {
    if (records.length === 0) return []
    if (this.#log.openShards(this.#stream).length === 1) return [encodeBatch(records)]
    const byShard = new Map<ShardId | undefined, NewRecord[]>()
    for (const record of records) {
      const shard = this.#log.route(this.#stream, record.hash)?.id
      const ofShard = byShard.get(shard)
      if (ofShard) ofShard.push(record)
      else byShard.set(shard, [record])
    }
    return [...byShard.values()].map(encodeBatch)
  }
}

export class TableTarget implements Target {
  readonly #name: string
  readonly #into: string
  readonly #read: ReturnType<typeof tableReaderOf>
  readonly #tables: IntakeTables

  constructor(name: string, options: IntakeOptions, tables: IntakeTables) {
    this.#name = name
    this.#into = options.into
    this.#read = tableReaderOf(options)
    this.#tables = tables
  }

  async prepare(messages: readonly ConsumedRecord[]): Promise<Prepared> {
    const writes = new Map<string, GivenWrite>()
    const refused: Refused[] = []
    let taken = 0
    for (const message of messages) {
      try {
        const write = this.#write(message)
        // Each change of an item is one of its own: the next one comes with the next set.
        if (writes.has(write.row)) break
        writes.set(write.row, write)
      } catch (error) {
        refused.push({ message, why: whyOf(error) })
      }
      taken++
    }
    const { effects, release } = await this.#tables.prepareGiven(this.#name, [...writes.values()])
    return { taken, rows: effects.rows ?? [], records: effects.records ?? [], refused, release, check: () => {} }
  }

  #write(message: ConsumedRecord): GivenWrite {
    const schema = this.#tables.schema(this.#name)
    if (!schema) throw gone(this.#into)
    const said = this.#read(message, schema)
    return said.kind === 'put'
      ? this.#tables.givenPut(this.#name, said.item)
      : this.#tables.givenDelete(this.#name, said.key)
  }
}

export type IntakeTables = Pick<Tables, 'schema' | 'givenPut' | 'givenDelete' | 'prepareGiven'>

function whyOf(error: unknown): string {
  if (error instanceof Unreadable) return error.message
  if (error instanceof ValidationError) return `the table does not take it: ${error.message}`
  throw error
}
