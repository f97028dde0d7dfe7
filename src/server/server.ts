import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Daemon } from '../daemon/index.js'
import { asMillraceError, type Logger, type Metrics, MillraceError } from '../runtime/index.js'
import { AwsHandler } from './aws.js'
import { sendJson, sendText } from './respond.js'
import { runRoute } from './routes.js'
import { checkCaller } from './safety.js'

export interface ServerOptions {
  readonly daemon: Daemon
  readonly metrics: Metrics
  readonly logger: Logger
}

/** One port: the AWS path at `/`, the native API below `/v1`, metrics and health. */
export class Server {
  readonly #options: ServerOptions
  readonly #http: HttpServer
  readonly #aws: AwsHandler
  #closing = false

  constructor(options: ServerOptions) {
    const { daemon, metrics, logger } = options
    const { http, cors } = daemon.config
    this.#options = options
    const requests = metrics.histogram('request_seconds', 'Time from a request to its answer.', 'seconds', [
      'operation',
      'code',
    ])
    this.#aws = new AwsHandler({
      execute: (service, operation, body) => daemon.rooms.tables.execute(service, operation, body),
      bodyBytesMax: http.bodyBytesMax,
      corsOrigins: cors.origins,
      logger,
      observe: (operation, code, seconds) => requests(seconds, { operation, code }),
    })
    this.#http = createServer(
      { requestTimeout: http.requestTimeoutMs, keepAliveTimeout: 60_000 },
      (request, response) => {
        this.#answer(request, response).catch((error: unknown) => {
          logger.error({ stack: asMillraceError(error).stack }, 'A request could not be answered.')
          response.destroy()
        })
      },
    )
    this.#http.maxConnections = http.connectionsMax
  }

  /** Throws PORT_IN_USE. */
  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options.daemon.config.listen
    return new Promise((resolve, reject) => {
      this.#http.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'EADDRINUSE')
          reject(new MillraceError('PORT_IN_USE', `Something listens on ${host}:${port} already.`, { cause: error }))
        else
          reject(
            new MillraceError('IO_FAILED', `${host}:${port} cannot be listened on: ${error.message}.`, {
              cause: error,
              remedy: 'Correct listen.host and listen.port.',
            }),
          )
      })
      this.#http.listen(port, host, () => resolve({ host, port: (this.#http.address() as AddressInfo).port }))
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // After its answer a connection is not kept, so that the close can end.
    if (this.#closing) response.setHeader('connection', 'close')
    const path = request.url ?? '/'
    if (path === '/') return this.#aws.handle(request, response)
    try {
      await this.#route(request, response, new URL(path, 'http://daemon'))
    } catch (thrown) {
      this.#fail(request, response, thrown)
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { daemon, metrics } = this.#options
    if (url.pathname.startsWith('/v1/')) {
      const { listen, http } = daemon.config
      checkCaller(request, listen.hosts, listen.insecure)
      return runRoute(daemon, request, response, url, http.bodyBytesMax)
    }
    switch (url.pathname) {
      case '/metrics':
        return sendText(response, 200, metrics.contentType, await metrics.text())
      case '/healthz':
        return sendJson(response, 200, { alive: true })
      case '/readyz': {
        const { state } = daemon
        return sendJson(response, state.state === 'ready' ? 200 : 503, { ready: state.state === 'ready', ...state })
      }
      case '/':
        return this.#aws.handle(request, response)
      default:
        throw new MillraceError('NOT_FOUND', `There is nothing at ${url.pathname}.`, {
          remedy: 'docs/reference/http.md lists the paths.',
        })
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, thrown: unknown): void {
    request.resume()
    const error = asMillraceError(thrown)
    if (error.code === 'INTERNAL')
      this.#options.logger.error({ stack: error.stack, cause: String(error.cause ?? '') }, error.message)
    if (response.headersSent) response.destroy()
    else sendJson(response, error.status, error.toJSON())
  }

  /** Takes no new connections, finishes what is in flight, closes. */
  async close(): Promise<void> {
    this.#closing = true
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()))
    this.#http.closeIdleConnections()
    const idle = setInterval(() => this.#http.closeIdleConnections(), 50)
    await closed
    clearInterval(idle)
  }
}
