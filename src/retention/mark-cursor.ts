import type { Mark, Sequence, ShardId, Trimmer } from '../log/index.js'

const pageMarks = 256

/** What a cursor must know of its shard. */
export interface CursorSource {
  readonly trimmer: Pick<Trimmer, 'marks'>
  lastSequence(shard: ShardId): Sequence
}

/** Walks over the marks of a shard, oldest first, a page at a time. What lies between two marks goes as one. */
export class MarkCursor {
  readonly shard: ShardId
  readonly #source: CursorSource
  /** Everything before it has been passed. */
  at: Mark
  #next: Mark[] = []

  private constructor(source: CursorSource, shard: ShardId, at: Mark) {
    this.#source = source
    this.shard = shard
    this.at = at
  }

  /** Begins at the oldest mark from `from` on; `bytes` of the shard lie before it. */
  static async open(source: CursorSource, shard: ShardId, from: Sequence, bytes: number): Promise<MarkCursor> {
    const begin: Mark = { first: from, previous: (from - 1) as Sequence, time: 0, timeBefore: 0, bytes, segment: 0 }
    const cursor = new MarkCursor(source, shard, begin)
    await cursor.#load()
    return cursor
  }

  /** The mark behind the one it stands at, or undefined when it stands at the end of the shard. */
  async next(): Promise<Mark | undefined> {
    const known = this.#next[0]
    if (known && !isEnd(known)) return known
    if (!known && isEnd(this.at) && this.#source.lastSequence(this.shard) < this.at.first) return undefined
    // The end that was seen may not be it any more.
    await this.#load()
    return this.#next[0]
  }

  /** As `next`, as it was when it was last looked at: what comes later is younger. */
  get known(): Mark | undefined {
    return this.#next[0]
  }

  pass(): void {
    const next = this.#next.shift()
    if (next) this.at = next
  }

  async #load(): Promise<void> {
    const marks = await this.#source.trimmer.marks(this.shard, this.at.first, pageMarks)
    const [first, ...others] = marks
    if (!first) return
    if (isEnd(first)) {
      this.#next = isEnd(this.at) && first.first === this.at.first ? [] : [first]
    } else {
      // The oldest mark that there is: nothing lies between it and where the cursor stands.
      if (first.first !== this.at.first || isEnd(this.at)) this.at = first
      this.#next = others
    }
  }
}

export const isEnd = (mark: Mark): boolean => mark.segment === undefined
