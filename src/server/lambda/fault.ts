import { MillraceError } from '../../runtime/index.js'

/** An error as the Lambda API answers it. */
export interface LambdaFault {
  readonly type: string
  readonly status: number
  readonly message: string
  /** Further members of the body. */
  readonly extra?: Readonly<Record<string, unknown>>
}

export const fault = (type: string, status: number, message: string, extra?: LambdaFault['extra']): LambdaFault => ({
  type,
  status,
  message,
  ...(extra ? { extra } : {}),
})

export const invalid = (message: string): LambdaFault => fault('ValidationException', 400, message)

export const notFound = (message: string): LambdaFault => fault('ResourceNotFoundException', 404, message)

/** Errors of the room of functions are such faults, too. */
export function isLambdaFault(thrown: unknown): thrown is LambdaFault {
  if (typeof thrown !== 'object' || thrown === null || thrown instanceof MillraceError) return false
  const { type, status, message } = thrown as Partial<LambdaFault>
  return typeof type === 'string' && typeof status === 'number' && typeof message === 'string'
}

/** The name without the namespace that errors of signatures have. */
export const faultName = ({ type }: LambdaFault): string => type.slice(type.indexOf('#') + 1)

/** AWS is not of one mind about the first letter of `message`. */
export function faultBody(thrown: LambdaFault): object {
  const { message, extra } = thrown
  switch (faultName(thrown)) {
    case 'ResourceNotFoundException':
    case 'ResourceInUseException':
      return { Type: 'User', Message: message, ...extra }
    case 'ServiceException':
      return { Type: 'Service', Message: message, ...extra }
    case 'ValidationException':
      return { message, ...extra }
    default:
      return { Type: 'User', message, ...extra }
  }
}

/**
 * Our own errors as the SDKs understand them. They retry TooManyRequestsException, where nothing was called, and
 * ServiceException, which may have been called when its status is 500.
 */
export function lambdaFaultOf(error: MillraceError): LambdaFault {
  const message = `${error.code}: ${error.message} ${error.remedy}`
  switch (error.code) {
    case 'FUNCTION_BUSY':
      return fault('TooManyRequestsException', 429, 'Rate Exceeded.', {
        Reason: 'ReservedFunctionConcurrentInvocationLimitExceeded',
      })
    case 'TOO_BUSY':
      return fault('TooManyRequestsException', 429, message, { Reason: 'CallerRateLimitExceeded' })
    case 'TOO_LARGE':
      return fault('RequestTooLargeException', 413, message)
    case 'FORBIDDEN':
      return fault('AccessDeniedException', 403, message)
    case 'BAD_REQUEST':
      return fault('InvalidRequestContentException', 400, message)
    case 'FUNCTION_NOT_FOUND':
      return notFound(message)
    case 'NOT_READY':
    case 'STORAGE_FULL':
      return fault('ServiceException', 503, message)
    default:
      return fault('ServiceException', 500, message)
  }
}
