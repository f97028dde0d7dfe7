import type { CommitPath, RowEffect } from '../commit/index.js'
import type { Group, Position } from '../groups/index.js'
import type { ShardId } from '../log/index.js'
import type { Clock, Timer } from '../runtime/index.js'

/**
 * Between two commits of positions. Each is a synced write, and what it saves is repeated deliveries after a crash; the
 * end of a shard is written at once, since its children wait for it.
 */
export const positionIntervalMs = 50

export interface PositionWriterOptions {
  readonly commit: Pick<CommitPath, 'submit'>
  readonly group: Group
  readonly clock: Clock
  /** More rows for the commit in which positions move. */
  readonly more: (positions: readonly Position[]) => readonly RowEffect[]
  /** After each commit. */
  readonly onMoved: () => void
  readonly onFailure: (error: unknown) => void
}

/** Writes what the broker has acknowledged as the group's position: one commit in flight, the newest position of each shard. */
export class PositionWriter {
  readonly #options: PositionWriterOptions
  #due = new Map<ShardId, Position>()
  #writing: Promise<void> | undefined
  #timer: Timer | undefined
  #failed = false

  constructor(options: PositionWriterOptions) {
    this.#options = options
  }

  acknowledged(positions: readonly Position[]): void {
    if (this.#failed) return
    for (const position of positions) this.#due.set(position.shard, position)
    if (positions.some((position) => position.ended)) this.#write()
    else if (!this.#timer && !this.#writing) this.#schedule()
  }

  /** Resolves when everything acknowledged so far is durable, or the write has failed. */
  async flush(): Promise<void> {
    while (this.#writing || (this.#due.size > 0 && !this.#failed)) {
      this.#write()
      await this.#writing
    }
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined
      this.#write()
    }, positionIntervalMs)
  }

  #write(): void {
    if (this.#writing || this.#failed || this.#due.size === 0) return
    this.#timer?.cancel()
    this.#timer = undefined
    const positions = [...this.#due.values()]
    this.#due = new Map()
    this.#writing = this.#commit(positions).finally(() => {
      this.#writing = undefined
      if (this.#due.size === 0 || this.#failed) return
      if ([...this.#due.values()].some((position) => position.ended)) this.#write()
      else if (!this.#timer) this.#schedule()
    })
  }

  async #commit(positions: readonly Position[]): Promise<void> {
    const { commit, group, more, onMoved, onFailure } = this.#options
    try {
      await commit.submit({ rows: [...group.rowsFor(positions), ...more(positions)], essential: true })
      group.moved(positions)
      onMoved()
    } catch (error) {
      this.#failed = true
      onFailure(error)
    }
  }
}
