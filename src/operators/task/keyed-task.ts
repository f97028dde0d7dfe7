import type { NodeId } from '../plan/nodes.js'
import { CoreTask } from './core-task.js'
import type { Row } from './keyed-operator.js'
import type { ChannelId, ChannelMessage, KeyedStageTask, StageTaskOptions } from './stage-task.js'
import { newAt, type Push } from './step.js'

/** Opens a task of a keyed stage. */
export function openKeyedTask(options: StageTaskOptions): KeyedStageTask {
  return new GroupTask(options)
}

/** A channel into the task. */
interface Channel {
  readonly id: ChannelId
  readonly entry: NodeId
  watermark: number
  isIdle: boolean
  /** Its barrier has come: what follows belongs to the next epoch. */
  isHeld: boolean
  held: ChannelMessage[]
}

class GroupTask extends CoreTask implements KeyedStageTask {
  readonly #entries: ReadonlyMap<NodeId, Push>
  readonly #channels = new Map<ChannelId, Channel>()
  readonly #at = newAt()

  constructor(options: StageTaskOptions) {
    super(options, { kind: 'given' })
    const stage = options.stages.stages[options.stage]
    if (stage?.kind !== 'keyed') throw new TypeError(`Stage ${options.stage} is no keyed one.`)
    this.#entries = new Map(stage.entries.map((entry) => [entry, this.core.steps.entry(entry)]))
  }

  start(): Promise<void> {
    return this.guarded(() => this.core.start())
  }

  open(id: ChannelId, entry: NodeId): void {
    if (!this.#entries.has(entry)) throw new TypeError(`No rows come in at node ${entry}.`)
    const watermark = Number.NEGATIVE_INFINITY
    this.#channels.set(id, { id, entry, watermark, isIdle: false, isHeld: false, held: [] })
  }

  async close(id: ChannelId): Promise<void> {
    const channel = this.#channels.get(id)
    if (!channel || !this.#channels.delete(id)) return
    await this.guarded(() => {
      this.core.begin()
      return this.#advance(channel.entry)
    })
  }

  receive(id: ChannelId, message: ChannelMessage): Promise<void> | undefined {
    const channel = this.#channels.get(id)
    if (!channel) throw new TypeError(`There is no channel ${id}.`)
    if (channel.isHeld) {
      channel.held.push(message)
      return undefined
    }
    try {
      const pending = this.#take(channel, message)
      return pending && this.guarded(() => pending)
    } catch (error) {
      throw this.core.failure(error)
    }
  }

  #take(channel: Channel, message: ChannelMessage): Promise<void> | undefined {
    switch (message.kind) {
      case 'rows':
        return this.#rows(channel, message)
      case 'watermark':
        channel.watermark = Math.max(channel.watermark, message.watermark)
        channel.isIdle = false
        this.core.begin()
        return this.#advance(channel.entry)
      case 'idle':
        channel.isIdle = true
        this.core.begin()
        return this.#advance(channel.entry)
      case 'barrier':
        channel.isHeld = true
        for (const other of this.#channels.values()) if (!other.isHeld) return undefined
        return this.#align(message.number)
    }
  }

  #rows(channel: Channel, message: Extract<ChannelMessage, { kind: 'rows' }>): Promise<void> | undefined {
    const core = this.core
    channel.isIdle = false
    core.begin()
    const pending = this.#rowsFrom(0, channel, message)
    const { taken } = core.options.host
    if (pending) return pending.then(() => taken(channel.id, message.rows.length))
    taken(channel.id, message.rows.length)
    return undefined
  }

  #rowsFrom(
    index: number,
    channel: Channel,
    message: Extract<ChannelMessage, { kind: 'rows' }>,
  ): Promise<void> | undefined {
    const core = this.core
    const { keys, rows } = message
    const { directory } = core.runtime.options
    const { turn } = core.options.host
    const push = this.#entries.get(channel.entry) as Push
    const watermark = core.mark(channel.entry)
    const at = this.#at
    for (let i = index; i < rows.length; i++) {
      let row = rows[i] as (typeof rows)[number]
      // A shard that was idle, or that began later, is late by what has fired without it.
      if (row.stamp < watermark) row = stamped(row, watermark)
      const entry = directory.ofKey(keys[i])
      at.row = row
      at.time = row.time
      at.stamp = row.stamp
      at.sequence = row.sequence
      at.entry = entry
      at.key = entry.shown
      const pending = push(row.value, at) ?? turn()
      if (pending) return pending.then(() => this.#rowsFrom(i + 1, channel, message))
    }
    return core.flush()
  }

  /**
   * The entry's event time: the lowest of its channels that are not idle. When all are, the highest: none holds the others
   * back, in whatever order they fell silent.
   */
  #advance(entry: NodeId): Promise<void> | undefined {
    let lowest = Number.POSITIVE_INFINITY
    let highest = Number.NEGATIVE_INFINITY
    let isIdle = true
    let some = false
    for (const channel of this.#channels.values()) {
      if (channel.entry !== entry) continue
      some = true
      highest = Math.max(highest, channel.watermark)
      if (channel.isIdle) continue
      isIdle = false
      lowest = Math.min(lowest, channel.watermark)
    }
    if (some) this.core.setMark(entry, isIdle ? highest : lowest, isIdle)
    return this.core.advance()
  }

  /** All channels have brought the barrier: it passes, and what was held goes on. */
  #align(number: number): Promise<void> | undefined {
    this.barrier(number)
    const channels = [...this.#channels.values()]
    for (const channel of channels) channel.isHeld = false
    return channels.some((channel) => channel.held.length > 0) ? this.#resume(channels) : undefined
  }

  async #resume(channels: readonly Channel[]): Promise<void> {
    for (const channel of channels) {
      const { held } = channel
      channel.held = []
      for (const message of held) {
        if (channel.isHeld) {
          channel.held.push(message)
          continue
        }
        const pending = this.#take(channel, message)
        if (pending) await pending
      }
    }
  }

  barrier(number: number): void {
    const result = this.core.barrier(number, [...this.#entries.keys()])
    this.core.sendBarrier(number)
    this.core.options.host.passed(number, result)
  }
}

function stamped({ value, time, sequence, parts = 0 }: Row, stamp: number): Row {
  return { value, time, stamp, sequence, parts }
}
