import type { Layout, ShardState, StreamState } from './layout.js'

/** What the commit that is being packed, or is in flight, changes of the layout: it shows when that has returned. */
export class ChangesInFlight {
  readonly #layout: Layout
  #streams = new Set<StreamState>()
  #shards: ShardState[] = []

  constructor(layout: Layout) {
    this.#layout = layout
  }

  add(stream: StreamState, shard?: ShardState): void {
    this.#streams.add(stream)
    if (shard) this.#shards.push(shard)
  }

  /** A shard shows as it is now when the commit has returned. */
  touch(shard: ShardState): void {
    this.#shards.push(shard)
    this.touchStreamOf(shard)
  }

  touchStreamOf(shard: ShardState): void {
    const stream = this.#layout.stream(shard.shard.stream)
    if (stream) this.#streams.add(stream)
  }

  /** The commit has returned. Gives back the streams of which something changed. */
  show(): ReadonlySet<StreamState> {
    for (const state of this.#shards) state.visible = state.shard
    const streams = this.#streams
    this.#shards = []
    if (streams.size > 0) this.#streams = new Set()
    return streams
  }
}
