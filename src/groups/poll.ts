import type { Log, Sequence, ShardId } from '../log/index.js'
import type { Clock } from '../runtime/index.js'
import type { Member } from './member.js'

/** What a member asks for. */
export interface PollRequest {
  /** Where it goes on reading, for each shard that it wants records of. */
  readonly cursors: ReadonlyMap<ShardId, Sequence>
  /** Chunks are added while they are below this; 0 asks for none. */
  readonly bytesMax: number
  readonly waitMs: number
  /**
   * The generation of the last answer, whose leases the cursors are of. While it is still that one, the poll waits and may
   * give records; else it only says what there is now.
   */
  readonly generation: number | undefined
  /** Ends the wait: the connection broke, or the daemon stops. */
  readonly signal: AbortSignal
}

export interface AssignedShard {
  readonly shard: ShardId
  readonly lease: number
  /** The durable position: where to begin. */
  readonly next: Sequence
}

export interface PollPage {
  readonly shard: ShardId
  /** Whole chunks as they lie; records below the cursor in the first one must be skipped. */
  readonly chunks: readonly Buffer[]
  readonly next: Sequence
  /** The shard is sealed and nothing is left behind `next`: commit the position with `ended`. */
  readonly ended: boolean
  /** When no byte of the chunks is looked at any more; see LogPage. */
  readonly release?: () => void
}

export interface PollAnswer {
  readonly generation: number
  readonly assigned: readonly AssignedShard[]
  /** Shards to commit and release now. One that the member knows and that is in neither list is lost already. */
  readonly revoked: readonly ShardId[]
  readonly pages: readonly PollPage[]
  /** Bytes of all chunks. They count against the bound of all polls until `release`. */
  readonly bytes: number
  /** Idempotent. */
  readonly release: () => void
}

/** Bytes of the answers of all polls that are not sent yet: many slow readers must not fill the memory. */
export class PollBudget {
  readonly #bytesMax: number
  #held = 0
  readonly #waiting = new Set<Member>()

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get heldBytes(): number {
    return this.#held
  }

  /** Whether a member may read now; if not, it is woken when it may. */
  hasRoom(member: Member): boolean {
    if (this.#held < this.#bytesMax) return true
    this.#waiting.add(member)
    return false
  }

  take(bytes: number): () => void {
    this.#held += bytes
    let isReleased = false
    return () => {
      if (isReleased) return
      isReleased = true
      this.#held -= bytes
      if (this.#held >= this.#bytesMax) return
      for (const member of this.#waiting) member.wake()
      this.#waiting.clear()
    }
  }
}

type ReadLog = Pick<Log, 'shard' | 'read'> & { lastSequence(shard: ShardId): Sequence }

/** Whether a read of the shard would give something: costs no read. */
export function hasMore(log: ReadLog, shard: ShardId, next: Sequence): boolean {
  const description = log.shard(shard)
  return description !== undefined && (description.state === 'sealed' || log.lastSequence(shard) >= next)
}

/** Reads from each cursor in turn until there are enough bytes. Chunks are whole, so the last may go over. */
export async function readPages(
  log: ReadLog,
  member: Member,
  cursors: readonly (readonly [ShardId, Sequence])[],
  bytesMax: number,
): Promise<PollPage[]> {
  const pages: PollPage[] = []
  const first = member.turn++
  let left = bytesMax
  for (let i = 0; i < cursors.length && left > 0; i++) {
    const [shard, from] = cursors[(first + i) % cursors.length] as readonly [ShardId, Sequence]
    if (!hasMore(log, shard, from)) continue
    const page = await log.read(shard, from, { bytesMax: left })
    if (page.chunks.length === 0 && !page.ended) continue
    for (const chunk of page.chunks) left -= chunk.length
    pages.push({ shard, ...page })
  }
  return pages
}

/** Calls `wake` when the time is over or nobody waits any more. Returns what ends it. */
export function limitWait(clock: Clock, waitMs: number, signal: AbortSignal, over: () => void): () => void {
  const timer = clock.setTimeout(over, waitMs)
  signal.addEventListener('abort', over)
  return () => {
    timer.cancel()
    signal.removeEventListener('abort', over)
  }
}
