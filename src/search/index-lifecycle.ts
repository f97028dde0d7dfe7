/**
 * What an index is doing. `waiting`: there is no table of its name. `building`: items are read, and the changes up to their end.
 * `ready`: it is searched, and follows the table. `full`: it met a bound, and gave its memory back. `failed`: its thread is gone,
 * or the table could not be read; it is built again by itself. `stopped`: for good.
 */
export type IndexPhase = 'waiting' | 'building' | 'ready' | 'full' | 'failed' | 'stopped'

export type IndexEvent =
  | 'tableFound'
  /** What is there may be shown. */
  | 'whole'
  | 'tableGone'
  | 'boundMet'
  | 'lost'
  /** It begins anew: somebody asked for it, or a pause is over, or what it had to read next is gone. */
  | 'again'
  | 'stop'

/** Every event in every phase; `undefined` cannot happen. */
export const indexLifecycle: {
  readonly [From in IndexPhase]: { readonly [On in IndexEvent]: IndexPhase | undefined }
} = {
  waiting: {
    tableFound: 'building',
    whole: undefined,
    tableGone: 'waiting',
    // It was asked to begin anew in that very moment.
    boundMet: 'full',
    lost: 'failed',
    again: 'waiting',
    stop: 'stopped',
  },
  building: {
    tableFound: undefined,
    whole: 'ready',
    tableGone: 'waiting',
    boundMet: 'full',
    lost: 'failed',
    again: 'waiting',
    stop: 'stopped',
  },
  ready: {
    tableFound: undefined,
    whole: 'ready',
    tableGone: 'waiting',
    boundMet: 'full',
    lost: 'failed',
    again: 'waiting',
    stop: 'stopped',
  },
  full: {
    tableFound: undefined,
    whole: undefined,
    tableGone: undefined,
    boundMet: undefined,
    lost: undefined,
    again: 'waiting',
    stop: 'stopped',
  },
  failed: {
    tableFound: undefined,
    whole: undefined,
    tableGone: undefined,
    boundMet: undefined,
    lost: undefined,
    again: 'waiting',
    stop: 'stopped',
  },
  stopped: {
    tableFound: 'stopped',
    whole: 'stopped',
    tableGone: 'stopped',
    boundMet: 'stopped',
    lost: 'stopped',
    again: 'stopped',
    stop: 'stopped',
  },
}

/** Throws where the table has no next phase: then an index would be shown that is none. */
export function afterIndexEvent(phase: IndexPhase, event: IndexEvent): IndexPhase {
  const next = indexLifecycle[phase][event]
  if (!next) throw new Error(`a search index that is ${phase} cannot meet ${event}`)
  return next
}
