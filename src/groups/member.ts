/** One member of a group: a session, and at most one poll that waits. It lives in memory only. */
export class Member {
  readonly id: string
  /** Monotonic time of the last sign of life. */
  lastSeen: number
  /** Raised whenever the shards that it holds or must give back change; a poll says which it knows. */
  generation = 1
  /** Polls that are being answered; a member that waits in one is alive. */
  polls = 0
  /** Number of its newest poll: one that comes while another waits ends that one. */
  newestPoll = 0
  /** Where the next poll begins to read, so that no shard starves behind the others. */
  turn = 0
  isGone = false
  #wake: (() => void) | undefined
  #isStarved: (() => boolean) | undefined

  constructor(id: string, now: number) {
    this.id = id
    this.lastSeen = now
  }

  changed(): void {
    this.generation++
    this.wake()
  }

  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  /** Wakes the poll that waits if there is something for it. */
  wakeIfFed(): void {
    if (this.#wake && this.#isStarved?.() === false) this.wake()
  }

  /** Resolves with the next wake, and wakes who slept before. */
  sleep(isStarved: () => boolean): Promise<void> {
    this.wake()
    this.#isStarved = isStarved
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
