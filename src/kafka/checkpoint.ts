import type { Position } from '../groups/index.js'
import type { Sequence, Shard, ShardId } from '../log/index.js'
import { MillraceError } from '../runtime/index.js'
import type { BridgeLogger, CommittedMessage, KafkaMessage } from './types.js'

/** Behind the name of a topic; the checkpoints of every bridge into that topic. */
export const checkpointTopicOf = (topic: string): string => `${topic}.checkpoints`

export interface CheckpointOptions {
  readonly topic: string
  readonly bridge: string
  /** Given to each bridge when it is made, so that one of the same name that was deleted before is told from it. */
  readonly instance: string
  readonly transactionalId: string
  readonly store: { readonly id: string; readonly epoch: number }
  /** The shards of the source that the store has. */
  readonly shards: () => readonly Shard[]
  /** Where a bridge that is new begins. */
  readonly start: () => readonly Position[]
  /** Whether a checkpoint was written before. */
  readonly isBegun: () => boolean
  readonly logger: BridgeLogger
}

/** A message's value: the position of a shard, or with `run` a barrier. */
interface Entry {
  readonly store: string
  readonly instance: string
  readonly epoch: number
  readonly next?: number
  readonly ended?: boolean
  readonly run?: string
}

/**
 * Where a bridge stands, as Kafka has it: a message for each shard in a compacted topic, written in the transaction that has
 * the shard's records. Messages of a key are `{bridge, shard}`; barriers, which a start writes to fence whoever ran before and to
 * know how far to read, are `{bridge}`.
 */
export class Checkpoint {
  readonly #options: CheckpointOptions
  readonly #positions = new Map<ShardId, Position>()
  /** Shards with a message that nobody needs any more. */
  #forgotten: ShardId[] = []
  readonly #found = new Map<ShardId, Entry>()
  /** The newest barrier. */
  #newest: string | undefined
  #isNew = false

  constructor(options: CheckpointOptions) {
    this.#options = options
  }

  /** Whether nothing of this bridge was there, so that it begins. */
  get isNew(): boolean {
    return this.#isNew
  }

  barrier(run: string): KafkaMessage {
    const { store, instance, bridge } = this.#options
    return message({ bridge }, { store: store.id, instance, epoch: store.epoch, run } satisfies Entry)
  }

