import type { Groups } from '../groups/index.js'
import { rowsOfOutbox } from '../sinks/index.js'
import type { KeySchema } from '../tables/index.js'
import { passedOf } from './bounded-run.js'
import { closeFeeds, type FeedRooms, feedersOf, feedGone } from './feeds/index.js'
import { closeOutboxes, type OutboxSurroundings, openOutboxes } from './outboxes.js'
import type { PipelineParts } from './pipeline-parts.js'
import { removeRows } from './removal.js'
import type { PipelineRow } from './rows.js'
import { runSourcesOf } from './run-sources.js'
import type { ShadowTargets } from './shadow-targets.js'
import type { SinkTargets } from './sink-targets.js'

export interface PartRooms extends OutboxSurroundings, FeedRooms {
  readonly groups: Groups
  readonly tables: { schema(name: string): KeySchema | undefined } & FeedRooms['tables']
  readonly targets: SinkTargets
  readonly shadows: ShadowTargets
}

/** What belongs to a pipeline. Throws STORE_CORRUPT. */
export function partsOf(row: PipelineRow, moduleFile: () => Promise<string>, rooms: PartRooms): PipelineParts {
  const { groups, log, commit, targets, shadows } = rooms
  const dropGroup = async (name: string): Promise<void> => {
    const group = groups.group(name)
    if (!group) return
    await groups.delete(name)
    await closeFeeds(log, [group])
    await commit.submit({ rows: [feedGone(row.id, group.stream)], essential: true })
  }
  return {
    sources: runSourcesOf(row, rooms),
    feeders: () => feedersOf(row, rooms),
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
