import { joinPositions, type Position } from '../groups/index.js'
import type { Log, Sequence, ShardId, StreamId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'

export type ReadLog = Pick<Log, 'shards' | 'shard' | 'stream' | 'read' | 'nextSequence' | 'onChange'> & {
  lastSequence(shard: ShardId): Sequence
}

/**
 * Where a reader is in each shard of a stream. As a group's positions, by the same rule (parents before children), but in memory:
 * what is made of the records is in memory, too.
 */
export class ShardPositions {
  readonly stream: StreamId
  readonly #log: Pick<ReadLog, 'shards' | 'shard'>
  readonly #positions: Map<ShardId, Position>

  constructor(log: Pick<ReadLog, 'shards' | 'shard'>, stream: StreamId, from: Sequence) {
    this.#log = log
    this.stream = stream
    this.#positions = new Map(joinPositions(log.shards(stream), from).map((position) => [position.shard, position]))
  }

  positions(): readonly Position[] {
    return [...this.#positions.values()]
  }

  /** The shards that may be read. Throws TRIMMED where one is gone that was not read to its end. */
  readable(): readonly Position[] {
    for (const { shard, ended } of this.#positions.values())
      if (!ended && !this.#log.shard(shard))
        throw new MillraceError('TRIMMED', `The shard ${shard} is gone, and was not read to its end.`)
    return this.#log.shards(this.stream).flatMap(({ id, parents, firstSequence }) => {
      const position = this.#positions.get(id)
      if (position) return position.ended ? [] : [position]
      const isOpened = parents.length > 0 && parents.every((parent) => this.#positions.get(parent)?.ended)
      return isOpened ? [{ shard: id, next: firstSequence, ended: false }] : []
    })
  }

  moved(position: Position): void {
    this.#positions.set(position.shard, position)
  }
}
