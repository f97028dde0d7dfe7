import { MillraceError } from '../runtime/errors.js'

/** What a step of a pipeline has committed for a key, as the thread asks the daemon for it. */
export interface StateQuestion {
  readonly pipeline: string
  readonly step: string
  readonly key: unknown
  readonly cell: string | number | undefined
}

/** Under this name a worker thread leaves its way to the daemon: the bundle of a module has a copy of this package. */
const askerName = Symbol.for('millrace.askState')
type Asker = (question: StateQuestion) => Promise<unknown>
type WithAsker = { [askerName]?: Asker }

/** Says how `stateOf` asks in this thread. */
export function answerStateOf(ask: Asker): void {
  ;(globalThis as WithAsker)[askerName] = ask
}

/**
 * What a step of any pipeline of this daemon has committed for a key, for functions of pipelines that may be `async`; undefined
 * where it has nothing. `cell` is the name of a value, list or map of a `process` step; without it the state of a step that
 * keeps one value. It is read as it is when asked: a record that is read again after a failure may see a
 * later state. Rejects with NOT_FOUND for a pipeline or step that is not there, and NOT_READY outside of the daemon.
 */
export async function stateOf<State = unknown>(
  pipeline: string,
  step: string,
  key: unknown,
  cell?: string | number,
): Promise<State | undefined> {
  const ask = (globalThis as WithAsker)[askerName]
  if (!ask)
    throw new MillraceError('NOT_READY', 'stateOf was called outside of a pipeline that the daemon runs.', {
      remedy: 'Call it in a function of a deployed pipeline; elsewhere ask GET /v1/pipelines/NAME/state/STEP/KEY.',
    })
  return (await ask({ pipeline, step, key, cell })) as State | undefined
}
