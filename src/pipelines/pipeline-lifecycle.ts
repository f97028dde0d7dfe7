import type { PipelineRow } from './rows.js'

/**
 * What a pipeline is doing. `starting`: its module and files are made ready. `running`: a run reads its source. `retrying`:
 * it failed, and tries again in a while. `failed`: it stopped for good, before the record that it could not take.
 * `sourceDeleted`: everything of its deleted source is delivered. `stopped`: it is being deleted, or the rooms are closed.
 */
export type PipelineState = 'starting' | 'running' | 'retrying' | 'failed' | 'sourceDeleted' | 'stopped'

export type PipelineEvent =
  /** The module is there and the files are open: a run may begin. */
  | 'prepared'
  /** It could not be made ready, or its run failed, and another attempt is due. */
  | 'failedOnce'
  /** It failed too often, or in a way that no attempt can mend. */
  | 'failedForGood'
  /** The pause before another attempt is over. */
  | 'retryDue'
  /** The source is deleted and all of it is delivered. */
  | 'drained'
  | 'stop'

/** Every event in every state; `undefined` cannot happen, and is a fault of the daemon where it does. */
export const pipelineLifecycle: {
  readonly [From in PipelineState]: { readonly [On in PipelineEvent]: PipelineState | undefined }
} = {
  starting: {
    prepared: 'running',
    failedOnce: 'retrying',
    failedForGood: 'failed',
    retryDue: undefined,
    // Only a run can see the end of its source.
    drained: undefined,
    stop: 'stopped',
  },
  running: {
    prepared: undefined,
    failedOnce: 'retrying',
    failedForGood: 'failed',
    retryDue: undefined,
    drained: 'sourceDeleted',
    stop: 'stopped',
  },
  retrying: {
    prepared: undefined,
    // The run that failed is over: it fails once, and drains no more.
    failedOnce: undefined,
    failedForGood: undefined,
    retryDue: 'starting',
    drained: undefined,
    stop: 'stopped',
  },
  failed: {
    prepared: undefined,
    failedOnce: undefined,
    failedForGood: undefined,
    retryDue: undefined,
    drained: undefined,
    stop: 'stopped',
  },
  sourceDeleted: {
    prepared: undefined,
    failedOnce: undefined,
    failedForGood: undefined,
    retryDue: undefined,
    drained: undefined,
    stop: 'stopped',
  },
  // What was under way when it was stopped comes to its end, and begins, stores and tries nothing any more.
  stopped: {
    prepared: 'stopped',
    failedOnce: 'stopped',
    failedForGood: 'stopped',
    // The pause was cancelled.
    retryDue: undefined,
    drained: 'stopped',
    stop: 'stopped',
  },
}

/** What the row of a pipeline says in a state; undefined where nothing of it is written. */
export const storedState: { readonly [State in PipelineState]: PipelineRow['state'] | undefined } = {
  starting: 'running',
  running: 'running',
  retrying: 'running',
  failed: 'failed',
  sourceDeleted: 'sourceDeleted',
  stopped: undefined,
}

/** In which state a pipeline is taken up again at a start. One that was being deleted is not: its rest is removed. */
export const openedState: { readonly [Stored in Exclude<PipelineRow['state'], 'deleting'>]: PipelineState } = {
  running: 'starting',
  failed: 'failed',
  sourceDeleted: 'sourceDeleted',
}

/** The state after an event. Throws when the table has none: then two runs of one pipeline could be on their way. */
export function afterPipelineEvent(state: PipelineState, event: PipelineEvent): PipelineState {
  const next = pipelineLifecycle[state][event]
  if (!next) throw new Error(`a pipeline that is ${state} cannot meet ${event}`)
  return next
}
