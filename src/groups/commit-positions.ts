import type { Placement, RecordEffect } from '../commit/index.js'
import type { Log, NewRecord, Sequence, ShardId, StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import type { DurableGroup } from './group.js'
import { goneError } from './groups.js'
import type { LeasedPosition } from './types.js'

/** Records that a member appends in the commit of its position. */
export interface Effect {
  readonly stream: StreamId
  readonly records: readonly NewRecord[]
}

export interface CommittedPositions {
  /** False when the group is there already: nothing was changed, and nothing appended. */
  readonly moved: boolean
  readonly commit?: number
  /** Where the records of each effect went, in the order of the effects. */
  readonly placed: readonly (readonly Placement[])[]
}

type ReadLog = Pick<Log, 'shard' | 'stream'> & { lastSequence(shard: ShardId): Sequence }

/** What is wrong with positions before anything is queued. Throws BAD_REQUEST. */
export function checkPositions(log: ReadLog, group: DurableGroup, positions: readonly LeasedPosition[]): void {
  // Records without a position could not be told from a resend of theirs.
  if (positions.length === 0) throw bad('There is no position to commit.')
  const seen = new Set<ShardId>()
  for (const { shard, next, ended } of positions) {
    if (seen.has(shard)) throw bad(`Shard ${shard} is named twice.`)
    seen.add(shard)
    const last = log.lastSequence(shard)
    // A start may lie above what is there; a member cannot go further than that by itself.
    const most = Math.max(last + 1, group.position(shard)?.next ?? 0)
    if (next > most) throw bad(`Shard ${shard} was written up to ${last}; the position ${next} would skip what comes.`)
    if (ended && (log.shard(shard)?.state !== 'sealed' || next <= last))
      throw bad(`Shard ${shard} has not ended at ${next}.`)
  }
}

export const fencedError = (group: string, shard: ShardId, lease: number): MillraceError =>
  new MillraceError('FENCED', `The lease ${lease} of the group ${group} on shard ${shard} is no longer the newest.`, {
    details: { group, shard, lease },
  })

/**
 * The check of a commit of positions when it is packed. Every lease must be the newest, and positions only go forward: a
 * set that moves nothing is the resend of one whose answer was lost, and its effects are there already.
 */
export class PositionGuard {
  readonly #log: ReadLog
  readonly #group: DurableGroup
  readonly #positions: readonly LeasedPosition[]
  readonly #effects: readonly RecordEffect[]
  /** Whether everything is there already; known after the packing. */
  isStored = false

  constructor(
    log: ReadLog,
    group: DurableGroup,
    positions: readonly LeasedPosition[],
    effects: readonly RecordEffect[],
  ) {
    this.#log = log
    this.#group = group
    this.#positions = positions
    this.#effects = effects
  }

  check(): MillraceError | undefined {
    const group = this.#group
    if (group.isDeleted) return goneError(group.name)
    let moves = 0
    for (const { shard, next, ended, lease } of this.#positions) {
      const now = group.packedPosition(shard)
      if (!now || now.lease !== lease) return fencedError(group.name, shard, lease)
      if (next < now.next || (now.ended && !ended))
        return new MillraceError('CONFLICT', `The group ${group.name} is at ${now.next} in shard ${shard} already.`, {
          details: { shard, next: now.next, ended: now.ended },
        })
      if (next > now.next || ended !== now.ended) moves++
    }
    for (const { stream } of this.#effects) {
      const description = this.#log.stream(stream)
      if (!description || description.closedAt !== undefined)
        return new MillraceError('NOT_FOUND', `The stream ${description?.name ?? stream} was deleted.`)
    }
    if (moves > 0) return undefined
    this.isStored = true
    return new MillraceError('CONFLICT', 'The group is there already.')
  }
}

const bad = (message: string): MillraceError => new MillraceError('BAD_REQUEST', message)
