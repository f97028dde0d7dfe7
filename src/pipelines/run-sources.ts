import type { Groups } from '../groups/index.js'
import { MillraceError } from '../runtime/index.js'
import type { KeySchema } from '../tables/index.js'
import type { PipelineRow, SourceRow } from './rows.js'
import type { RunSource } from './run-tasks.js'

interface Rooms {
  readonly groups: Groups
  readonly tables: { schema(name: string): KeySchema | undefined }
}

/** The sources of a pipeline as a run reads them: the changes of a table wait for the end of its snapshot. */
export function runSourcesOf(row: PipelineRow, rooms: Rooms): RunSource[] {
  const sources = row.sources.map((source) => runSource(row, source, rooms))
  return sources.map((source) => {
    if (source.row.feed !== undefined) return source
    const behind = sources.find((each) => each.row.node === source.row.node && each.row.feed === 'snapshot')
    return behind ? { ...source, behind } : source
  })
}

function runSource({ plan }: PipelineRow, source: SourceRow, { groups, tables }: Rooms): RunSource {
  const group = groups.group(source.group)
  if (!group)
    throw new MillraceError('STORE_CORRUPT', `The pipeline ${plan.name} is stored without its group ${source.group}.`)
  const node = plan.nodes[source.node]
  if (node?.kind !== 'source' || node.source.kind !== 'table') return { row: source, group }
  // A pipeline of an earlier version has it not: the source may be deleted by now, and its key is shown as `key` then.
  const hashKeyName = source.hashKeyName ?? tables.schema(node.source.name)?.hash.name ?? 'key'
  return { row: { ...source, hashKeyName }, group }
}
