import { element } from './element.js'
import { seconds } from './format.js'

const troubled = new Set(['failed', 'retrying'])

export const stateText = (state: string): HTMLElement =>
  element('span', { class: troubled.has(state) ? 'trouble' : undefined }, state)

export const ageText = (age: number): string => (age === 0 ? 'none' : seconds(age))

/** How far event time is behind the clock of the daemon. */
export function delayText(watermark: number | undefined, now: number): string {
  if (watermark === undefined) return '–'
  return watermark > now ? 'ahead' : seconds((now - watermark) / 1000)
}
