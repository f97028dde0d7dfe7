import type { ShardId } from '../log/index.js'
import type { StageId } from '../operators/task/index.js'
import type { MillraceError } from '../runtime/index.js'
import type { Place } from '../workers/index.js'
import type { RetriedRow } from './run-parking.js'
import type { OnlyRecord } from './run-tasks.js'

/** What makes too much for a commit by itself, and where it is parked for that. */
export interface OnlyCause {
  readonly place: Place
  readonly stage: StageId
  readonly shard: ShardId | undefined
}

/** The row that was tried again since the last commit, or the record that was read; undefined where it is neither. */
export function onlyCauseOf(
  { code, message }: MillraceError,
  retried: RetriedRow | undefined,
  only: OnlyRecord | undefined,
): OnlyCause | undefined {
  const error = {
    code,
    message: `What is made of it does not fit into one commit. ${message} Raise that bound, then try it again; or have its steps make less.`,
  }
  if (retried) {
    const { stage, node, sequence, place } = retried
    return { stage, place: { node, sequence, parkAt: { place, error } }, shard: undefined }
  }
  if (!only) return undefined
  const { stage, node, sequence, shard } = only
  return { stage, place: { node, sequence, parkAt: { place: undefined, error } }, shard }
}
