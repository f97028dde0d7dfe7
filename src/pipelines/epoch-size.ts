const bytesLeast = 64 * 1024
/** Records between two barriers, where what one chunk makes is too large for a commit: narrower with each that was. */
const recordsAtOnce = [256, 16, 1] as const
/** Commits after which so few records may be more again, at first and at most: twice as many after each time that it was too early. */
const recordsCommitsLeast = 32
const recordsCommitsMost = 4096
/** Commits after which an epoch that had to be cut may hold twice as much again. */
const commitsLeast = 256
const commitsMost = 65_536

/** How many times as much a pipeline reads between two barriers that stays behind and commits little: then all that it may. */
const stretchMax = 4
/** Of the largest effect set, what such a commit may have. */
const stretchedShare = 1 / 4
/**
 * Of the largest effect set, what the timers of one epoch may make of it, about: all of it, so that as many as can fire together do. What
 * the rows that were read meanwhile make comes on top; where that is too much, the epoch is cut, and this with it.
 */
const firedShare = 1
/** The same of what an epoch of few records may have. */
const narrowFiredShare = 1 / 32
/** What a changed row of state takes in the memory of a worker, which may not drop it before the commit, bytes. */
const changeBytes = 512

/** What an epoch came to. */
export interface EpochCommit {
  readonly bytes: number
  /** Rows of state and timers. */
  readonly changes: number
  /** The sources had more to read all the time. */
  readonly isBehind: boolean
}

export interface EpochBounds {
  readonly epochBytesMax: number
  readonly backlogBarrierMs: number
  readonly effectSetBytesMax: number
  readonly stateBytesMax: number
}

/**
 * How much a pipeline reads between two barriers, bytes: at first a quarter of the most that it may. What was too large for one commit is cut in half, and grows back:
 * the later, the more often it had to be cut. Where a backlog takes several commits, and these are small, they become fewer: a key
 * that changes often, or a window that opens and closes, costs a row in each commit that sees it.
 */
export class EpochSize {
  readonly #bounds: EpochBounds
  readonly #most: number
  #bytes: number
  #commits = 0
  #wait = commitsLeast / 2
  #stretch = 1
  /** Index into `recordsAtOnce`; -1: records are not counted. */
  #narrowness = -1
  #narrowCommits = 0
  #narrowWait = recordsCommitsLeast

  constructor(bounds: EpochBounds) {
    this.#bounds = bounds
    this.#most = Math.max(1, Math.floor(bounds.epochBytesMax / stretchMax))
    this.#bytes = this.#most
  }

  get bytes(): number {
    return this.#bytes * this.#stretch
  }

  /** How many records may be read between two barriers: of each shard, or one of all; undefined where bytes alone count. */
  get recordsMax(): number | undefined {
    return recordsAtOnce[this.#narrowness]
  }

  /** About how much timers may make between two barriers, bytes. */
  get firedBytesMax(): number {
    const share = this.recordsMax === undefined ? firedShare : narrowFiredShare
    return this.#bounds.effectSetBytesMax * share * this.share
  }

  /** The limits of a run, which follow it. */
  within<Limits extends Pick<EpochBounds, 'epochBytesMax' | 'backlogBarrierMs'>>(
    limits: Limits,
  ): Limits & { readonly recordsMax?: number | undefined; readonly firedBytesMax?: number | undefined } {
    return Object.defineProperties(
      { ...limits },
      {
        recordsMax: { enumerable: true, get: () => this.recordsMax },
        firedBytesMax: { get: () => this.firedBytesMax },
        epochBytesMax: { enumerable: true, get: () => this.bytes },
        backlogBarrierMs: { enumerable: true, get: () => limits.backlogBarrierMs * this.#stretch },
      },
    )
  }

  /** Of what it is without any cut. */
  get share(): number {
    return this.#bytes / this.#most
  }

  /** False where there is no less to try. */
  halve(): boolean {
    this.#stretch = 1
    if (this.#bytes <= bytesLeast) return this.#narrow()
    this.#bytes = Math.max(bytesLeast, Math.floor(this.#bytes / 2))
    this.#wait = Math.min(commitsMost, this.#wait * 2)
    this.#commits = 0
    return true
  }

  /** Where no fewer bytes can be read, since a chunk is read whole, fewer of its records are. */
  #narrow(): boolean {
    if (this.recordsMax === 1) return false
    if (this.#narrowness >= 0) this.#narrowWait = Math.min(recordsCommitsMost, this.#narrowWait * 2)
    this.#narrowness++
    this.#narrowCommits = 0
    return true
  }

  /** What was too large is known, and out of the way: nothing has to be cut for it any more. */
  reset(): void {
    this.#bytes = this.#most
    this.#commits = 0
    this.#wait = commitsLeast / 2
    this.#narrowness = -1
    this.#narrowWait = recordsCommitsLeast
  }

  committed(commit: EpochCommit): void {
    if (this.#narrowness >= 0) return this.#widen()
    this.#stretch = this.#nextStretch(commit)
    if (this.#bytes === this.#most || ++this.#commits < this.#wait) return
    this.#commits = 0
    this.#bytes = Math.min(this.#most, this.#bytes * 2)
  }

  #widen(): void {
    if (++this.#narrowCommits < this.#narrowWait) return
    this.#narrowCommits = 0
    this.#narrowness--
  }

  #nextStretch({ bytes, changes, isBehind }: EpochCommit): number {
    const { effectSetBytesMax, stateBytesMax } = this.#bounds
    if (!isBehind || this.#bytes < this.#most) return 1
    const load = Math.max(bytes / (stretchedShare * effectSetBytesMax), (changes * changeBytes) / stateBytesMax)
    if (load <= 1 / 2) return Math.min(stretchMax, this.#stretch * 2)
    return load > 1 ? Math.max(1, this.#stretch / 2) : this.#stretch
  }
}
