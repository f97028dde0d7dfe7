import type { LogPage, Sequence, ShardedLog, ShardId } from '../../log/index.js'
import type { Clock } from '../../runtime/index.js'

/** Pages that are kept or being read; a reader has two at most, what is left of one and the one behind it. */
const pagesMax = 16
/** A page that nobody asked for by then goes. */
const keptMsMax = 5000

interface Kept {
  readonly page: LogPage | Promise<LogPage>
  /** By the monotonic clock. */
  readonly since: number
}

/**
 * What a reader of change records is going to ask for next. A page of the log ends in the midst of a chunk, and what is left of
 * it is kept: a reader that asks for ten records at a time would read and check hundreds of kilobytes for each ten. The page
 * behind it is read while its reader is still busy with the records that it got.
 *
 * Readers have no state in the daemon, so pages go by the place where they begin. What comes from the tail cache is not kept:
 * that memory is written again.
 */
export class ReadAhead {
  readonly #log: Pick<ShardedLog, 'read' | 'shard' | 'lastSequence'>
  readonly #clock: Clock
  /** Oldest first. */
  readonly #kept = new Map<string, Kept>()
  #isSweeping = false

  constructor(log: Pick<ShardedLog, 'read' | 'shard' | 'lastSequence'>, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  /** As `Log.read`, of what is there already where it is. */
  read(shard: ShardId, from: Sequence, bytesMax: number): LogPage | Promise<LogPage> {
    const kept = this.#take(nameOf(shard, from))
    // The log would say that they are trimmed.
    const isThere = kept && from >= (this.#log.shard(shard)?.lowWatermark ?? Number.POSITIVE_INFINITY)
    if (isThere) return kept.page
    if (kept) drop(kept)
    return this.#log.read(shard, from, { bytesMax })
  }

  /**
   * A reader goes on at `next`, and what is left of the page that it was in is `rest`: at least one chunk, or none when the
   * page was read to its end. The page behind is read now, unless the rest has as much.
   */
  keep(shard: ShardId, next: Sequence, rest: LogPage, bytesMax: number): void {
    let bytes = 0
    for (const chunk of rest.chunks) bytes += chunk.length
    if (bytes > 0) this.#add(nameOf(shard, next), rest)
    if (rest.ended || bytes >= bytesMax) return
    // Its stream may have been deleted meanwhile.
    if (!this.#log.shard(shard) || rest.next > this.#log.lastSequence(shard)) return
    const behind = nameOf(shard, rest.next)
    if (this.#kept.has(behind)) return
    const page = this.#log.read(shard, rest.next, { bytesMax })
    // Should nobody ask for it, nobody waits for it.
    page.catch(() => {})
    this.#add(behind, page)
  }

  #take(name: string): Kept | undefined {
    const kept = this.#kept.get(name)
    this.#kept.delete(name)
    return kept
  }

  #add(name: string, page: LogPage | Promise<LogPage>): void {
    const replaced = this.#take(name)
    if (replaced) drop(replaced)
    this.#kept.set(name, { page, since: this.#clock.monotonic() })
    if (this.#kept.size > pagesMax) this.#dropOldest()
    if (!this.#isSweeping) this.#sweepLater()
  }

  #dropOldest(): void {
    const [name, kept] = this.#kept.entries().next().value as [string, Kept]
    this.#kept.delete(name)
    drop(kept)
  }

  #sweepLater(): void {
    this.#isSweeping = true
    this.#clock.setTimeout(() => {
      const until = this.#clock.monotonic() - keptMsMax
      for (const [name, kept] of this.#kept) {
        if (kept.since > until) break
        this.#kept.delete(name)
        drop(kept)
      }
      this.#isSweeping = false
      if (this.#kept.size > 0) this.#sweepLater()
    }, keptMsMax)
  }
}

const nameOf = (shard: ShardId, from: Sequence): string => `${shard}:${from}`

/** Its memory may be written again, where it is of the tail cache. */
function drop({ page }: Kept): void {
  if (page instanceof Promise)
    page.then(
      ({ release }) => release?.(),
      () => {},
    )
  else page.release?.()
}
