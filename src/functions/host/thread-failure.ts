import type { ErrorDocument } from './protocol.js'

/** Why a thread ended in the midst of a call, as AWS says it. */
export type ThreadEnd =
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'memory'; readonly why: string }
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'broken'; readonly document: ErrorDocument }
  /** The daemon closes. */
  | { readonly kind: 'stopped' }
  /** It could not even begin, or ended for a reason that it did not say. */
  | { readonly kind: 'unknown'; readonly why: string }

export function endDocument(end: ThreadEnd, requestId: string): ErrorDocument {
  const error = (errorType: string, message: string): ErrorDocument => ({
    errorType,
    errorMessage: `RequestId: ${requestId} Error: ${message}`,
  })
  switch (end.kind) {
    case 'time':
      return error('Sandbox.Timedout', `Task timed out after ${(end.ms / 1000).toFixed(2)} seconds`)
    case 'memory':
      return error('Runtime.ExitError', 'Runtime exited with error: signal: killed')
    case 'exit':
      return error(
        'Runtime.ExitError',
        end.code === 0
          ? 'Runtime exited without providing a reason'
          : `Runtime exited with error: exit status ${end.code}`,
      )
    case 'broken':
      return end.document
    case 'stopped':
    case 'unknown':
      return error('Runtime.ExitError', `Runtime exited: ${end.kind === 'unknown' ? end.why : 'the daemon stops'}`)
  }
}

/** What the log says of it beside the document. */
export function endText(end: ThreadEnd, requestId: string, now: number): string {
  const at = new Date(now).toISOString()
  switch (end.kind) {
    case 'time':
      return `${at} ${requestId} Task timed out after ${(end.ms / 1000).toFixed(2)} seconds\n\n`
    case 'memory':
      return `${at} ${requestId} Runtime.OutOfMemory: ${end.why}\n`
    case 'broken':
      return ''
    default:
      return `${at} ${requestId} ${endDocument(end, requestId).errorMessage.replace(/^RequestId: \S+ /, '')}\n`
  }
}
