import { AwsError } from '../requests/aws-error.js'
import { EmptyKeyError, ValidationError } from '../values/index.js'
import type { CancellationReason } from './actions.js'

const none: CancellationReason = { Code: 'None' }

/** TransactionCanceledException, whose message has a capital M. One place for each action; undefined is `None`. */
export function cancelled(reasons: readonly (CancellationReason | undefined)[]): AwsError {
  const shown = reasons.map((reason) => reason ?? none)
  const message = `Transaction cancelled, please refer cancellation reasons for specific reasons [${shown.map(({ Code }) => Code).join(', ')}]`
  return new AwsError('com.amazonaws.dynamodb.v20120810#TransactionCanceledException', message, {
    extra: { message: undefined, Message: message, CancellationReasons: shown },
  })
}

/**
 * What was wrong with an action, as its reason. Rethrows what is none: an empty value of a key is a fault of the whole
 * request.
 */
export function reasonOf(thrown: unknown): CancellationReason {
  if (thrown instanceof EmptyKeyError) throw thrown
  if (thrown instanceof ValidationError) return { Code: 'ValidationError', Message: thrown.older }
  if (thrown instanceof AwsError && thrown.type.endsWith('#ValidationException'))
    return { Code: 'ValidationError', Message: thrown.message }
  throw thrown
}
