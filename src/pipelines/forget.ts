import { type Commit, Family } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import type { ShardedLog } from '../log/index.js'
import type { Storage } from '../storage/index.js'
import { closeFeeds } from './feeds/index.js'
import { closeOutboxes } from './outboxes.js'
import { removeRows } from './removal.js'
import { moduleKey, type PipelineRow, pipelineGone, rowsWith, sinkFileKey } from './rows.js'
import { goneTargets, type ShadowTargets } from './shadow-targets.js'

interface ForgetRooms {
  readonly storage: Storage
  readonly commit: Commit
  readonly groups: Groups
  readonly log: ShardedLog
  readonly shadows: Pick<ShadowTargets, 'remove'>
  /** Whether another pipeline, or a deploy, has a module. */
  readonly isUsed: (module: string) => boolean
}

/**
 * Removes what a deleted pipeline has in bounded commits, then its row; the same again goes on, as after a kill. Ends early
 * where it is not wanted any more.
 */
export async function forget(row: PipelineRow, rooms: ForgetRooms, isWanted: () => boolean): Promise<void> {
  const { storage, commit, groups, log } = rooms
  const outboxes = [...Object.values(row.outboxes ?? {}), ...(row.dropped?.outboxes ?? [])]
  const names = [...[...row.sources, ...outboxes].map(({ group }) => group), ...(row.dropped?.groups ?? [])]
  for (const group of names) if (groups.group(group)) await groups.delete(group)
  await closeOutboxes(log, outboxes)
  await closeFeeds(log, row.sources)
  if (row.shadow) await rooms.shadows.remove(await goneTargets(row, commit))
  if (row.takeOver) await rooms.shadows.remove(row.takeOver.gone)
  for (const family of [Family.state, Family.timer, Family.eventTime, Family.outbox, Family.parked, Family.feed])
    await removeRows(rowsWith(family, row.id), { storage, commit }, isWanted)
  if (!isWanted()) return
  const files = Object.values(row.files).map((file) => ({ key: sinkFileKey(row.id, file), value: undefined }))
  const module = rooms.isUsed(row.module) ? [] : [{ key: moduleKey(row.module), value: undefined }]
  await commit.submit({ rows: [pipelineGone(row.id), ...files, ...module], essential: true })
}
