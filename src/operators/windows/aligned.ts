import type { WindowClock } from './window-clock.js'

/** Windows of one size that begin every step. For tumbling windows, size and step are the same. Milliseconds. */
export interface AlignedShape {
  readonly sizeMs: number
  readonly stepMs: number
  /** Some window begins here. */
  readonly offsetMs: number
  /** How long after its end a window still takes late rows. */
  readonly latenessMs: number
  readonly clock: WindowClock
}

/** The last window start at or before a time. */
export const lastStartAt = (time: number, { stepMs, offsetMs }: AlignedShape): number =>
  Math.floor((time - offsetMs) / stepMs) * stepMs + offsetMs

/** The first window that holds a time. */
export const firstStartOf = (time: number, shape: AlignedShape): number =>
  lastStartAt(time - shape.sizeMs, shape) + shape.stepMs

/** The first of the windows from `first` on whose last moment, and the lateness with it, is behind `passed`. */
export function firstOpenAt(first: number, passed: number, latenessMs: number, shape: AlignedShape): number {
  if (first + shape.sizeMs - 1 + latenessMs > passed) return first
  return lastStartAt(passed - shape.sizeMs + 1 - latenessMs, shape) + shape.stepMs
}
