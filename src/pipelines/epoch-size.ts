const bytesLeast = 64 * 1024
/** Commits after which an epoch that had to be cut may hold twice as much again. */
const commitsLeast = 256
const commitsMost = 65_536

/**
 * How much a pipeline reads between two barriers, bytes. What was too large for one commit is cut in half, and grows back:
 * the later, the more often it had to be cut.
 */
export class EpochSize {
  readonly #most: number
  #bytes: number
  #commits = 0
  #wait = commitsLeast / 2

  constructor(most: number) {
    this.#most = most
    this.#bytes = most
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The limits of a run, which follow it. */
  within<Limits extends { readonly epochBytesMax: number }>(limits: Limits): Limits {
    return Object.defineProperty({ ...limits }, 'epochBytesMax', { enumerable: true, get: () => this.#bytes })
  }

  /** Of what it is without any cut. */
  get share(): number {
    return this.#bytes / this.#most
  }

  /** False where there is no less to try. */
  halve(): boolean {
    if (this.#bytes <= bytesLeast) return false
    this.#bytes = Math.max(bytesLeast, Math.floor(this.#bytes / 2))
    this.#wait = Math.min(commitsMost, this.#wait * 2)
    this.#commits = 0
    return true
  }

  committed(): void {
    if (this.#bytes === this.#most || ++this.#commits < this.#wait) return
    this.#commits = 0
    this.#bytes = Math.min(this.#most, this.#bytes * 2)
  }
}
