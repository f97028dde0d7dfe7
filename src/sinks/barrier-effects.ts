import type { BatchEffect, RecordEffect, Release, RowEffect } from '../commit/index.js'
import { Codec, type NewRecord, type ShardedLog } from '../log/index.js'
import { hashKey, MillraceError } from '../runtime/index.js'
import { checkItem, type Item, itemBytesMax, type Tables, ValidationError } from '../tables/index.js'
import type { CommittedFile, FileSink } from './file-sink.js'

/** A sink as the main thread knows it, with what its tasks gathered for one barrier, task by task. */
export type SinkWork =
  | { readonly kind: 'table'; readonly name: string; readonly entries: readonly string[] }
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
  readonly tables: Pick<Tables, 'prepare'>
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
      const prepared = await around.tables.prepare(
        name,
        items.map((put) => ({ put })),
      )
      releases.push(prepared.release)
      rows.push(...(prepared.effects.rows ?? []))
      records.push(...(prepared.effects.records ?? []))
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
    const { key, value, time } = JSON.parse(entry) as { key: string; value: unknown; time?: number }
    const bytes = Buffer.from(key)
    return {
      hash: hashKey(bytes),
      kind: 0,
      flags: 0,
      codec: Codec.json,
      time: time ?? now,
      key: bytes,
      body: Buffer.from(JSON.stringify(value)),
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
    for (const entry of sink.entries) items.push(checked(sink.name, entry))
    tables.set(sink.name, items)
  }
  return [...tables].sort(([a], [b]) => (a < b ? -1 : 1))
}

function checked(table: string, entry: string): Item {
  try {
    const { item, size } = checkItem(JSON.parse(entry))
    if (size > itemBytesMax)
      throw new MillraceError(
        'EFFECT_TOO_LARGE',
        `An item for the table ${table} has ${size} bytes; ${itemBytesMax} are allowed.`,
      )
    return item
  } catch (error) {
    if (error instanceof ValidationError)
      throw new MillraceError('PIPELINE_FAILED', `An item for the table ${table} is not valid: ${error.message}`, {
        cause: error,
      })
    throw error
  }
}
