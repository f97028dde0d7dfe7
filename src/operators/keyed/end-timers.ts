import type { KeyedContext } from '../task/keyed-operator.js'

/** Timers that the firings of one key may set once event time is over. */
export const endTimersMax = 1000

/**
 * When event time is over (watermark +Infinity) every timer is due, and a step whose timer sets the next one each time would
 * never end. So a key has a bound there; a row gives it anew.
 */
export class EndTimers {
  readonly #set = new Map<unknown, number>()

  /** A row came. */
  begin(): void {
    if (this.#set.size > 0) this.#set.clear()
  }

  /** Whether a firing may set a timer of event time; counted as `timersDropped` where not. */
  take(context: Pick<KeyedContext, 'key' | 'watermark' | 'count'>): boolean {
    if (context.watermark !== Number.POSITIVE_INFINITY) return true
    const set = this.#set.get(context.key) ?? 0
    if (set >= endTimersMax) {
      context.count('timersDropped')
      return false
    }
    this.#set.set(context.key, set + 1)
    return true
  }
}
