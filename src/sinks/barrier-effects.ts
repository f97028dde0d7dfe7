import type { BatchEffect, RecordEffect, Release, RowEffect } from '../commit/index.js'
import { finishBatch, type ShapesInCommit, type ShardedLog, withoutRows } from '../log/index.js'
import { type SinkBatch, timeless } from '../operators/task/index.js'
import { MillraceError } from '../runtime/index.js'
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
  | { readonly kind: 'stream'; readonly name: string; readonly batches: readonly SinkBatch[] }
  | { readonly kind: 'outbox'; readonly outbox: Outbox; readonly entries: readonly string[] }
  | { readonly kind: 'file'; readonly index: number; readonly file: FileSink; readonly entries: readonly string[] }

/** What the sinks add to a barrier's effect set. Submit, then release. */
export interface SinkEffects {
  readonly rows: readonly RowEffect[]
  readonly records: readonly (RecordEffect | BatchEffect)[]
  /** Of the rows among the records. */
  readonly shapes: ShapesInCommit
  /** What the file sinks wrote, by the index of their step: commits with the barrier. */
  readonly files: ReadonlyMap<number, CommittedFile>
  readonly release: Release
  /** To be called when the commit has returned. */
  readonly committed: () => void
}

export interface SinkSurroundings {
  readonly tables: Pick<Tables, 'prepare' | 'schema'>
  readonly log: Pick<ShardedLog, 'streamNamed' | 'shapes'>
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
  const inCommit: NonNullable<ShapesInCommit['atPack']>[] = []
  const appends: OutboxAppend[] = []
  const committed = (): void => {
    for (const append of appends) append.committed()
    for (const sink of work) if (sink.kind === 'file') sink.file.committed()
  }
  for (const sink of work) {
    if (sink.kind === 'file') files.set(sink.index, await sink.file.append(linesOf(sink.entries), now))
    else if (sink.kind === 'stream')
      for (const { shapes: ofBatch, ...effect } of streamBatches(sink, around, now)) {
        records.push(effect)
        if (ofBatch.atPack) inCommit.push(ofBatch.atPack)
      }
    else if (sink.kind === 'outbox') appends.push(sink.outbox.append(sink.entries))
  }
  for (const { stream, records: appended, row } of appends) {
    records.push({ stream, records: appended })
    rows.push(row)
  }
  const shapes: ShapesInCommit =
    inCommit.length > 0 ? { atPack: (context) => inCommit.flatMap((make) => make(context)) } : {}
  const items = itemsByTable(work, around)
  if (items.size === 0) return { rows, records, shapes, files, release: () => {}, committed }
  const { effects, release } = await prepare(items, around.tables)
  for (const record of effects.records ?? []) records.push(record)
  return { rows: [...rows, ...(effects.rows ?? [])], records, shapes, files, release, committed }
}

const linesOf = (entries: readonly string[]): Buffer => Buffer.from(entries.map((line) => `${line}\n`).join(''))

/** The batches of a stream's sinks as effects, and the shapes that go into the commit with them. */
function streamBatches(
  { name, batches }: Extract<SinkWork, { kind: 'stream' }>,
  { log }: SinkSurroundings,
  now: number,
): readonly (BatchEffect & { readonly shapes: ShapesInCommit })[] {
  const stream = log.streamNamed(name)
  if (stream?.kind !== 'plain')
    throw new MillraceError('NOT_FOUND', `The stream ${name} of a sink is not there.`, {
      remedy: `Make it with: millrace streams create ${name}`,
    })
  return batches.map(({ batch, shapes }) => {
    const bytes = finishBatch(Buffer.from(batch.buffer, batch.byteOffset, batch.length), timeless, now)
    // A stream that takes no more shapes gets its rows in another form.
    const isRefused = log.shapes.refusal(stream.id, shapes) !== undefined
    const taken = isRefused ? shapes.filter((shape) => log.shapes.has(stream.id, shape.id)) : shapes
    return {
      stream: stream.id,
      batch: isRefused ? withoutRows(bytes, shapes, taken) : bytes,
      shapes: log.shapes.inCommit(stream.id, taken),
    }
  })
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
