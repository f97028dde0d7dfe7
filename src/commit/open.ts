import { randomBytes } from 'node:crypto'
import type { Clock } from '../runtime/index.js'
import { killPoint, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { Commit, type CommitLimits } from './commit.js'
import type { Epoch } from './epochs.js'
import { Family } from './families.js'
import { Ledger } from './ledger.js'
import type { Mark } from './mark.js'

/** How far sequence numbers jump when the end of what was given before is not known. */
export const sequenceJump = 2 ** 30

const identityKey = Buffer.from([Family.meta, 0])

export interface Identity {
  readonly storeId: string
  readonly epoch: number
  readonly createdAt: number
  /** Sequence numbers below this one may have been given in an earlier epoch. */
  readonly sequenceFloor: number
  /** The epochs before this one, each with its floor; absent when there is none. One more for each unknown end. */
  readonly earlier?: readonly Epoch[]
}

export interface OpenCommitOptions {
  readonly storage: Storage
  readonly mark: Mark
  readonly synced: boolean
  readonly clock: Clock
  readonly limits: CommitLimits
  readonly onPoisoned: (error: MillraceError) => void
  /**
   * The store is a copy of an earlier moment: sequence numbers jump and the epoch rises, since the original may have given
   * the next ones to other records.
   */
  readonly restored?: boolean | undefined
  /** Told of what an opening tolerates but a person should know. */
  readonly warn: (message: string) => void
}

/**
 * Opens the commit path of a store: checks the ledger against itself and against the mark. Throws LOG_DAMAGED, naming
 * the commits, when the store lost any; nothing has been written then.
 */
export async function openCommit(options: OpenCommitOptions): Promise<Commit> {
  const { storage, mark, synced, clock, limits, onPoisoned, warn } = options
  const ledger = await Ledger.open(storage)
  const stored = await readIdentity(storage)
  const marked = mark.read()
  if (!stored && ledger.newest) {
    throw new MillraceError('LOG_DAMAGED', 'The store has a ledger and no identity row.')
  }
  let identity = stored ?? {
    storeId: randomBytes(16).toString('hex'),
    epoch: 1,
    createdAt: clock.now(),
    sequenceFloor: 1,
  }
  let isEndUnknown = options.restored === true && stored !== undefined
  if (marked && stored && marked.storeId !== stored.storeId) {
    throw new MillraceError('LOG_DAMAGED', 'The mark file belongs to another store.', {
      remedy: 'Put back the mark file of this store, or remove it if it is lost.',
    })
  }
  if (!marked) {
    if (stored && ledger.newest) {
      warn('The mark file is absent or torn: the end of the ledger cannot be checked. The epoch rises.')
      isEndUnknown = true
    }
  } else {
    if (!stored) {
      throw new MillraceError('LOG_DAMAGED', `The store is empty, but commit ${marked.commit} was acknowledged.`)
    }
    if (marked.synced || marked.clean) ledger.checkAgainst(marked.commit)
    else {
      // Without sync the kernel may have lost what was acknowledged: no number may be given twice.
      warn('The last run did not sync its commits and did not stop cleanly: sequence numbers jump and the epoch rises.')
      isEndUnknown = true
    }
  }
  const behindLedger = (ledger.newest?.last ?? 0) + 1
  if (isEndUnknown) {
    const sequenceFloor = Math.max(behindLedger, identity.sequenceFloor) + sequenceJump
    const { epoch, sequenceFloor: first, earlier = [] } = identity
    identity = { ...identity, epoch: epoch + 1, sequenceFloor, earlier: [...earlier, { epoch, first }] }
  }
  if (identity !== stored)
    await storage.write((batch) => batch.put(identityKey, Buffer.from(JSON.stringify(identity))), true)
  killPoint('open:identified')
  // From here on a stop is an unclean one until `close` says otherwise; relaxed mode must know that even after a power
  // failure, or it would give numbers twice.
  mark.open({ commit: ledger.newest?.commit ?? 0, synced, epoch: identity.epoch, storeId: identity.storeId })
  killPoint('open:marked')
  return new Commit({
    storage,
    ledger,
    mark,
    storeId: identity.storeId,
    epochs: [...(identity.earlier ?? []), { epoch: identity.epoch, first: identity.sequenceFloor }],
    nextSequence: Math.max(behindLedger, identity.sequenceFloor),
    synced,
    clock,
    limits,
    onPoisoned,
  })
}

/** Who a store is; undefined for one that was never opened whole. */
export async function readIdentity(storage: Storage): Promise<Identity | undefined> {
  const value = await storage.get(identityKey)
  return value ? (JSON.parse(value.toString()) as Identity) : undefined
}
