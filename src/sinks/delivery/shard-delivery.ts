import type { CommitPath } from '../../commit/index.js'
import type { Group, Position } from '../../groups/index.js'
import { Codec, type Log, type NewRecord, type Sequence, type ShardId, type StreamId } from '../../log/index.js'
import type { DeliveryPlan } from '../../operators/index.js'
import { type Clock, hashKey, killPoint, type Wake } from '../../runtime/index.js'
import { backOffMs } from './back-off.js'
import type { Breaker } from './breaker.js'
import { batchOf, type Deliverer, type DeliveryOutcome, type OutboxRecord, type Refusal } from './deliverer.js'
import { OutboxQueue } from './outbox-queue.js'
import { deliveredRow, type ShardDelivered } from './outbox-rows.js'

export interface ShardDeliveryOptions {
  readonly pipeline: number
  readonly outbox: number
  readonly position: Position
  readonly delivered: ShardDelivered
  readonly group: Group
  /** Takes what is refused. */
  readonly deadLetters: StreamId
  readonly log: Pick<Log, 'read'>
  readonly commit: Pick<CommitPath, 'submit'>
  readonly clock: Clock
  readonly random: () => number
  readonly idOf: (sequence: number) => string
  readonly plan: DeliveryPlan
  readonly deliverer: Deliverer
  readonly breaker: Breaker
  readonly wake: Wake
  readonly stop: AbortSignal
  /** Of one attempt. */
  readonly onAttempt: (failure: string | undefined) => void
  /** Records have left the outbox, some of them as dead letters. */
  readonly onDelivered: (shard: ShardId, delivered: ShardDelivered) => void
}

/**
 * Brings the records of one shard of an outbox to where they go, batch after batch, so that they arrive in order. Where a
 * batch ends is durable before it is sent for the first time, so that each attempt, also after a crash, sends the same
 * records under the same key; mostly that is written with the position behind the batch before.
 */
export class ShardDelivery {
  readonly #options: ShardDeliveryOptions
  readonly #queue: OutboxQueue
  #delivered: ShardDelivered

  constructor(options: ShardDeliveryOptions) {
    this.#options = options
    const { log, position, idOf, delivered } = options
    this.#queue = new OutboxQueue(log, position.shard, position.next, idOf)
    this.#delivered = delivered
  }

