import { randomFillSync } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { crc32 } from 'node:zlib'
import { asMillraceError, type Logger, MillraceError } from '../runtime/index.js'
import { readBody, sendText } from './respond.js'

/** The services that one address answers for, by the prefix of X-Amz-Target. */
export type AwsService = 'DynamoDB_20120810' | 'DynamoDBStreams_20120810'

/** Runs one operation: JSON in, JSON out. Throws errors with `type`, `status` and `message` as AWS has them. */
export type ExecuteAws = (service: AwsService, operation: string, body: Buffer) => Promise<Buffer>

export interface AwsHandlerOptions {
  readonly execute: ExecuteAws
  readonly bodyBytesMax: number
  readonly corsOrigins: readonly string[]
  readonly logger: Logger
  /** Seconds and the code of an answer: `ok` or the name of the error. */
  readonly observe: (operation: string, code: string, seconds: number) => void
}

interface AwsFailure {
  readonly type: string
  readonly status: number
  readonly message: string
  readonly extra?: Readonly<Record<string, unknown>>
}

const contentType = 'application/x-amz-json-1.0'
const unknownOperation = '<UnknownOperationException/>\n'

/** The AWS JSON protocol at `/`. */
export class AwsHandler {
  readonly #options: AwsHandlerOptions

  constructor(options: AwsHandlerOptions) {
    this.#options = options
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#allowOrigin(request, response)
    response.setHeader('x-amzn-requestid', requestId())
    if (request.method === 'OPTIONS') return this.#preflight(request, response)
    if (request.method === 'GET')
      return sendText(response, 200, 'text/plain', `healthy: ${request.headers.host ?? 'localhost'} `)
    const type = request.headers['content-type']
    if (request.method !== 'POST' || !type?.startsWith('application/')) {
      request.resume()
      return sendText(response, 404, 'application/xml', unknownOperation)
    }
    const began = performance.now()
    const target = request.headers['x-amz-target']
    const dot = typeof target === 'string' ? target.indexOf('.') : -1
    const operation = dot < 0 ? '' : (target as string).slice(dot + 1)
    let code = 'ok'
    try {
      const body = await readBody(request, this.#options.bodyBytesMax)
      const service = dot < 0 ? '' : (target as string).slice(0, dot)
      if (service !== 'DynamoDB_20120810' && service !== 'DynamoDBStreams_20120810') throw notAnOperation
      send(response, 200, await this.#options.execute(service, operation, body))
    } catch (error) {
      code = this.#sendError(response, error)
    }
    // A name that no service knows must not make a time series.
    this.#options.observe(
      code === 'UnknownOperationException' ? 'unknown' : operation,
      code,
      (performance.now() - began) / 1000,
    )
  }

  #sendError(response: ServerResponse, thrown: unknown): string {
    const failure = isAwsFailure(thrown) ? thrown : this.#translate(thrown)
    if (failure.status === 413) {
      response.writeHead(413, { 'content-length': 0, connection: 'close' })
      response.end()
      return 'TooLarge'
    }
    send(
      response,
      failure.status,
      Buffer.from(JSON.stringify({ __type: failure.type, message: failure.message, ...failure.extra })),
    )
    return failure.type.slice(failure.type.indexOf('#') + 1)
  }

  /**
   * Our own errors as the SDKs understand them: what was not applied for want of room is a throttle (400, retried with
   * back-off); what may or may not have been applied is InternalServerError (500), which means just that on AWS.
   */
  #translate(thrown: unknown): AwsFailure {
    const error = asMillraceError(thrown)
    const message = `${error.code}: ${error.message} ${error.remedy}`
    switch (error.code) {
      case 'TOO_BUSY':
        return { type: 'com.amazon.coral.availability#ThrottlingException', status: 400, message }
      case 'TOO_LARGE':
        return { type: '', status: 413, message }
      case 'EFFECT_TOO_LARGE':
      case 'BAD_REQUEST':
        return { type: 'com.amazon.coral.validate#ValidationException', status: 400, message }
      case 'NOT_READY':
      case 'STORAGE_FULL':
      case 'STORE_FAILED':
        return {
          type: 'com.amazonaws.dynamodb.v20120810#InternalServerError',
          status: error.code === 'STORE_FAILED' ? 500 : 503,
          message,
        }
      default:
        this.#options.logger.error(
          { code: error.code, stack: error.stack, cause: String(error.cause ?? '') },
          error.message,
        )
        return { type: 'com.amazonaws.dynamodb.v20120810#InternalServerError', status: 500, message }
    }
  }

  #allowOrigin(request: IncomingMessage, response: ServerResponse): void {
    const origin = request.headers.origin
    if (origin === undefined) return
    const { corsOrigins } = this.#options
    if (corsOrigins.includes('*')) response.setHeader('access-control-allow-origin', '*')
    else if (corsOrigins.includes(origin)) {
      response.setHeader('access-control-allow-origin', origin)
      response.setHeader('vary', 'origin')
    } else return
    response.setHeader('access-control-expose-headers', 'x-amzn-requestid,x-amz-crc32,x-amzn-errortype,x-amz-id-2,date')
  }

  #preflight(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader('access-control-max-age', '172800')
    response.setHeader('access-control-allow-methods', 'POST, GET, OPTIONS')
    const wanted = request.headers['access-control-request-headers']
    if (wanted !== undefined) response.setHeader('access-control-allow-headers', wanted)
    response.writeHead(200, { 'content-length': 0 })
    response.end()
  }
}

const notAnOperation: AwsFailure = {
  type: 'com.amazon.coral.service#UnknownOperationException',
  status: 400,
  message: '',
}

function isAwsFailure(thrown: unknown): thrown is AwsFailure {
  if (typeof thrown !== 'object' || thrown === null || thrown instanceof MillraceError) return false
  const { type, status } = thrown as Partial<AwsFailure>
  return typeof type === 'string' && typeof status === 'number'
}

function send(response: ServerResponse, status: number, body: Buffer): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': body.length, 'x-amz-crc32': crc32(body) })
  response.end(body)
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ012345'
const random = Buffer.alloc(52 * 64)
let used = random.length

/** 52 characters, as AWS has them. Random bytes are drawn for 64 ids at once. */
function requestId(): string {
  if (used >= random.length) {
    randomFillSync(random)
    used = 0
  }
  let id = ''
  for (const end = used + 52; used < end; used++) id += alphabet[(random[used] as number) & 31]
  return id
}
