import type { PipelineRow } from './rows.js'

/**
 * What a pipeline is doing. `starting`: its module and files are made ready. `running`: a run reads its source. `retrying`:
 * it failed, and tries again in a while. `pausing`: its last barrier is on its way. `paused`: it was told to stand still.
 * `failed`: it stopped for good, before the record that it could not take. `finished`: a bounded run
 * has come to its end. `sourceDeleted`: everything of its deleted source is delivered. `stopped`: it is being deleted, another version takes its place, or the rooms are closed.
 */
export type PipelineState =
  | 'starting'
  | 'running'
  | 'retrying'
  | 'pausing'
  | 'paused'
  | 'failed'
  | 'finished'
  | 'sourceDeleted'
  | 'stopped'

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
  /** A bounded run has committed its last barrier. */
  | 'finished'
  /** It is to stand still. */
  | 'pause'
  /** The last barrier is committed, or there was nothing to commit. */
  | 'passed'
  /** It is to go on. */
  | 'resume'
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
    finished: undefined,
    // No run, so no last barrier; what is being made ready finds out.
    pause: 'paused',
    passed: undefined,
    resume: 'starting',
    stop: 'stopped',
  },
  running: {
    prepared: undefined,
    failedOnce: 'retrying',
    failedForGood: 'failed',
    retryDue: undefined,
    drained: 'sourceDeleted',
    finished: 'finished',
    pause: 'pausing',
    passed: undefined,
    resume: 'running',
    stop: 'stopped',
  },
  retrying: {
    prepared: undefined,
    // The run that failed is over: it fails once, and drains no more.
    failedOnce: undefined,
    failedForGood: undefined,
    retryDue: 'starting',
    drained: undefined,
    finished: undefined,
    pause: 'paused',
    passed: undefined,
    // It goes on by itself, when it is time.
    resume: 'retrying',
    stop: 'stopped',
  },
  pausing: {
    prepared: undefined,
    // What the last barrier could not commit is read again when it goes on.
    failedOnce: 'paused',
    failedForGood: 'failed',
    retryDue: undefined,
    drained: 'sourceDeleted',
    finished: undefined,
    pause: undefined,
    passed: 'paused',
    resume: undefined,
    stop: 'stopped',
  },
  paused: {
    // What was being made ready when the pause came is over.
    prepared: 'paused',
    failedOnce: 'paused',
    failedForGood: 'failed',
    retryDue: undefined,
    drained: undefined,
    finished: undefined,
    pause: 'paused',
    passed: undefined,
    resume: 'starting',
    stop: 'stopped',
  },
  failed: {
    prepared: undefined,
    failedOnce: undefined,
    failedForGood: undefined,
    retryDue: undefined,
    drained: undefined,
    finished: undefined,
    pause: undefined,
    passed: undefined,
    // A person has mended what was wrong: its attempts are counted anew.
    resume: 'starting',
    stop: 'stopped',
  },
  finished: {
    prepared: undefined,
    failedOnce: undefined,
    failedForGood: undefined,
    retryDue: undefined,
    drained: undefined,
    finished: undefined,
    pause: undefined,
    passed: undefined,
    resume: undefined,
    stop: 'stopped',
  },
  sourceDeleted: {
    prepared: undefined,
    failedOnce: undefined,
    failedForGood: undefined,
    retryDue: undefined,
    drained: undefined,
    finished: undefined,
    pause: undefined,
    passed: undefined,
    resume: undefined,
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
    finished: 'stopped',
    pause: undefined,
    passed: 'stopped',
    resume: undefined,
    stop: 'stopped',
  },
}

/** What the row of a pipeline says in a state; undefined where nothing of it is written. */
export const storedState: { readonly [State in PipelineState]: PipelineRow['state'] | undefined } = {
  starting: 'running',
  running: 'running',
  retrying: 'running',
  // Until the last barrier is over: a kill before that leaves it running.
  pausing: 'running',
  paused: 'paused',
  failed: 'failed',
  finished: 'finished',
  sourceDeleted: 'sourceDeleted',
  stopped: undefined,
}

/** In which state a pipeline is taken up again at a start. One that was being deleted is not: its rest is removed. */
export const openedState: { readonly [Stored in Exclude<PipelineRow['state'], 'deleting'>]: PipelineState } = {
  running: 'starting',
  paused: 'paused',
  failed: 'failed',
  finished: 'finished',
  sourceDeleted: 'sourceDeleted',
}

/** The state after an event. Throws when the table has none: then two runs of one pipeline could be on their way. */
export function afterPipelineEvent(state: PipelineState, event: PipelineEvent): PipelineState {
  const next = pipelineLifecycle[state][event]
  if (!next) throw new Error(`a pipeline that is ${state} cannot meet ${event}`)
  return next
}