  /** Resolves when the shard has come to its end, or with the stop. */
  async run(): Promise<void> {
    const { stop } = this.#options
    let end = this.#delivered.batchEnd
    while (!stop.aborted) {
      if (end === undefined) {
        if (!(await this.#untilDue())) return
        end = this.#queue.cut(this.#options.plan)
        await this.#commit({ ...this.#delivered, batchEnd: end }, [], undefined)
      }
      await this.#queue.fillTo(end)
      const records = this.#queue.take(end)
      const dead: Refusal[] = []
      if (!(await this.#send(records, dead))) return
      dead.sort((one, other) => one.record.sequence - other.record.sequence)
      killPoint('outbox:delivered')
      end = await this.#passed(records, dead)
    }
  }

  /** Waits until a batch may go: it is full, its first record has waited long enough, or no other will come. */
  async #untilDue(): Promise<boolean> {
    const { plan, wake, clock, stop } = this.#options
    let since: number | undefined
    for (;;) {
      const { version } = wake
      await this.#queue.fill(plan)
      if (stop.aborted) return false
      if (this.#queue.isEnded) {
        await this.#commit(this.#delivered, [], this.#position(true))
        return false
      }
      if (!this.#queue.isEmpty) {
        since ??= clock.monotonic()
        const left = since + plan.lingerMs - clock.monotonic()
        if (left <= 0 || this.#queue.isFull(plan) || this.#queue.isAtEnd) return true
        await wake.news(version, left)
      } else await wake.news(version)
      if (stop.aborted) return false
    }
  }

  /** Sends until it is taken; what is refused is halved until the records at fault are alone. False at the stop. */
  async #send(records: readonly OutboxRecord[], dead: Refusal[]): Promise<boolean> {
    const { deliverer, breaker, stop, onAttempt } = this.#options
    let left = records
    let failures = 0
    for (let attempt = 1; ; attempt++) {
      if (!(await this.#admitted())) return false
      const outcome = await deliverer.deliver(batchOf(left), attempt, stop)
      if (outcome.kind !== 'delivered' && stop.aborted) {
        breaker.abandoned()
        return false
      }
      onAttempt(outcome.kind === 'delivered' ? undefined : outcome.why)
      if (outcome.kind === 'failed') {
        await this.#failed(outcome, ++failures)
        continue
      }
      if (outcome.kind === 'partly') {
        dead.push(...outcome.refused)
        if (outcome.left.length > 0) {
          failures = outcome.left.length < left.length ? 0 : failures + 1
          left = outcome.left
          await this.#failed(outcome, failures)
          continue
        }
      }
      // Whoever refuses is well.
      breaker.succeeded()
      if (outcome.kind !== 'refused') return true
      if (left.length === 1) {
        dead.push({ record: left[0] as OutboxRecord, why: outcome.why })
        return true
      }
      const half = left.length >> 1
      return (await this.#send(left.slice(0, half), dead)) && (await this.#send(left.slice(half), dead))
    }
  }

  /** Waits after an attempt that brought nothing through, or (`failures` is 0) not all. */
  async #failed(
    { afterMs = 0 }: Pick<DeliveryOutcome & { kind: 'failed' }, 'afterMs'>,
    failures: number,
  ): Promise<void> {
    const { breaker, clock, plan, random, wake } = this.#options
    if (failures === 0) breaker.succeeded()
    else breaker.failed(clock.monotonic(), afterMs)
    await wake.pause(Math.max(backOffMs(Math.max(1, failures), plan.retryMs, plan.retryMsMax, random), afterMs))
  }

  async #admitted(): Promise<boolean> {
    const { breaker, clock, wake, stop } = this.#options
    for (;;) {
      if (stop.aborted) return false
      const wait = breaker.admit(clock.monotonic())
      if (wait === 0) return true
      await wake.pause(wait)
    }
  }

  /** Moves behind a batch, and cuts the next one where it is full already. */
  async #passed(records: readonly OutboxRecord[], dead: readonly Refusal[]): Promise<Sequence | undefined> {
    const { plan } = this.#options
    await this.#queue.fill(plan)
    const batchEnd = this.#queue.isFull(plan) ? this.#queue.cut(plan) : undefined
    const bytes = records.reduce((sum, { body }) => sum + body.length, this.#delivered.bytes)
    const delivered = {
      records: this.#delivered.records + records.length,
      bytes,
      batchEnd,
      dead: (this.#delivered.dead ?? 0) + dead.length,
    }
    await this.#commit(delivered, dead, this.#position(this.#queue.isEnded))
    return batchEnd
  }

  #position(ended: boolean): Position {
    return { shard: this.#options.position.shard, next: this.#queue.next, ended }
  }

  async #commit(delivered: ShardDelivered, dead: readonly Refusal[], position: Position | undefined): Promise<void> {
    const { pipeline, outbox, group, commit, clock, deadLetters, onDelivered } = this.#options
    const { shard } = this.#options.position
    const positions = position ? [position] : []
    const now = clock.now()
    await commit.submit({
      rows: [...group.rowsFor(positions), deliveredRow(pipeline, outbox, shard, delivered)],
      records: dead.length === 0 ? [] : [{ stream: deadLetters, records: dead.map((each) => deadLetterOf(each, now)) }],
      essential: true,
    })
    if (delivered.batchEnd !== undefined) killPoint('outbox:cut')
    if (position) group.moved(positions)
    this.#delivered = delivered
    onDelivered(shard, delivered)
  }
}

/** `{id, at, why, value}`: the value as it was sent. */
function deadLetterOf({ record, why }: Refusal, now: number): NewRecord {
  const { id, key, body } = record
  const head = JSON.stringify({ id, at: now, why })
  return {
    hash: hashKey(key),
    kind: 0,
    flags: 0,
    codec: Codec.json,
    time: now,
    key,
    body: Buffer.concat([Buffer.from(`${head.slice(0, -1)},"value":`), body, Buffer.from('}')]),
  }
}
