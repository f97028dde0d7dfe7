import type { Cut, Mark, Sequence, Shard, ShardedLog, ShardId, StreamId } from '../log/index.js'
import { isTrimmedAway } from '../log/index.js'
import { isEnd, MarkCursor } from './mark-cursor.js'
import type { Bounds } from './policy.js'

/** From which number on somebody who holds the floor still needs a shard; undefined when nobody does. */
export type FloorOf = (shard: Shard) => Sequence | undefined

/** What one look at a stream has found. */
export interface Plan {
  readonly cuts: readonly Cut[]
  /** Bytes past the bounds that are kept because a group holds them. */
  readonly heldBytes: number
}

/**
 * What of one stream may go. Per shard a cursor stands at the oldest mark that the bounds still keep; it only moves on, so
 * that a look at a stream of which nothing is due costs no look into the store.
 */
export class StreamRetention {
  readonly #log: ShardedLog
  readonly #stream: StreamId
  readonly #cursors = new Map<ShardId, MarkCursor>()
  #bounds = ''

  constructor(log: ShardedLog, stream: StreamId) {
    this.#log = log
    this.#stream = stream
  }

  /**
   * @param bounds the bounds that hold now
   * @param now commit time, or undefined while the clock is not believed: then nothing goes because of its age
   */
  async plan(bounds: Bounds, now: number | undefined, floorOf: FloorOf, heldBytesMax: number): Promise<Plan> {
    const key = JSON.stringify(bounds)
    // Other bounds may keep what the cursors have passed.
    if (key !== this.#bounds) this.#cursors.clear()
    this.#bounds = key
    const shards = this.#log.shards(this.#stream).filter((shard) => !isTrimmedAway(shard))
    const cursors = await this.#open(shards)
    const keptFrom = bounds.keptMs === 0 ? Number.POSITIVE_INFINITY : now === undefined ? 0 : now - bounds.keptMs
    if (bounds.ms !== undefined && now !== undefined) await passOld(cursors, Math.min(now - bounds.ms, keptFrom))
    if (bounds.bytes !== undefined) await this.#passExcess(shards, cursors, bounds.bytes, keptFrom)
    const due = shards.filter((shard) => isWorthwhile(shard, this.#dueOf(shard)))
    const { marks, heldBytes } = await this.#aboveFloors(due, floorOf, heldBytesMax)
    const cuts = due.flatMap((shard) => {
      const to = marks.get(shard.id)
      return to && isWorthwhile(shard, to) ? [{ shard: shard.id, to: to.first }] : []
    })
    return { cuts, heldBytes }
  }

  /** Up to where the bounds let a shard go. */
  #dueOf(shard: Shard): Mark {
    return (this.#cursors.get(shard.id) as MarkCursor).at
  }

  async #open(shards: readonly Shard[]): Promise<MarkCursor[]> {
    const known = new Set(shards.map((shard) => shard.id))
    for (const id of this.#cursors.keys()) if (!known.has(id)) this.#cursors.delete(id)
    const cursors: MarkCursor[] = []
    for (const { id, lowWatermark, trimmed } of shards) {
      let cursor = this.#cursors.get(id)
      if (!cursor) {
        cursor = await MarkCursor.open(this.#log, id, lowWatermark, trimmed?.bytes ?? 0)
        this.#cursors.set(id, cursor)
      }
      cursors.push(cursor)
    }
    return cursors
  }

  /** The oldest records of all shards go first, and never so much that less than `bytes` are left. */
  async #passExcess(shards: readonly Shard[], cursors: readonly MarkCursor[], bytes: number, keptFrom: number) {
    let kept = this.#log.bytesOf(this.#stream)
    shards.forEach((shard, i) => {
      kept -= (cursors[i] as MarkCursor).at.bytes - (shard.trimmed?.bytes ?? 0)
    })
    const waiting = new Set(cursors)
    while (kept > bytes) {
      const oldest = oldestOf(waiting)
      if (!oldest) return
      const next = await oldest.next()
      const size = next ? next.bytes - oldest.at.bytes : 0
      if (!next || next.timeBefore > keptFrom || kept - size < bytes) {
        waiting.delete(oldest)
        // What is younger than something that must stay, stays too.
        if (next) return
        continue
      }
      oldest.pass()
      kept -= size
    }
  }

  async #aboveFloors(due: readonly Shard[], floorOf: FloorOf, heldBytesMax: number) {
    const marks = new Map<ShardId, Mark>()
    const held: { shard: Shard; from: Mark | undefined }[] = []
    let heldBytes = 0
    for (const shard of due) {
      const at = this.#dueOf(shard)
      const floor = floorOf(shard)
      if (floor === undefined || floor > at.previous) {
        marks.set(shard.id, at)
        continue
      }
      const from = floor <= shard.lowWatermark ? undefined : await this.#log.trimmer.markAt(shard.id, floor)
      if (from) marks.set(shard.id, from)
      held.push({ shard, from })
      heldBytes += at.bytes - (from?.bytes ?? trimmedBytes(shard))
    }
    if (heldBytes > heldBytesMax) heldBytes = await this.#pastFloors(held, marks, heldBytes, heldBytesMax)
    return { marks, heldBytes: Math.max(0, heldBytes) }
  }

  /** Takes from those who hold too much, the oldest records of all shards first. Returns what they still hold. */
  async #pastFloors(
    held: readonly { shard: Shard; from: Mark | undefined }[],
    marks: Map<ShardId, Mark>,
    heldBytes: number,
    heldBytesMax: number,
  ): Promise<number> {
    const waiting = new Map<MarkCursor, Mark>()
    for (const { shard, from } of held) {
      const first = from?.first ?? shard.lowWatermark
      const cursor = await MarkCursor.open(this.#log, shard.id, first, from?.bytes ?? trimmedBytes(shard))
      waiting.set(cursor, this.#dueOf(shard))
    }
    let left = heldBytes
    while (left > heldBytesMax) {
      const oldest = oldestOf(waiting.keys())
      if (!oldest) break
      const next = await oldest.next()
      if (!next || next.first > (waiting.get(oldest) as Mark).first) {
        waiting.delete(oldest)
        continue
      }
      left -= next.bytes - oldest.at.bytes
      oldest.pass()
      marks.set(oldest.shard, next)
    }
    return left
  }
}

const trimmedBytes = (shard: Shard): number => shard.trimmed?.bytes ?? 0

/** Whether trimming up to a mark takes anything away; a sealed shard is taken off even when it holds nothing. */
function isWorthwhile(shard: Shard, to: Mark): boolean {
  if (isEnd(to) && shard.state === 'sealed') return true
  return to.previous >= shard.lowWatermark && to.previous > shard.firstSequence
}

/** Passes what holds no record younger than `until`. */
async function passOld(cursors: readonly MarkCursor[], until: number): Promise<void> {
  for (const cursor of cursors) {
    // Times never go back: a mark that was too young stays the first that is.
    while (!cursor.known || cursor.known.timeBefore <= until) {
      const next = await cursor.next()
      if (!next || next.timeBefore > until) break
      cursor.pass()
    }
  }
}

function oldestOf(cursors: Iterable<MarkCursor>): MarkCursor | undefined {
  let oldest: MarkCursor | undefined
  for (const cursor of cursors) if (!oldest || cursor.at.first < oldest.at.first) oldest = cursor
  return oldest
}
