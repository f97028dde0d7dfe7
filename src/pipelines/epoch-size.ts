const bytesLeast = 64 * 1024
/** Commits after which an epoch that had to be cut may hold twice as much again. */
const commitsLeast = 256
const commitsMost = 65_536

/** How many times as much a pipeline reads between two barriers that stays behind and commits little. */
const stretchMax = 4
/** Of the largest effect set, what such a commit may have. */
const stretchedShare = 1 / 4
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
 * How much a pipeline reads between two barriers, bytes. What was too large for one commit is cut in half, and grows back:
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

  constructor(bounds: EpochBounds) {
    this.#bounds = bounds
    this.#most = bounds.epochBytesMax
    this.#bytes = this.#most
  }

  get bytes(): number {
    return this.#bytes * this.#stretch
  }

  /** The limits of a run, which follow it. */
  within<Limits extends Pick<EpochBounds, 'epochBytesMax' | 'backlogBarrierMs'>>(limits: Limits): Limits {
    return Object.defineProperties(
      { ...limits },
      {
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
    if (this.#bytes <= bytesLeast) return false
    this.#bytes = Math.max(bytesLeast, Math.floor(this.#bytes / 2))
    this.#wait = Math.min(commitsMost, this.#wait * 2)
    this.#commits = 0
    return true
  }

  committed(commit: EpochCommit): void {
    this.#stretch = this.#nextStretch(commit)
    if (this.#bytes === this.#most || ++this.#commits < this.#wait) return
    this.#commits = 0
    this.#bytes = Math.min(this.#most, this.#bytes * 2)
  }
  #nextStretch({ bytes, changes, isBehind }: EpochCommit): number {
    const { effectSetBytesMax, stateBytesMax } = this.#bounds
    if (!isBehind || this.#bytes < this.#most) return 1
    const load = Math.max(bytes / (stretchedShare * effectSetBytesMax), (changes * changeBytes) / stateBytesMax)
    if (load <= 1 / 2) return Math.min(stretchMax, this.#stretch * 2)
    return load > 1 ? Math.max(1, this.#stretch / 2) : this.#stretch
  }
}