  /** Takes what the topic has, in its order. Returns the run of a barrier. */
  take({ key, value }: CommittedMessage): string | undefined {
    const at = parsed(key) as { bridge?: unknown; shard?: unknown; look?: unknown } | undefined
    if (at?.bridge !== this.#options.bridge) return undefined
    // Older versions marked with these how far they had to read.
    if (at.look !== undefined) return undefined
    const entry = value === null ? undefined : (parsed(value) as Entry | undefined)
    if (typeof at.shard !== 'number') {
      if (!entry?.run) return undefined
      this.#check(entry)
      this.#newest = entry.run
      return entry.run
    }
    const shard = at.shard as ShardId
    if (!entry) this.#found.delete(shard)
    else {
      this.#check(entry)
      this.#found.set(shard, entry)
    }
    return undefined
  }

  /** Throws KAFKA_REFUSED when the newest barrier is of none of the given runs: somebody else has written it. */
  checkNewest(runs: ReadonlySet<string>): void {
    if (this.#newest === undefined || runs.has(this.#newest)) return
    const { bridge, topic } = this.#options
    throw refused(
      `Another program has taken over the bridge ${bridge} to ${topic}: a copy of this store is running.`,
      'Stop one of the two, or delete its bridge.',
    )
  }

  /** Decides where to begin, after the own barrier was taken. */
  settle(): void {
    const { instance, isBegun, start, topic, bridge } = this.#options
    const own = [...this.#found].filter(([, entry]) => entry.instance === instance)
    this.#forgotten = [...this.#found].filter(([, entry]) => entry.instance !== instance).map(([shard]) => shard)
    if (own.length > 0) {
      for (const [shard, entry] of own) this.#resume(shard, entry)
      return
    }
    if (isBegun())
      throw refused(
        `The checkpoint of the bridge ${bridge} in ${checkpointTopicOf(topic)} is gone: nobody knows what ${topic} has.`,
        `Say where to go on: \`millrace bridges seek ${bridge} --to oldest\` (or newest, or a time).`,
      )
    this.#isNew = true
    for (const position of start()) this.#positions.set(position.shard, position)
    this.#forgotten = this.#forgotten.filter((shard) => !this.#positions.has(shard))
  }

  positions(): readonly Position[] {
    return [...this.#positions.values()]
  }

  readable(): readonly Position[] {
    return this.#options.shards().flatMap((shard) => {
      const position = this.#positions.get(shard.id)
      if (position) return position.ended ? [] : [position]
      const opens = shard.parents.length > 0 && shard.parents.every((parent) => this.#positions.get(parent)?.ended)
      return opens ? [{ shard: shard.id, next: shard.firstSequence, ended: false }] : []
    })
  }

  /** What a transaction that moves there writes. */
  messages(positions: readonly Position[]): KafkaMessage[] {
    const { store, instance, bridge } = this.#options
    const at = (shard: ShardId) => ({ bridge, shard })
    const moved = new Set(positions.map(({ shard }) => shard))
    const written = positions.map(({ shard, next, ended }) =>
      message(at(shard), { store: store.id, instance, epoch: store.epoch, next, ended } satisfies Entry),
    )
    const gone = this.#forgotten.filter((shard) => !moved.has(shard))
    return [...written, ...gone.map((shard) => message(at(shard), null))]
  }

  /** The transaction is committed. */
  moved(positions: readonly Position[]): void {
    for (const position of positions) this.#positions.set(position.shard, position)
    this.#forgotten = positions.some(({ ended }) => ended) ? this.#forget() : []
  }

  /** A parent that retention took away says that its children may be read, until each has a position of its own. */
  #forget(): ShardId[] {
    const shards = this.#options.shards()
    const kept = new Set(shards.map(({ id }) => id))
    for (const { id, parents } of shards) if (!this.#positions.has(id)) for (const parent of parents) kept.add(parent)
    const gone = [...this.#positions.keys()].filter((shard) => !kept.has(shard))
    for (const shard of gone) this.#positions.delete(shard)
    return gone
  }

  #check({ store, epoch }: Entry): void {
    const { store: own, topic, bridge } = this.#options
    if (store !== own.id)
      throw refused(
        `${checkpointTopicOf(topic)} has checkpoints of a bridge ${bridge} of another store (${store}).`,
        'Give this bridge another name or another topic.',
      )
    if (epoch > own.epoch)
      throw refused(
        `${topic} was written by a newer life of this store (epoch ${epoch}, here ${own.epoch}): this is an older copy.`,
        'Run the newer one; or delete this bridge and create one to another topic.',
      )
  }

  /** A store that was restored from a copy may lack what Kafka has; its numbers go on behind those that were given. */
  #resume(id: ShardId, { epoch, next = 0, ended = false }: Entry): void {
    const { store, shards, logger, topic, bridge } = this.#options
    const position = { shard: id, next: next as Sequence, ended }
    if (epoch === store.epoch) return void this.#positions.set(id, position)
    const shard = shards().find((each) => each.id === id)
    if (!shard || next < shard.firstSequence) {
      if (!shard && ended) this.#positions.set(id, position)
      else logger.warn({ bridge, topic, shard: id, next }, 'Kafka has records of a shard that this store lost')
      return
    }
    const isEnded = shard.lastSequence !== undefined && shard.lastSequence < next
    if (ended && !isEnded)
      logger.warn({ bridge, topic, shard: id, next }, 'Kafka has records of a shard that this store lost')
    this.#positions.set(id, { shard: id, next: next as Sequence, ended: isEnded })
  }
}

const refused = (message: string, remedy: string): MillraceError =>
  new MillraceError('KAFKA_REFUSED', message, { remedy })

const message = (key: object, value: object | null): KafkaMessage => ({
  key: Buffer.from(JSON.stringify(key)),
  value: value && Buffer.from(JSON.stringify(value)),
  partition: 0,
  timestamp: Date.now(),
  headers: {},
})

function parsed(bytes: Buffer | null): unknown {
  if (!bytes) return undefined
  try {
    return JSON.parse(bytes.toString()) as unknown
  } catch {
    return undefined
  }
}
