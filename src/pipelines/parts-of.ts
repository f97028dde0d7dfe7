import type { Groups } from '../groups/index.js'
import type { PlanDescription } from '../operators/index.js'
import { MillraceError } from '../runtime/index.js'
import { rowsOfOutbox } from '../sinks/index.js'
import type { KeySchema } from '../tables/index.js'
import { passedOf } from './bounded-run.js'
import { closeOutboxes, type OutboxSurroundings, openOutboxes } from './outboxes.js'
import type { PipelineParts } from './pipeline-parts.js'
import { removeRows } from './removal.js'
import type { PipelineRow, SourceRow } from './rows.js'
import type { RunSource } from './run-tasks.js'
import type { ShadowTargets } from './shadow-targets.js'
import type { SinkTargets } from './sink-targets.js'

export interface PartRooms extends OutboxSurroundings {
  readonly groups: Groups
  readonly tables: { schema(name: string): KeySchema | undefined }
  readonly targets: SinkTargets
  readonly shadows: ShadowTargets
}

/** What belongs to a pipeline. Throws STORE_CORRUPT. */
export function partsOf(row: PipelineRow, moduleFile: () => Promise<string>, rooms: PartRooms): PipelineParts {
  const { groups, log, targets, shadows } = rooms
  const dropGroup = async (name: string): Promise<void> => {
    if (groups.group(name)) await groups.delete(name)
  }
  return {
    sources: row.sources.map((source) => runSource(row.plan, source, rooms)),
    prepare: async ({ shadow, takeOver }, isWanted) => {
      if (shadow) await shadows.make(shadow.plan)
      return takeOver ? shadows.takeOver(takeOver, isWanted) : true
    },
    moduleFile,
    passed: () => passedOf(row, rooms),
    dropGroup,
    dropOutbox: async (outbox) => {
      await dropGroup(outbox.group)
      await closeOutboxes(log, [outbox])
      await removeRows(rowsOfOutbox(row.id, outbox.number), rooms)
    },
    sinkKeys: () => targets.keys(row.plan),
    files: () => targets.committedFiles(row),
    outboxes: (file, onRoom) => openOutboxes(row, rooms, file, onRoom),
  }
}

function runSource(plan: PlanDescription, source: SourceRow, { groups, tables }: PartRooms): RunSource {
  const group = groups.group(source.group)
  if (!group)
    throw new MillraceError('STORE_CORRUPT', `The pipeline ${plan.name} is stored without its group ${source.group}.`)
  const node = plan.nodes[source.node]
  if (node?.kind !== 'source' || node.source.kind !== 'table') return { row: source, group }
  // A pipeline of an earlier version has it not: the source may be deleted by now, and its key is shown as `key` then.
  const hashKeyName = source.hashKeyName ?? tables.schema(node.source.name)?.hash.name ?? 'key'
  return { row: { ...source, hashKeyName }, group }
}
