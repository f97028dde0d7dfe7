import { setMaxListeners } from 'node:events'
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Credentials, credentialsOf, isAuthConfigured } from '../config/index.js'
import { consoleAsset, consoleHeaders } from '../console/index.js'
import type { Daemon } from '../daemon/index.js'
import {
  asMillraceError,
  type Clock,
  type Logger,
  type Metrics,
  MillraceError,
  openFilesMax,
  systemClock,
} from '../runtime/index.js'
import { AwsHandler } from './aws/handler.js'
import { SignatureVerifier, type SignedService } from './aws/verifier.js'
import { Bodies } from './body.js'
import { connectionMetrics } from './connection-metrics.js'
import { connectionsMaxOf } from './connections-max.js'
import { Exports } from './export-output.js'
import { LambdaHandler } from './lambda/handler.js'
import { isLambdaPath } from './lambda/operations.js'
import { type RequestMetrics, requestMetrics } from './request-metrics.js'
import { sendBytes, sendJson, sendText } from './respond.js'
import { routeOf, runRoute } from './routes/index.js'
import { type CallerRules, checkCaller } from './safety.js'
import { checkToken } from './token.js'

export interface ServerOptions {
  readonly daemon: Daemon
  readonly metrics: Metrics
  readonly logger: Logger
  /** What signatures are held against. */
  readonly clock?: Clock
}

/** One port: the AWS path at `/`, the Lambda API below its versions, the native API below `/v1`, the console, metrics and health. */
export class Server {
  readonly #options: ServerOptions
  readonly #http: HttpServer
  readonly #aws: AwsHandler
  readonly #lambda: LambdaHandler
  readonly #bodies: Bodies
  readonly #exports: Exports
  readonly #observed: RequestMetrics
  /** Undefined when nobody has to show who asks. */
  readonly #credentials: Credentials | undefined
  readonly #rules: CallerRules
  readonly #stopping = new AbortController()

