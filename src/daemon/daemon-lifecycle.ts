/**
 * What the daemon is doing with its store. `starting`: it is opened for the first time. `ready`: requests are answered.
 * `poisoned`: a write failed; every room is dropped, and the store is being closed. `reopening`: it is opened as at a
 * start, again and again. `failed`: it failed too often and stays closed until a person looks. `stopping`: for good.
 */
export type DaemonPhase = 'starting' | 'ready' | 'poisoned' | 'reopening' | 'failed' | 'stopping'

export type DaemonEvent =
  /** The store is open, recovered and checked, and has its rooms. */
  | 'opened'
  /** It could not be opened, or a write failed while its rooms were being built. */
  | 'notOpened'
  /** A write failed. */
  | 'writeFailed'
  /** The rooms of the store that failed are gone. */
  | 'dropped'
  /** One opening more would be too many within `reopenWindowMs`. */
  | 'tooOften'
  | 'stop'

/** Every event in every phase; `undefined` cannot happen, and is a fault of the daemon where it does. */
export const daemonLifecycle: {
  readonly [From in DaemonPhase]: { readonly [On in DaemonEvent]: DaemonPhase | undefined }
} = {
  starting: {
    opened: 'ready',
    // The process says why and ends.
    notOpened: 'stopping',
    // A store that has no rooms yet is none: it is `notOpened` then.
    writeFailed: undefined,
    dropped: undefined,
    tooOften: undefined,
    stop: 'stopping',
  },
  ready: {
    opened: undefined,
    notOpened: undefined,
    writeFailed: 'poisoned',
    dropped: undefined,
    tooOften: undefined,
    stop: 'stopping',
  },
  poisoned: {
    opened: undefined,
    notOpened: undefined,
    // A store says once that it failed.
    writeFailed: undefined,
    dropped: 'reopening',
    tooOften: undefined,
    stop: 'stopping',
  },
  reopening: {
    opened: 'ready',
    notOpened: 'reopening',
    writeFailed: undefined,
    dropped: undefined,
    tooOften: 'failed',
    stop: 'stopping',
  },
  failed: {
    opened: undefined,
    notOpened: undefined,
    writeFailed: undefined,
    dropped: undefined,
    tooOften: undefined,
    stop: 'stopping',
  },
  // What was under way when it was stopped comes to its end, and is closed.
  stopping: {
    opened: 'stopping',
    notOpened: 'stopping',
    writeFailed: 'stopping',
    dropped: 'stopping',
    tooOften: 'stopping',
    stop: 'stopping',
  },
}

/** The phase after an event. Throws when the table has none: then two stores could be open at once. */
export function afterDaemonEvent(phase: DaemonPhase, event: DaemonEvent): DaemonPhase {
  const next = daemonLifecycle[phase][event]
  if (!next) throw new Error(`a daemon that is ${phase} cannot meet ${event}`)
  return next
}
