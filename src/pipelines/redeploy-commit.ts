import type { Commit, RowEffect } from '../commit/index.js'
import type { Groups } from '../groups/index.js'
import type { ShardedLog, StartPosition } from '../log/index.js'
import type { Storage } from '../storage/index.js'
import { fileNumber } from './barrier-commit.js'
import { closeFeeds, newGroupsOf } from './feeds/index.js'
import { closeOutboxes, outboxGroupsOf } from './outboxes.js'
import { goneFiles, timesOf } from './redeploy.js'
import type { RedeployedOutboxes } from './redeploy-outboxes.js'
import { moduleKey, type PipelineRow, pipelineRow, sinkFileRow } from './rows.js'
import { storedState } from './run-state.js'
import type { SinkTargets } from './sink-targets.js'

/** A module on its way into the place of another. */
export interface NewModule {
  readonly module: string
  readonly bundle: string
  /** Where sources that are new begin. */
  readonly start: StartPosition
}

interface RedeployRooms {
  readonly groups: Groups
  readonly commit: Commit
  readonly storage: Storage
  readonly log: ShardedLog
  readonly targets: SinkTargets
  /** Whether another pipeline, or a deploy, has a module. */
  readonly isUsed: (module: string) => boolean
}

/** The one commit of a redeploy. Files that are new are made before it. */
export async function commitRedeploy(
  older: PipelineRow,
  newer: PipelineRow,
  { module, bundle, start }: NewModule,
  { added }: RedeployedOutboxes,
  { groups, commit, storage, log, targets, isUsed }: RedeployRooms,
): Promise<void> {
  const known = new Set(Object.values(older.files))
  const files = await targets.createFiles(newer.plan, (node) => !known.has(fileNumber(newer, node)))
  const { times } = await storedState(storage, newer.id)
  const rows: RowEffect[] = [
    ...(isUsed(older.module) ? [] : [{ key: moduleKey(older.module), value: undefined }]),
    { key: moduleKey(module), value: Buffer.from(bundle) },
    pipelineRow(newer),
    ...[...files].map(([node, file]) => sinkFileRow(newer.id, fileNumber(newer, node), file)),
    ...goneFiles(older, newer),
    ...timesOf(older, newer, times),
  ]
  const before = new Set(older.sources.map(({ group }) => group))
  const newSources = newer.sources.filter(({ group }) => !before.has(group))
  const wanted = [...newGroupsOf(newSources, start), ...outboxGroupsOf(added)]
  try {
    if (wanted.length > 0) await groups.createAll(wanted, { kind: 'pipeline', rows })
    else await commit.submit({ rows, essential: true })
  } catch (error) {
    await closeOutboxes(log, Object.values(added))
    await closeFeeds(log, newSources)
    throw error
  }
  // Those that were due may have gone with their step: the next run says whether any are left.
  for (const { group } of newer.sources) {
    const known = groups.group(group)
    if (known) known.hasDueTimers = false
  }
}
