import type { FunctionSettings } from '../../config/index.js'
import type { FunctionAnswer } from '../types.js'
import type { CallLog } from './call-log.js'
import type { InitResult, ThreadResult } from './function-thread.js'
import type { ErrorDocument } from './protocol.js'
import { endDocument, endText, type ThreadEnd } from './thread-failure.js'

/** One call, as its answer needs it. */
export interface AnsweredCall {
  readonly requestId: string
  readonly settings: FunctionSettings
  readonly log: CallLog
  /** Milliseconds since 1970. */
  readonly now: number
  /** It succeeded although requests in it have failed. */
  readonly onUnhandled: (told: string) => void
}

/** What is answered where the handler's module could not be loaded. */
export function answerOfInit(
  { log, requestId, settings, now }: AnsweredCall,
  init: InitResult & { kind: 'failed' | 'ended' },
): FunctionAnswer {
  log.start(undefined)
  if (init.kind === 'ended') log.write(endText(init.end, requestId, now))
  const document = init.kind === 'failed' ? init.document : endDocument(init.end, requestId)
  const memoryBytes = init.kind === 'ended' ? memoryOf(init.end, 0, settings) : 0
  return log.end({ durationMs: init.ms, memoryBytes, payload: JSON.stringify(document), document })
}

/** What is answered where the handler was called. */
export function answerOfCall(call: AnsweredCall, result: ThreadResult, durationMs: number): FunctionAnswer {
  const { log, requestId, settings, now, onUnhandled } = call
  if (result.kind === 'ended') {
    log.write(endText(result.end, requestId, now))
    const document = endDocument(result.end, requestId)
    const memoryBytes = memoryOf(result.end, result.memoryBytes, settings)
    return log.end({ durationMs, memoryBytes, payload: JSON.stringify(document), document })
  }
  const { payload, isError, failed, memoryBytes } = result
  if (failed) log.countFailed(failed)
  if (!failed || isError)
    return log.end({ durationMs, memoryBytes, payload, ...(isError ? { document: isError } : {}) })
  const told = log.warn(failed)
  onUnhandled(told)
  if (!settings.failOnUnhandledSdkError) return log.end({ durationMs, memoryBytes, payload })
  const document: ErrorDocument = { errorType: 'Millrace.UnhandledSdkError', errorMessage: told }
  return log.end({ durationMs, memoryBytes, payload: JSON.stringify(document), document })
}

/** A thread that grew too large may have grown since it last said how large it was. */
const memoryOf = ({ kind }: ThreadEnd, bytes: number, { memoryMb }: FunctionSettings): number =>
  kind === 'memory' ? Math.max(bytes, memoryMb * 2 ** 20) : bytes
