import type { IncomingMessage, ServerResponse } from 'node:http'
import { asMillraceError, type Logger } from '../../runtime/index.js'
import type { Bodies } from '../body.js'
import { checkForm, queryOf } from './authorization.js'
import { acceptsGzip, gzipBytesMin, packed } from './compression.js'
import {
  type AwsFailure,
  awsFailureOf,
  bodyOf,
  isAwsFailure,
  kinesisHere,
  nameOf,
  noJson,
  unknownOperation,
} from './failure.js'
import { allowOrigin, preflight } from './origins.js'
import { Outbox } from './outbox.js'
import { requestId } from './request-id.js'
import { hashAsSent, sha256 } from './signature.js'
import type { SignatureVerifier } from './verifier.js'

/** The services that one address answers for, by the prefix of X-Amz-Target. */
export type AwsService = 'DynamoDB_20120810' | 'DynamoDBStreams_20120810'

/** What a request comes with. */
export interface RequestSurroundings {
  /** The address that it was sent to. */
  readonly host: string
  /** Calls back when the system has taken the answer, so that its memory may be written again. */
  onSent(listener: () => void): void
}

/** Runs one operation: JSON in, JSON out, at once where nothing has to be waited for. Throws or rejects with errors with `type`, `status` and `message` as AWS has them. */
export type ExecuteAws = (
  service: AwsService,
  operation: string,
  body: Buffer,
  asked: RequestSurroundings,
) => Buffer | Promise<Buffer>

export interface AwsHandlerOptions {
  readonly execute: ExecuteAws
  readonly bodies: Bodies
  readonly corsOrigins: readonly string[]
  readonly logger: Logger
  /** Without one, any signature of the right form is taken, and none too. */
  readonly verifier?: SignatureVerifier | undefined
  /** Seconds and the code of an answer: `ok` or the name of the error. */
  readonly observe: (operation: string, code: string, seconds: number) => void
}

const jsonType = 'application/x-amz-json-1.0'
const noOperation = Buffer.from('<UnknownOperationException/>\n')

/** The AWS JSON protocol at `/`. Only this path may be used by pages of other origins. */
export class AwsHandler {
  readonly #options: AwsHandlerOptions
  readonly #outbox = new Outbox()

  constructor(options: AwsHandlerOptions) {
    this.#options = options
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { headers, method } = request
    allowOrigin(request, response, this.#options.corsOrigins)
    if (method === 'OPTIONS' && headers.origin !== undefined) {
      response.setHeader('x-amzn-RequestId', requestId())
      return preflight(request, response)
    }
    if (method === 'GET' || method === 'HEAD')
      return this.#outbox.send(response, 200, 'text/plain', Buffer.from(`healthy: ${headers.host ?? 'localhost'} `))
    const type = method === 'POST' ? answerType(request) : undefined
    if (type === undefined) {
      request.resume()
      if (this.#options.bodies.isTooLarge(request)) return sendTooLarge(response)
      return this.#outbox.send(response, 404, 'application/xml', noOperation)
    }
    const began = performance.now()
    const asked: Asked = { request, response, type, operation: 'unknown', body: undefined }
    let code = 'ok'
    try {
      await this.#run(asked)
    } catch (error) {
      if (!asked.body) request.resume()
      code = this.#sendError(asked, error)
    } finally {
      if (asked.body) this.#options.bodies.release(asked.body)
    }
    // A name that no service knows must not make a time series.
    const operation = code === 'UnknownOperationException' ? 'unknown' : asked.operation
    this.#options.observe(operation, code, (performance.now() - began) / 1000)
  }

  async #run(asked: Asked): Promise<void> {
    const { request } = asked
    const { headers, method } = request
    const { bodies, execute, verifier } = this.#options
    const query = request.url === '/' ? undefined : queryOf(request.url as string)
    // Whoever names no key of ours does not get a body read.
    const claim = verifier?.begin(method as string, '/', query, headers)
    const sent = claim && headers['content-encoding'] !== undefined ? hashAsSent(request) : undefined
    const body = await bodies.read(request)
    asked.body = body
    const target = headers['x-amz-target']
    const dot = typeof target === 'string' ? target.indexOf('.') : -1
    const service = dot < 0 ? '' : (target as string).slice(0, dot)
    if (service !== 'DynamoDB_20120810' && service !== 'DynamoDBStreams_20120810') throw notServed(service, body)
    if (claim) verifier?.verify(claim, sent ? sent() : sha256(body))
    else checkForm(headers, query)
    asked.operation = (target as string).slice(dot + 1)
    const host = headers.host ?? 'localhost'
    const answer = execute(service, asked.operation, body, new Surroundings(host, asked.response))
    await this.#send(asked, answer instanceof Promise ? await answer : answer)
  }

  #sendError(asked: Asked, thrown: unknown): string {
    const failure = isAwsFailure(thrown) ? thrown : this.#translate(thrown)
    // A body that is too large is answered without one.
    if (failure.status === 413) {
      sendTooLarge(asked.response)
    } else {
      this.#outbox.send(asked.response, failure.status, asked.type, Buffer.from(JSON.stringify(bodyOf(failure))))
    }
    return nameOf(failure)
  }

  async #send({ request, response, type }: Asked, body: Buffer): Promise<void> {
    if (body.length < gzipBytesMin || !acceptsGzip(request.headers['accept-encoding']))
      return this.#outbox.send(response, 200, type, body)
    const small = await packed(body)
    response.setHeader('content-encoding', 'gzip')
    this.#outbox.send(response, 200, type, small)
  }

  #translate(thrown: unknown): AwsFailure {
    const error = asMillraceError(thrown)
    const failure = awsFailureOf(error)
    if (failure.status === 500) {
      const { code, stack, cause } = error
      this.#options.logger.error({ code, stack, cause: cause === undefined ? undefined : String(cause) }, error.message)
    }
    return failure
  }
}

class Surroundings implements RequestSurroundings {
  readonly host: string
  readonly #response: ServerResponse

  constructor(host: string, response: ServerResponse) {
    this.host = host
    this.#response = response
  }

  onSent(listener: () => void): void {
    this.#response.once('finish', listener)
  }
}

/** A request that is being answered. */
interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Content type of the answer. */
  readonly type: string
  /** `unknown` until it may be one that there is. */
  operation: string
  body: Buffer | undefined
}

/** The content type of the answer, which follows that of the request; undefined when that is none of the protocol. */
function answerType({ headers }: IncomingMessage): string | undefined {
  const given = headers['content-type']
  if (given === jsonType) return jsonType
  const type = given?.split(';', 1)[0]?.trim()
  if (type === jsonType || type === 'application/json') return type
  const target = headers['x-amz-target']
  // Clients of Kinesis are answered in their own version of the protocol; CBOR is not spoken.
  if (typeof target === 'string' && target.startsWith('Kinesis_')) return 'application/x-amz-json-1.1'
  const hasBody = Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
  return hasBody ? undefined : 'application/json'
}

function notServed(service: string, body: Buffer): AwsFailure {
  if (service.startsWith('Kinesis_')) return kinesisHere
  try {
    if (body.length > 0) JSON.parse(body.toString())
  } catch {
    return noJson
  }
  return unknownOperation
}

/** AWS answers in chunks, of which there are none. */
function sendTooLarge(response: ServerResponse): void {
  response.writeHead(413, { 'x-amzn-RequestId': requestId(), 'transfer-encoding': 'chunked' })
  response.end()
}
