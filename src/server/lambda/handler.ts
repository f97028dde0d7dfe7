import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Daemon } from '../../daemon/index.js'
import { asMillraceError, type Logger } from '../../runtime/index.js'
import { checkForm, queryOf } from '../aws/authorization.js'
import { isAwsFailure } from '../aws/failure.js'
import { hashAsSent, pathOf, sha256, signedPath } from '../aws/signature.js'
import type { SignatureVerifier } from '../aws/verifier.js'
import type { Bodies } from '../body.js'
import { type CallerRules, checkHost } from '../safety.js'
import type { LambdaAnswer } from './call.js'
import { faultBody, faultName, isLambdaFault, type LambdaFault, lambdaFaultOf } from './fault.js'
import { operationOf } from './operations.js'

export interface LambdaHandlerOptions {
  readonly daemon: Daemon
  readonly bodies: Bodies
  readonly rules: CallerRules
  readonly logger: Logger
  /** Without one, any signature of the right form is taken, and none too. */
  readonly verifier?: SignatureVerifier | undefined
  /** Seconds and the code of an answer: `ok` or the name of the error. */
  readonly observe: (operation: string, code: string, seconds: number) => void
}

/** A request that is being answered. */
interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** `unknown` until it is one that there is. */
  operation: string
  body: Buffer | undefined
}

const noQuery = new URLSearchParams()

/** The Lambda API, which the AWS SDKs speak as REST with JSON. */
export class LambdaHandler {
  readonly #options: LambdaHandlerOptions

  constructor(options: LambdaHandlerOptions) {
    this.#options = options
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const began = performance.now()
    const asked: Asked = { request, response, operation: 'unknown', body: undefined }
    let code = 'ok'
    try {
      send(response, await this.#run(asked))
    } catch (thrown) {
      if (!asked.body) request.resume()
      const failure = this.#faultOf(thrown)
      code = faultName(failure)
      send(response, {
        status: failure.status,
        body: faultBody(failure),
        headers: { 'x-amzn-errortype': code },
      })
    } finally {
      if (asked.body) this.#options.bodies.release(asked.body)
    }
    this.#options.observe(asked.operation, code, (performance.now() - began) / 1000)
  }

  async #run(asked: Asked): Promise<LambdaAnswer> {
    const { request } = asked
    const { headers, method = 'GET', url = '/' } = request
    const { daemon, bodies, rules, verifier } = this.#options
    // A page in a browser cannot sign, but where nobody has to it could call functions.
    if (!verifier) checkHost(request, rules)
    const path = pathOf(url)
    const query = queryOf(url)
    const claim = verifier?.begin(method, signedPath(path), query, headers)
    const sent = claim && headers['content-encoding'] !== undefined ? hashAsSent(request) : undefined
    const body = await bodies.read(request)
    asked.body = body
    if (claim) verifier?.verify(claim, sent ? sent() : sha256(body))
    else checkForm(headers, query)
    const { operation, names } = operationOf(method, path)
    asked.operation = operation.name
    const { rooms } = daemon
    return operation.run({
      rooms,
      home: daemon.config.aws,
      method,
      path,
      names,
      query: query ?? noQuery,
      headers,
      body,
    })
  }

  #faultOf(thrown: unknown): LambdaFault {
    // The faults of signatures have another status here than in the JSON protocol.
    if (isAwsFailure(thrown) && thrown.type.includes('#')) return { ...thrown, status: 403 }
    if (isLambdaFault(thrown)) return thrown
    const error = asMillraceError(thrown)
    if (error.code === 'INTERNAL') {
      const { code, stack, cause } = error
      this.#options.logger.error({ code, stack, cause: cause === undefined ? undefined : String(cause) }, error.message)
    }
    return lambdaFaultOf(error)
  }
}

function send(response: ServerResponse, { status, body, headers = {}, requestId = randomUUID() }: LambdaAnswer): void {
  const text = typeof body === 'object' ? JSON.stringify(body) : (body ?? '')
  const type = text === '' ? {} : { 'content-type': 'application/json' }
  const length = status === 204 ? {} : { 'content-length': Buffer.byteLength(text) }
  response.writeHead(status, { ...type, ...length, 'x-amzn-requestid': requestId, ...headers })
  response.end(text)
}
