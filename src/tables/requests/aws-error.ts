import { ValidationError } from '../values/index.js'

const modelled = 'com.amazonaws.dynamodb.v20120810#'

/** An answer of AWS's error shape: `__type`, the HTTP status, `message` and whatever else the shape has. */
export class AwsError extends Error {
  readonly type: string
  readonly status: number
  readonly extra: Readonly<Record<string, unknown>>

  constructor(
    type: string,
    message: string,
    options: { status?: number; extra?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message)
    this.name = 'AwsError'
    this.type = type
    this.status = options.status ?? 400
    this.extra = options.extra ?? {}
  }
}

export const validation = (message: string): AwsError =>
  new AwsError('com.amazon.coral.validate#ValidationException', message)
export const serialization = (message: string): AwsError =>
  new AwsError('com.amazon.coral.service#SerializationException', message)
export const unknownOperation = (): AwsError => new AwsError('com.amazon.coral.service#UnknownOperationException', '')
export const notFound = (message: string): AwsError => new AwsError(`${modelled}ResourceNotFoundException`, message)
export const inUse = (message: string): AwsError => new AwsError(`${modelled}ResourceInUseException`, message)
export const accessDenied = (): AwsError =>
  new AwsError('com.amazon.coral.service#AccessDeniedException', 'Access is denied')
export const trimmed = (message: string): AwsError => new AwsError(`${modelled}TrimmedDataAccessException`, message)
export const expiredIterator = (message: string): AwsError =>
  new AwsError(`${modelled}ExpiredIteratorException`, message)
export const resourceNotFound = (): AwsError => notFound('Requested resource not found')

export const limitExceeded = (message: string): AwsError => new AwsError(`${modelled}LimitExceededException`, message)
export const idempotentMismatch = (message: string): AwsError =>
  new AwsError(`${modelled}IdempotentParameterMismatchException`, message)
export const inProgress = (message: string): AwsError =>
  new AwsError(`${modelled}TransactionInProgressException`, message)

export function conditionFailed(item: unknown): AwsError {
  const extra = item === undefined ? {} : { Item: item }
  return new AwsError(`${modelled}ConditionalCheckFailedException`, 'The conditional request failed', { extra })
}

/** Whether a request was refused for what it says, before it did anything. */
export function isRefusal(thrown: unknown): boolean {
  if (thrown instanceof ValidationError) return true
  return thrown instanceof AwsError && /#(Validation|ResourceNotFound)Exception$/.test(thrown.type)
}

export const duplicateItem = (): AwsError =>
  new AwsError(`${modelled}DuplicateItemException`, 'Duplicate primary key exists in table')

/**
 * Which of AWS's layers checks an operation's values and expressions, and so the words of a fault (measured on AWS in
 * October 2026): `counted` has the newer words behind `1 validation error detected: `, `newer` has them bare. Whatever is
 * not named here is checked by the older layer.
 */
const layers: Readonly<Record<string, 'counted' | 'newer'>> = {
  PutItem: 'counted',
  UpdateItem: 'counted',
  DeleteItem: 'counted',
  GetItem: 'newer',
  BatchGetItem: 'newer',
  Query: 'newer',
}

export const counted = (message: string): string => `1 validation error detected: ${message}`

/** What the pure rooms throw, as AWS answers it in this operation. */
export function asAwsError(thrown: unknown, operation: string): unknown {
  if (!(thrown instanceof ValidationError)) return thrown
  if (thrown.variant === 'serialization') return serialization(thrown.message)
  const layer = Object.hasOwn(layers, operation) ? layers[operation] : undefined
  if (layer === undefined) return validation(thrown.older)
  return validation(layer === 'counted' && thrown.variant === 'validation' ? counted(thrown.message) : thrown.message)
}
