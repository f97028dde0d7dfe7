import type { CommitPath, RowEffect } from '../../commit/index.js'
import type { Group } from '../../groups/index.js'
import { Codec, type Log, type NewRecord, type ShardId, type StreamId } from '../../log/index.js'
import type { DeliveryPlan } from '../../operators/index.js'
import { asMillraceError, type Clock, hashKey, type Logger, Wake } from '../../runtime/index.js'
import { Breaker, type BreakerState } from './breaker.js'
import type { Deliverer } from './deliverer.js'
import { appendedRow, type OutboxTotals, type ShardDelivered, type StoredOutbox } from './outbox-rows.js'
import { ShardDelivery } from './shard-delivery.js'

export interface OutboxOptions {
  readonly pipeline: number
  /** Its number among the outboxes of the pipeline. */
  readonly number: number
  /** Of the pipeline and the sink, for people. */
  readonly label: string
  readonly stream: StreamId
  readonly deadLetters: StreamId
  readonly group: Group
  /** How bodies of entries come: JSON, or bytes as latin1. */
  readonly codec: 'json' | 'bytes'
  readonly stored: StoredOutbox
  readonly plan: DeliveryPlan
  readonly deliverer: Deliverer
  readonly bytesMax: number
  readonly log: Pick<Log, 'read' | 'onChange'>
  readonly commit: Pick<CommitPath, 'submit'>
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly idOf: (sequence: number) => string
  /** There is room again. */
  readonly onRoom: () => void
}

/** What is shown of an outbox. */
export interface OutboxView {
  readonly records: number
  readonly bytes: number
  /** The sources of the pipeline wait for it. */
  readonly isFull: boolean
  readonly breaker: BreakerState
  /** Since the outbox was made. */
  readonly delivered: number
  readonly deadLetters: number
  /** Since the start of the daemon. */
  readonly attempts: number
  readonly failures: number
  /** Why the last attempt failed, while none has succeeded since. */
  readonly error?: string
}

/** What a barrier adds to an outbox. */
export interface OutboxAppend {
  readonly stream: StreamId
  readonly records: readonly NewRecord[]
  readonly row: RowEffect
  /** The commit has returned. */
  readonly committed: () => void
}

/** A delivery that failed by itself (no file or memory is left) is begun again after so long, ms. */
const restartMs = 1000

/**
 * What a pipeline has for the world outside: results lie here from the commit of their barrier until they are delivered.
 * No call to the outside can hold a barrier, and each attempt sends the same content.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #breaker: Breaker
  readonly #deliveries = new Map<ShardId, Promise<void>>()
  readonly #delivered: Map<ShardId, ShardDelivered>
  #appended: OutboxTotals
  #stop = new AbortController()
  #wake: Wake | undefined
  #stopListening = (): void => {}
  attempts = 0
  failures = 0
  #error: string | undefined

  constructor(options: OutboxOptions) {
    this.#options = options
    const { stored, plan } = options
    this.#appended = stored.appended
    this.#delivered = new Map(stored.delivered)
    this.#breaker = new Breaker({ failuresMax: plan.breakerFailures, pauseMs: plan.breakerMs })
  }

  /** Results that wait here, and bytes of their bodies. */
  get pending(): OutboxTotals {
    const { records, bytes } = this.delivered
    return { records: this.#appended.records - records, bytes: this.#appended.bytes - bytes }
  }

  get delivered(): OutboxTotals {
    let [records, bytes] = [0, 0]
    for (const each of this.#delivered.values()) {
      records += each.records
      bytes += each.bytes
    }
    return { records, bytes }
  }

  get deadLetters(): number {
    let dead = 0
    for (const each of this.#delivered.values()) dead += each.dead ?? 0
    return dead
  }

  get isFull(): boolean {
    return this.pending.bytes >= this.#options.bytesMax
  }

  get breaker(): BreakerState {
    return this.#breaker.state
  }

  view(): OutboxView {
    return {
      ...this.pending,
      isFull: this.isFull,
      breaker: this.breaker,
      delivered: this.delivered.records,
      attempts: this.attempts,
      failures: this.failures,
      deadLetters: this.deadLetters,
      ...(this.#error === undefined ? {} : { error: this.#error }),
    }
  }

  /** Effects of what a barrier brings; the barriers of a pipeline commit one after the other. */
  append(entries: readonly string[]): OutboxAppend {
    const { pipeline, number, stream, codec, clock } = this.#options
    const now = clock.now()
    const records = entries.map((entry) => recordOf(entry, codec, now))
    const bytes = records.reduce((sum, { body }) => sum + body.length, this.#appended.bytes)
    const appended = { records: this.#appended.records + records.length, bytes }
    const committed = (): void => {
      this.#appended = appended
    }
    return { stream, records, row: appendedRow(pipeline, number, appended), committed }
  }

  /** Delivers what is there and what comes. */
  start(): void {
    const { log, stream, clock } = this.#options
    if (this.#wake) return
    const wake = new Wake(clock, this.#stop.signal)
    this.#wake = wake
    this.#stopListening = log.onChange(stream, () => {
      wake.raise()
      this.#follow(wake)
    })
    this.#follow(wake)
  }

  /** Begins the delivery of each shard that may be read now. */
  #follow(wake: Wake): void {
    const { group } = this.#options
    if (this.#stop.signal.aborted) return
    for (const position of group.readable()) {
      if (this.#deliveries.has(position.shard) || position.ended) continue
      const delivery = new ShardDelivery({
        ...this.#options,
        outbox: this.#options.number,
        position,
        delivered: this.#delivered.get(position.shard) ?? { records: 0, bytes: 0, batchEnd: undefined },
        breaker: this.#breaker,
        wake,
        stop: this.#stop.signal,
        onAttempt: (failure) => this.#attempted(failure),
        onDelivered: (shard, delivered) => this.#passed(shard, delivered),
      })
      this.#deliveries.set(position.shard, this.#run(position.shard, delivery, wake))
    }
  }

  async #run(shard: ShardId, delivery: ShardDelivery, wake: Wake): Promise<void> {
    const { logger, label } = this.#options
    try {
      await delivery.run()
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#error = asMillraceError(error).message
      logger.warn({ outbox: label }, `the delivery of an outbox is begun again: ${this.#error}`)
      await wake.pause(restartMs)
    }
    this.#deliveries.delete(shard)
    this.#follow(wake)
  }

  #attempted(failure: string | undefined): void {
    const { logger, label } = this.#options
    this.attempts++
    const before = this.#error
    this.#error = failure
    if (failure === undefined) return
    this.failures++
    // Once, and not for each of what may be thousands of attempts.
    if (before === undefined) logger.warn({ outbox: label }, `a delivery failed: ${failure}`)
  }

  #passed(shard: ShardId, delivered: ShardDelivered): void {
    const wasFull = this.isFull
    this.#delivered.set(shard, delivered)
    if (wasFull && !this.isFull) this.#options.onRoom()
  }

  /** Ends what is under way; it is sent again at the next start. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#stopListening()
    await Promise.all(this.#deliveries.values())
    await this.#options.deliverer.close()
  }
}

function recordOf(entry: string, codec: OutboxOptions['codec'], now: number): NewRecord {
  const end = entry.indexOf('\n')
  const key = Buffer.from(entry.slice(0, end), 'hex')
  return {
    hash: hashKey(key),
    kind: 0,
    flags: 0,
    codec: codec === 'json' ? Codec.json : Codec.raw,
    time: now,
    key,
    body: Buffer.from(entry.slice(end + 1), codec === 'json' ? 'utf8' : 'latin1'),
  }
}