  /** Throws CONFIG_INVALID when a file of credentials cannot be read. */
  constructor(options: ServerOptions) {
    const { daemon, metrics, logger, clock = systemClock } = options
    const { http, cors, auth, listen } = daemon.config
    this.#credentials = isAuthConfigured(auth) ? credentialsOf(auth) : undefined
    this.#rules = { ...listen, isGuarded: this.#credentials !== undefined }
    this.#options = options
    this.#observed = requestMetrics(metrics)
    this.#bodies = new Bodies(http)
    this.#exports = new Exports(http)
    // Every request that waits listens to it, and there are at most `connectionsMax` of them.
    setMaxListeners(0, this.#stopping.signal)
    const verifierOf = (service: SignedService): SignatureVerifier | undefined =>
      this.#credentials &&
      new SignatureVerifier({
        service,
        keys: [...this.#credentials.keys, { ...daemon.handlerKey, sessionToken: undefined }],
        skewMsMax: auth.skewMsMax,
        clock,
      })
    const observe = this.#observed.answered
    this.#aws = new AwsHandler({
      execute: (service, operation, body, asked) => daemon.rooms.tables.execute(service, operation, body, asked),
      bodies: this.#bodies,
      corsOrigins: cors.origins,
      logger,
      verifier: verifierOf('dynamodb'),
      observe,
    })
    const lambda = { daemon, bodies: this.#bodies, rules: this.#rules, logger, observe }
    this.#lambda = new LambdaHandler({ ...lambda, verifier: verifierOf('lambda') })
    this.#http = createServer(
      {
        requestTimeout: http.requestTimeoutMs,
        // Node looks every 30 s by itself, and so would cut a slow request up to that much later.
        connectionsCheckingInterval: Math.min(Math.ceil(http.requestTimeoutMs / 10) + 10, 5_000),
        keepAliveTimeout: 60_000,
      },
      (request, response) => {
        this.#answer(request, response).catch((error: unknown) => {
          logger.error({ stack: asMillraceError(error).stack }, 'A request could not be answered.')
          response.destroy()
        })
      },
    )
    const openFiles = openFilesMax()
    const connectionsMax = connectionsMaxOf(http.connectionsMax, openFiles)
    if (connectionsMax < http.connectionsMax)
      logger.warn(
        { connectionsMax, openFilesMax: openFiles },
        'There are fewer connections than http.connectionsMax, since the process may open few files (ulimit -n).',
      )
    this.#http.maxConnections = connectionsMax
    let connections = 0
    this.#http.on('connection', (socket) => {
      connections++
      socket.once('close', () => connections--)
    })
    connectionMetrics(metrics, { connections: () => connections, bodiesBytes: () => this.#bodies.heldBytes })
  }

  /** Throws PORT_IN_USE. */
  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options.daemon.config.listen
    return new Promise((resolve, reject) => {
      // For the server's whole life: unheard, an error in accepting a connection would end the process.
      this.#http.on('error', (error: NodeJS.ErrnoException) => {
        if (this.#http.listening) this.#options.logger.warn({ error: error.message }, 'A connection was not accepted.')
        else if (error.code === 'EADDRINUSE')
          reject(new MillraceError('PORT_IN_USE', `Something listens on ${host}:${port} already.`, { cause: error }))
        else
          reject(
            new MillraceError('IO_FAILED', `${host}:${port} cannot be listened on: ${error.message}.`, {
              cause: error,
              remedy: 'Correct listen.host and listen.port.',
            }),
          )
      })
      this.#http.listen(port, host, () => {
        const address = { host, port: (this.#http.address() as AddressInfo).port }
        // Handlers that are called from now on know where the daemon is.
        this.#options.daemon.functions.host.serveAt(localUrlOf(address))
        resolve(address)
      })
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // After its answer a connection is not kept, so that the close can end.
    if (this.#stopping.signal.aborted) response.setHeader('connection', 'close')
    const path = request.url ?? '/'
    if (path === '/') return this.#aws.handle(request, response)
    if (isLambdaPath(path)) return this.#lambda.handle(request, response)
    try {
      await this.#route(request, response, targetOf(path))
    } catch (thrown) {
      this.#fail(request, response, thrown)
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, url: Target): Promise<void> {
    const { pathname } = url
    if (pathname === '/') return this.#aws.handle(request, response)
    if (pathname.startsWith('/v1/')) return this.#native(request, response, url)
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw new MillraceError('BAD_REQUEST', `${pathname} takes GET, not ${request.method}.`)
    const { daemon, metrics } = this.#options
    // A page of another origin must not even learn that there is a console here, nor what the metrics say.
    if (!isOpen(pathname)) {
      this.#checkToken(request, response)
      checkCaller(request, this.#rules)
    }
    if (pathname === '/console' || pathname.startsWith('/console/')) return this.#console(response, pathname)
    switch (pathname) {
      case '/metrics':
        return sendText(response, 200, metrics.contentType, await metrics.text())
      case '/healthz':
        return sendJson(response, 200, { alive: true })
      case '/readyz': {
        const { state } = daemon
        return sendJson(response, state.state === 'ready' ? 200 : 503, { ready: state.state === 'ready', ...state })
      }
      default:
        throw new MillraceError('NOT_FOUND', `There is nothing at ${pathname}.`, {
          remedy: 'docs/reference/http.md lists the paths.',
        })
    }
  }

  #console(response: ServerResponse, pathname: string): void {
    const asset = consoleAsset(pathname.slice('/console'.length))
    if (!asset)
      throw new MillraceError('NOT_FOUND', `There is nothing at ${pathname}.`, {
        remedy: 'The console is at /console.',
      })
    for (const [name, value] of Object.entries(consoleHeaders)) response.setHeader(name, value)
    sendBytes(response, 200, asset.type, asset.body)
  }

  async #native(request: IncomingMessage, response: ServerResponse, url: Target): Promise<void> {
    const { daemon, metrics } = this.#options
    checkCaller(request, this.#rules)
    this.#checkToken(request, response)
    const match = routeOf(url.pathname.slice('/v1/'.length), request.method)
    const { answered } = this.#observed
    const operation = `${match.route.method} /v1/${match.route.path}`
    const began = performance.now()
    let code = 'ok'
    try {
      const call = {
        daemon,
        metrics,
        request,
        response,
        query: url.searchParams,
        stopping: this.#stopping.signal,
        exports: this.#exports,
      }
      await runRoute(match, call, this.#bodies)
    } catch (error) {
      code = asMillraceError(error).code
      throw error
    } finally {
      answered(operation, code, (performance.now() - began) / 1000)
    }
  }

  #checkToken(request: IncomingMessage, response: ServerResponse): void {
    if (this.#credentials) checkToken(request, response, this.#credentials.token)
  }

  #fail(request: IncomingMessage, response: ServerResponse, thrown: unknown): void {
    request.resume()
    const error = asMillraceError(thrown)
    if (error.code === 'INTERNAL') {
      const { stack, cause } = error
      this.#options.logger.error({ stack, cause: cause === undefined ? undefined : String(cause) }, error.message)
    }
    if (response.headersSent) response.destroy()
    else sendJson(response, error.status, error.toJSON())
  }

  /** Takes no new connections, answers what is in flight, closes. Whoever is not done by `http.stopMsMax` is cut. */
  async close(): Promise<void> {
    this.#stopping.abort()
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()))
    // A connection becomes idle with its answer, and Node tells nobody.
    const idle = setInterval(() => this.#http.closeIdleConnections(), 20)
    const cut = setTimeout(() => this.#http.closeAllConnections(), this.#options.daemon.config.http.stopMsMax)
    await closed
    clearInterval(idle)
    clearTimeout(cut)
  }
}

/** How programs on this machine reach it. */
function localUrlOf({ host, port }: { readonly host: string; readonly port: number }): string {
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}

/** Its parameters are only read. */
type Target = Pick<URL, 'pathname' | 'searchParams'>

/** A path that a URL would show as it is: most are, and parsing one takes longer than routing it. */
const plainPath = /^(?:\/[\w-][\w.-]*)+$/

const noParameters = new URLSearchParams()

/** What a load balancer asks, and tells nothing of anybody's data. */
const isOpen = (pathname: string): boolean => pathname === '/healthz' || pathname === '/readyz'

/** Throws BAD_REQUEST. */
function targetOf(path: string): Target {
  if (plainPath.test(path)) return { pathname: path, searchParams: noParameters }
  try {
    return new URL(path.startsWith('/') ? `http://daemon${path}` : path)
  } catch {
    throw new MillraceError('BAD_REQUEST', `${JSON.stringify(path)} is no path.`)
  }
}
