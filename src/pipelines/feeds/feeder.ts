import type { Commit, Placement } from '../../commit/index.js'
import type { Group } from '../../groups/index.js'
import type { Sequence, ShardedLog, StreamId } from '../../log/index.js'
import { asMillraceError, type Clock, killPoint, type Timer } from '../../runtime/index.js'
import type { Feed, FeedPart, FeedProgress, PartBounds } from './feed.js'
import { feedRow, type StoredFeed, storedFeed } from './feed-rows.js'

/** Records of one part. */
const recordsMax = 1000
/** Bytes of one part, about: it stays far below what one commit may hold. */
const partBytesMax = 1024 * 1024
/** Bytes of parts that the pipeline has not committed yet; past it the feed waits. */
const aheadBytesMax = 16 * 1024 * 1024
/** How long to leave a busy or full store alone. */
const retryMs = 200

export interface FeederOptions<Cursor> {
  readonly pipeline: number
  readonly stream: StreamId
  /** That which reads the stream. */
  readonly group: Group
  readonly feed: Feed<Cursor>
  readonly commit: Pick<Commit, 'submit' | 'readDurable'>
  readonly log: Pick<ShardedLog, 'stream' | 'closeStream'>
  readonly clock: Clock
}

/** A part that the pipeline has not passed. */
interface Ahead {
  readonly placed: Placement
  readonly bytes: number
}

/** Brings what a feed has into its stream, part by part, and closes the stream behind the last. */
export class Feeder<Cursor = unknown> {
  readonly #options: FeederOptions<Cursor>
  #isStopped = false
  #done: Promise<void> = Promise.resolve()
  #wake: (() => void) | undefined
  #timer: Timer | undefined
  #ahead: Ahead[] = []
  #at: Cursor | undefined

  constructor(options: FeederOptions<Cursor>) {
    this.#options = options
  }

  /** Goes on where its last commit left it. `onError`: it cannot go on. */
  start(onError: (error: unknown) => void): void {
    this.#done = this.#run()
      .catch((error: unknown) => {
        if (!this.#isStopped) onError(error)
      })
      .finally(() => this.#options.feed.close?.())
  }

  get progress(): FeedProgress | undefined {
    return this.#at === undefined ? undefined : this.#options.feed.progress?.(this.#at)
  }

  async #run(): Promise<void> {
    const { pipeline, stream, commit, feed, log } = this.#options
    const stored = await storedFeed<Cursor>(commit, pipeline, stream)
    let at: StoredFeed<Cursor> = stored ?? { cursor: feed.start, isEnd: false }
    let bounds: PartBounds = { recordsMax, bytesMax: partBytesMax }
    while (!at.isEnd) {
      await this.#room()
      if (this.#isStopped) return
      let part: FeedPart<Cursor> | undefined
      try {
        part = await feed.next(at.cursor, bounds)
        if (this.#isStopped) return
        at = await this.#bring(part)
      } catch (error) {
        const known = asMillraceError(error)
        const { code } = known
        if (code === 'EFFECT_TOO_LARGE' && bounds.recordsMax > 1)
          bounds = { recordsMax: bounds.recordsMax >> 1, bytesMax: bounds.bytesMax >> 1 }
        else if (code === 'TOO_BUSY' || code === 'STORAGE_FULL') await this.#pause()
        else if (code === 'EFFECT_TOO_LARGE' && part?.tooLarge) throw part.tooLarge(known)
        else throw error
      }
    }
    if (this.#isStopped || log.stream(stream)?.closedAt !== undefined) return
    await log.closeStream(stream)
    killPoint('feed:closed')
  }

  async #bring({ records, rows, cursor, isEnd, committed }: FeedPart<Cursor>): Promise<StoredFeed<Cursor>> {
    const { pipeline, stream, commit } = this.#options
    const at = { cursor, isEnd }
    const placed: Placement[] = []
    killPoint('feed:part')
    await commit.submit({
      rows: [...rows, feedRow(pipeline, stream, at)],
      records: records.length > 0 ? [{ stream, records, placed }] : [],
    })
    killPoint('feed:committed')
    this.#at = cursor
    committed?.()
    const bytes = records.reduce((sum, { body, key }) => sum + body.length + key.length, 0)
    const last = placed.at(-1)
    if (last) this.#ahead.push({ placed: last, bytes })
    return at
  }

  get #aheadBytes(): number {
    const { group } = this.#options
    this.#ahead = this.#ahead.filter(({ placed: { shard, firstSequence, count } }) => {
      const position = group.position(shard)
      return !(position && (position.ended || position.next >= ((firstSequence + count) as Sequence)))
    })
    return this.#ahead.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  async #room(): Promise<void> {
    while (!this.#isStopped && this.#aheadBytes >= aheadBytesMax)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }

  async #pause(): Promise<void> {
    if (this.#isStopped) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#timer = this.#options.clock.setTimeout(resolve, retryMs)
    })
    this.#timer?.cancel()
  }

  /** The pipeline has committed: there may be room again. */
  moved(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  stop(): void {
    this.#isStopped = true
    this.#options.feed.interrupt?.()
    this.moved()
  }

  /** Resolves when nothing of it is on its way into the store any more. Never rejects. */
  async ended(): Promise<void> {
    await this.#done
  }
}
