import type { MillraceError } from '../../runtime/index.js'

/** An error as the AWS protocol answers it. */
export interface AwsFailure {
  /** The whole `__type`, with its namespace. */
  readonly type: string
  readonly status: number
  readonly message: string
  /** Further members of the body. */
  readonly extra?: Readonly<Record<string, unknown>>
}

/** What a request may be answered for which there is no operation. */
export const unknownOperation: AwsFailure = {
  type: 'com.amazon.coral.service#UnknownOperationException',
  status: 400,
  message: '',
}

export const noJson: AwsFailure = {
  type: 'com.amazon.coral.service#SerializationException',
  status: 400,
  message: '',
}

export const kinesisHere: AwsFailure = {
  ...unknownOperation,
  message:
    'Kinesis is not served at this address: Millrace speaks DynamoDB and DynamoDB Streams; plain streams are at /v1/streams.',
}

/** These two have their message under another name than all the others. */
const capitals = new Set(['SerializationException', 'TransactionCanceledException'])

/** The body of the answer: without a message when there is none. */
export function bodyOf(failure: AwsFailure): object {
  const { type, message, extra } = failure
  if (message === '') return { __type: type, ...extra }
  return capitals.has(nameOf(failure))
    ? { __type: type, Message: message, ...extra }
    : { __type: type, message, ...extra }
}

/** The name of an error without its namespace. */
export const nameOf = ({ type }: AwsFailure): string => type.slice(type.indexOf('#') + 1)

export function isAwsFailure(thrown: unknown): thrown is AwsFailure {
  if (typeof thrown !== 'object' || thrown === null || 'code' in thrown) return false
  const { type, status } = thrown as Partial<AwsFailure>
  return typeof type === 'string' && typeof status === 'number'
}

/**
 * Our own errors as the SDKs understand them. All of these but ValidationException are retried by the SDKs with back-off,
 * and they differ in what they say of the write:
 *
 *   ThrottlingException 400    nothing was applied; there is no room in a queue
 *   ServiceUnavailable 503     nothing was applied; the store is closed, or the disk is full
 *   InternalServerError 500    not known, which is what it means on AWS too: read before writing what must not be twice
 */
export function awsFailureOf(error: MillraceError): AwsFailure {
  const message = `${error.code}: ${error.message} ${error.remedy}`
  switch (error.code) {
    case 'TOO_BUSY':
      return { type: 'com.amazon.coral.availability#ThrottlingException', status: 400, message }
    case 'TOO_LARGE':
      return { type: 'TooLarge', status: 413, message }
    case 'EFFECT_TOO_LARGE':
    case 'BAD_REQUEST':
      return { type: 'com.amazon.coral.validate#ValidationException', status: 400, message }
    case 'NOT_READY':
    case 'STORAGE_FULL':
      return { type: 'com.amazon.coral.availability#ServiceUnavailable', status: 503, message }
    default:
      return { type: 'com.amazonaws.dynamodb.v20120810#InternalServerError', status: 500, message }
  }
}
