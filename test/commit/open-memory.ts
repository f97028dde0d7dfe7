import { join } from 'node:path'
import { type Commit, type CommitLimits, Mark, openCommit } from '../../src/commit/index.js'
import type { Clock, MillraceError } from '../../src/runtime/index.js'
import { ManualClock } from '../manual-clock.js'
import type { MemoryStorage } from '../memory-storage.js'

export const limits: CommitLimits = {
  effectSetBytesMax: 1 << 20,
  commitBytesMax: 2 << 20,
  queueBytesMax: 8 << 20,
  rowWaitersMax: 100,
  rowCacheBytesMax: 1 << 20,
}

export interface Opened {
  readonly commit: Commit
  readonly mark: Mark
  readonly poisoned: MillraceError[]
  readonly warnings: string[]
}

/** Opens a commit path on a memory store and a mark file in a folder. */
export async function open(
  storage: MemoryStorage,
  folder: string,
  options: { clock?: Clock; synced?: boolean; limits?: CommitLimits } = {},
): Promise<Opened> {
  const poisoned: MillraceError[] = []
  const warnings: string[] = []
  const mark = new Mark(join(folder, 'mark'))
  const commit = await openCommit({
    storage,
    mark,
    synced: options.synced ?? true,
    clock: options.clock ?? new ManualClock(),
    limits: options.limits ?? limits,
    onPoisoned: (error) => poisoned.push(error),
    warn: (message) => warnings.push(message),
  })
  return { commit, mark, poisoned, warnings }
}
