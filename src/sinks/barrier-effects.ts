import type { BatchEffect, RecordEffect, Release, RowEffect } from '../commit/index.js'
import { Codec, type NewRecord, type ShardedLog } from '../log/index.js'
import { hashKey, MillraceError } from '../runtime/index.js'
import type { Item, KeySchema, Tables } from '../tables/index.js'
import type { CommittedFile } from './committed-file.js'
import type { Outbox, OutboxAppend } from './delivery/outbox.js'
import type { FileSink } from './file-sink.js'

/** A sink as the main thread knows it, with what its tasks gathered for one barrier, task by task. */
export type SinkWork =
  | {
      readonly kind: 'table'
      readonly name: string
      /** The key that the items were made for. */
      readonly schema: KeySchema
      readonly entries: readonly string[]
    }
  | { readonly kind: 'stream'; readonly name: string; readonly entries: readonly string[] }
  | { readonly kind: 'outbox'; readonly outbox: Outbox; readonly entries: readonly string[] }
  | { readonly kind: 'file'; readonly index: number; readonly file: FileSink; readonly entries: readonly string[] }

/** What the sinks add to a barrier's effect set. Submit, then release. */
export interface SinkEffects {
  readonly rows: readonly RowEffect[]
  readonly records: readonly (RecordEffect | BatchEffect)[]
  /** What the file sinks wrote, by the index of their step: commits with the barrier. */
  readonly files: ReadonlyMap<number, CommittedFile>
  readonly release: Release
  /** To be called when the commit has returned. */
  readonly committed: () => void
}

export interface SinkSurroundings {
  readonly tables: Pick<Tables, 'prepare' | 'schema'>
  readonly log: Pick<ShardedLog, 'streamNamed'>
}

/**
 * Makes effects of the outputs of one barrier. Files are written first (their bytes must be synced before their length
 * commits), tables last, since their rows stay latched until the submit.
 */
export async function barrierEffects(
  work: readonly SinkWork[],
  around: SinkSurroundings,
  now: number,
): Promise<SinkEffects> {
  const records: (RecordEffect | BatchEffect)[] = []
  const rows: RowEffect[] = []
  const files = new Map<number, CommittedFile>()
  const appends: OutboxAppend[] = []
  const committed = (): void => {
    for (const append of appends) append.committed()
    for (const sink of work) if (sink.kind === 'file') sink.file.committed()
  }
  for (const sink of work) {
    if (sink.kind === 'file') files.set(sink.index, await sink.file.append(linesOf(sink.entries), now))
    else if (sink.kind === 'stream') records.push(streamRecords(sink.name, sink.entries, around, now))
    else if (sink.kind === 'outbox') appends.push(sink.outbox.append(sink.entries))
  }
  for (const { stream, records: appended, row } of appends) {
    records.push({ stream, records: appended })
    rows.push(row)
  }
  const items = itemsByTable(work, around)
  if (items.size === 0) return { rows, records, files, release: () => {}, committed }
  const { effects, release } = await prepare(items, around.tables)
  for (const record of effects.records ?? []) records.push(record)
  return { rows: [...rows, ...(effects.rows ?? [])], records, files, release, committed }
}

const linesOf = (entries: readonly string[]): Buffer => Buffer.from(entries.map((line) => `${line}\n`).join(''))

function streamRecords(name: string, entries: readonly string[], { log }: SinkSurroundings, now: number): RecordEffect {
  const stream = log.streamNamed(name)
  if (stream?.kind !== 'plain')
    throw new MillraceError('NOT_FOUND', `The stream ${name} of a sink is not there.`, {
      remedy: `Make it with: millrace streams create ${name}`,
    })
  const records = entries.map((entry): NewRecord => {
    const end = entry.indexOf('\n')
    const [key, time] = JSON.parse(entry.slice(0, end)) as [string, number | null]
    const bytes = Buffer.from(key)
    return {
      hash: hashKey(bytes),
      kind: 0,
      flags: 0,
      codec: Codec.json,
      time: time ?? now,
      key: bytes,
      body: Buffer.from(entry.slice(end + 1)),
    }
  })
  return { stream: stream.id, records }
}

/** The items of all table sinks, by table. A table of that name which was made anew may have another key. */
function itemsByTable(work: readonly SinkWork[], { tables }: SinkSurroundings): ReadonlyMap<string, readonly Item[]> {
  const items = new Map<string, Item[]>()
  for (const sink of work) {
    if (sink.kind !== 'table') continue
    const found = tables.schema(sink.name)
    if (!found) throw tableGone(sink.name)
    if (JSON.stringify(found) !== JSON.stringify(sink.schema))
      throw new MillraceError('CONFLICT', `The table ${sink.name} of a sink has another key than before.`, {
        remedy: 'Delete the pipeline and deploy it again for the new key.',
      })
    const ofTable = items.get(sink.name) ?? []
    for (const entry of sink.entries) ofTable.push(JSON.parse(entry) as Item)
    items.set(sink.name, ofTable)
  }
  return items
}

/** The tables are looked up at once, and refused when they are not the same any more behind their gates. */
async function prepare(
  items: ReadonlyMap<string, readonly Item[]>,
  tables: SinkSurroundings['tables'],
): ReturnType<Tables['prepare']> {
  try {
    return await tables.prepare(items)
  } catch (error) {
    if (error instanceof MillraceError) throw error
    const names = [...items.keys()].join(', ')
    throw new MillraceError('PIPELINE_FAILED', `The tables of sinks take no items: ${(error as Error).message}`, {
      details: { tables: names },
      cause: error,
    })
  }
}

/** What a pipeline says whose sink has lost its table. */
export const tableGone = (name: string): MillraceError =>
  new MillraceError('NOT_FOUND', `The table ${name} of a sink is not there.`, {
    remedy: 'Create the table again, or delete the pipeline.',
  })
