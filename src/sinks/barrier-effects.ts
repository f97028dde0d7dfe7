import type { BatchEffect, RecordEffect, Release, RowEffect } from '../commit/index.js'
import { Codec, type NewRecord, type ShardedLog } from '../log/index.js'
import { hashKey, MillraceError } from '../runtime/index.js'
import type { Item, KeySchema, Tables } from '../tables/index.js'
import type { CommittedFile, FileSink } from './file-sink.js'

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
  | { readonly kind: 'file'; readonly index: number; readonly file: FileSink; readonly entries: readonly string[] }

/** What the sinks add to a barrier's effect set. Submit, then release. */
export interface SinkEffects {
  readonly rows: readonly RowEffect[]
  readonly records: readonly (RecordEffect | BatchEffect)[]
  /** What the file sinks wrote, by the index of their step: commits with the barrier. */
  readonly files: ReadonlyMap<number, CommittedFile>
  readonly release: Release
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
  const rows: RowEffect[] = []
  const records: (RecordEffect | BatchEffect)[] = []
  const files = new Map<number, CommittedFile>()
  const releases: Release[] = []
  const release = () => {
    for (const each of releases) each()
  }
  try {
    for (const sink of work) {
      if (sink.kind === 'file')
        files.set(sink.index, await sink.file.append(Buffer.from(sink.entries.map((line) => `${line}\n`).join(''))))
      else if (sink.kind === 'stream') records.push(streamRecords(sink.name, sink.entries, around, now))
    }
    for (const [name, items] of itemsByTable(work)) {
      const prepared = await prepare(name, items, around.tables)
      releases.push(prepared.release)
      for (const sink of work) if (sink.kind === 'table' && sink.name === name) checkSchema(sink, around)
      for (const row of prepared.effects.rows ?? []) rows.push(row)
      for (const record of prepared.effects.records ?? []) records.push(record)
    }
    return { rows, records, files, release }
  } catch (error) {
    release()
    throw error
  }
}

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

/** In the order of table names, so that two pipelines with the same tables cannot wait for each other. */
function itemsByTable(work: readonly SinkWork[]): [string, Item[]][] {
  const tables = new Map<string, Item[]>()
  for (const sink of work) {
    if (sink.kind !== 'table') continue
    const items = tables.get(sink.name) ?? []
    for (const entry of sink.entries) items.push(JSON.parse(entry) as Item)
    tables.set(sink.name, items)
  }
  return [...tables].sort(([a], [b]) => (a < b ? -1 : 1))
}

async function prepare(
  name: string,
  items: readonly Item[],
  tables: SinkSurroundings['tables'],
): ReturnType<Tables['prepare']> {
  try {
    return await tables.prepare(
      name,
      items.map((put) => ({ put })),
    )
  } catch (error) {
    if (error instanceof MillraceError) throw error
    if (!tables.schema(name)) throw tableGone(name)
    throw new MillraceError(
      'PIPELINE_FAILED',
      `The table ${name} of a sink takes no items: ${(error as Error).message}`,
      {
        cause: error,
      },
    )
  }
}

/** Under the table's gate: a table of that name which was made anew may have another key. */
function checkSchema({ name, schema }: SinkWork & { kind: 'table' }, { tables }: SinkSurroundings): void {
  if (JSON.stringify(tables.schema(name)) !== JSON.stringify(schema))
    throw new MillraceError('CONFLICT', `The table ${name} of a sink has another key than before.`, {
      remedy: 'Delete the pipeline and deploy it again for the new key.',
    })
}

/** What a pipeline says whose sink has lost its table. */
export const tableGone = (name: string): MillraceError =>
  new MillraceError('NOT_FOUND', `The table ${name} of a sink is not there.`, {
    remedy: 'Create the table again, or delete the pipeline.',
  })
