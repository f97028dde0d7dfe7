import { types } from 'node:util'
import type { ErrorDocument } from '../host/protocol.js'

/** Any thrown value as AWS answers it. */
export function errorDocument(thrown: unknown): ErrorDocument {
  try {
    if (types.isNativeError(thrown) || thrown instanceof Error) {
      const { name, message, stack } = thrown
      return { errorType: String(name), errorMessage: String(message), trace: String(stack ?? '').split('\n') }
    }
    return { errorType: typeof thrown, errorMessage: String(thrown), trace: [] }
  } catch {
    return { errorType: 'handled', errorMessage: 'Something was thrown that cannot be shown.', trace: [] }
  }
}

/** A rejection that nobody took. */
export function rejectionDocument(reason: unknown): ErrorDocument {
  const { errorType, errorMessage, trace } = errorDocument(reason)
  return {
    errorType: 'Runtime.UnhandledPromiseRejection',
    errorMessage: types.isNativeError(reason) ? `${errorType}: ${errorMessage}` : errorMessage,
    trace: [`Runtime.UnhandledPromiseRejection: ${errorMessage}`, ...(trace ?? [])],
    reason: { errorType, errorMessage, stack: trace },
  }
}

/** An error of the runtime itself, such as a handler that is not there. */
export function runtimeError(errorType: string, errorMessage: string, cause?: unknown): ErrorDocument {
  const trace = cause instanceof Error ? String(cause.stack ?? '').split('\n') : []
  return { errorType, errorMessage, trace: [`${errorType}: ${errorMessage}`, ...trace.slice(1)] }
}
