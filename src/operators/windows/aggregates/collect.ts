import { kept } from '../../kept.js'
import type { ResultKind } from '../result.js'
import type { WindowAggregate } from './aggregate.js'

/** The window that a `process` function is called for. */
export interface ProcessedWindow {
  readonly start: number
  readonly end: number
  readonly kind: ResultKind
  /** Values that came when the window was full; they are not among those given. */
  readonly dropped: number
}

interface Collected {
  readonly times: number[]
  readonly sequences: number[]
  readonly values: unknown[]
  dropped: number
}

export type ProcessRun = (values: readonly unknown[], window: ProcessedWindow, key: unknown) => unknown

/** Gives a function all values of the window, in the order of their time; at most `max`, later ones are counted as dropped. */
export function collectAggregate(run: ProcessRun, max: number): WindowAggregate {
  return {
    isSmall: false,
    keepsValues: true,
    add: (accumulator, row, context) => {
      const all = (accumulator as Collected | undefined) ?? { times: [], sequences: [], values: [], dropped: 0 }
      if (all.values.length >= max) {
        all.dropped++
        context.count('dropped')
        return all
      }
      all.times.push(row.time)
      all.sequences.push(row.sequence)
      all.values.push(kept(row.value))
      return all
    },
    merge: (into, from, context) => {
      const all = (into as Collected | undefined) ?? { times: [], sequences: [], values: [], dropped: 0 }
      const { times, sequences, values, dropped } = from as Collected
      const room = Math.min(values.length, max - all.values.length)
      for (let i = 0; i < room; i++) {
        all.times.push(times[i] as number)
        all.sequences.push(sequences[i] as number)
        all.values.push(values[i])
      }
      all.dropped += dropped + values.length - room
      if (values.length > room) context.count('dropped', values.length - room)
      return all
    },
    result: (accumulator, { key, start, end, kind }) => {
      const all = accumulator as Collected
      return run(inOrderOfTime(all), { start, end, kind, dropped: all.dropped }, key)
    },
  }
}

function inOrderOfTime({ times, sequences, values }: Collected): unknown[] {
  const order = [...values.keys()].sort(
    (a, b) =>
      (times[a] as number) - (times[b] as number) || (sequences[a] as number) - (sequences[b] as number) || a - b,
  )
  return order.map((i) => values[i])
}
