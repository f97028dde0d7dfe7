import type { Position } from '../groups/index.js'
import type { Log, ShardId, StreamId } from '../log/index.js'

type CountedLog = Pick<Log, 'shards' | 'shard' | 'recordsIn' | 'recordsBefore'>

/**
 * How many records of its stream a bridge has not delivered: what its shards hold, less what lies before where it stands. The
 * log is asked once for each standing; from then on what is delivered is added.
 */
export class Backlog {
  readonly #log: CountedLog
  readonly #stream: StreamId
  /** Per shard: how many records lie before where the bridge stands. A shard that came later is at its beginning. */
  #passed = new Map<ShardId, number>()
  #ended = new Set<ShardId>()
  #isCounted = false
  #standings = 0

  constructor(log: CountedLog, stream: StreamId) {
    this.#log = log
    this.#stream = stream
  }

  /** The bridge stands there from now on. */
  async stand(positions: readonly Position[]): Promise<void> {
    const standing = ++this.#standings
    const ended = new Set(positions.filter((position) => position.ended).map(({ shard }) => shard))
    const next = new Map(positions.map((position) => [position.shard, position.next]))
    const passed = new Map<ShardId, number>()
    let isCounted = true
    for (const { id, firstSequence, lowWatermark } of this.#log.shards(this.#stream)) {
      if (ended.has(id)) continue
      const from = next.get(id) ?? firstSequence
      const records = await this.#before(id, Math.max(from, lowWatermark) as Position['next'])
      if (records === undefined) isCounted = false
      else passed.set(id, records)
    }
    if (standing !== this.#standings) return
    this.#passed = passed
    this.#ended = ended
    this.#isCounted = isCounted
  }

  /** One that retention takes away meanwhile has nothing before it. */
  async #before(id: ShardId, from: Position['next']): Promise<number | undefined> {
    if (!this.#log.shard(id)) return 0
    return this.#log.recordsBefore(id, from)
  }

  /** The brokers have so many more records of each shard, and everything of the shards that have ended. */
  delivered(records: ReadonlyMap<ShardId, number>, positions: readonly Position[]): void {
    for (const [shard, count] of records) this.#passed.set(shard, (this.#passed.get(shard) ?? 0) + count)
    for (const { shard, ended } of positions) if (ended) this.#ended.add(shard)
  }

  /** Undefined while it is not known: before the first standing, and where a shard began before records were counted. */
  get records(): number | undefined {
    if (!this.#isCounted) return undefined
    let records = 0
    for (const { id } of this.#log.shards(this.#stream)) {
      if (this.#ended.has(id)) continue
      const all = this.#log.recordsIn(id)
      if (all === undefined) return undefined
      records += Math.max(0, all - (this.#passed.get(id) ?? 0))
    }
    return records
  }
}
