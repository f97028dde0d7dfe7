import type { NodeId, PlanNode } from '../plan/nodes.js'
import type { Stages } from './stages.js'

/** Where a source has no `eventTime` of its own, ms: how long a shard is silent before it holds nothing back. */
export const idleMsDefault = 60_000

/**
 * The event time of one source shard at one step: the highest time so far, less what values may come out of order. It
 * never goes back, whatever it is restored with.
 */
export class EventTime {
  /** +Infinity: it stands still. */
  readonly #outOfOrderMs: number
  watermark: number

  constructor(outOfOrderMs: number, watermark = Number.NEGATIVE_INFINITY) {
    this.#outOfOrderMs = outOfOrderMs
    this.watermark = watermark
  }

  observe(time: number): void {
    const watermark = time - this.#outOfOrderMs - 1
    if (watermark > this.watermark) this.watermark = watermark
  }
}

/** How long, ms, a shard of a source stage may give nothing before it is idle. */
export function idleMsOf(nodes: readonly PlanNode[], stages: Stages, stage: number): number {
  const found = (stages.stages[stage]?.nodes ?? []).flatMap((id: NodeId) => {
    const node = nodes[id]
    return node?.kind === 'eventTime' ? [node.time.idleMs] : []
  })
  return found.length === 0 ? idleMsDefault : Math.max(...found)
}
