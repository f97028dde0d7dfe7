import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import { answeredError, MillraceError } from '../runtime/errors.js'
import type { Clock } from '../runtime/index.js'
import type { ConnectOptions } from './types.js'

/** Connections that one client keeps; each poll that waits has one. */
const socketsMax = 256
/** Beyond what a request may wait for at the daemon: then the connection is taken to be dead. */
export const answerMsMax = 30_000

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Below `/v1/`. */
  readonly path: string
  /** What becomes JSON, the text of it, or bytes as they are. */
  readonly body?: object | string | Buffer
  /** How long the daemon may wait before it answers. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

/** Speaks to one daemon over connections that are kept. */
export class Connection {
  readonly url: string
  readonly #base: URL
  readonly #agent: PlainAgent | SecureAgent
  readonly #request: typeof plainRequest
  readonly #onError: (error: MillraceError) => void
  readonly #connectMsMax: number
  readonly #clock: Clock
  readonly #headers: Readonly<Record<string, string>>
  /** When the first request was sent, monotonic; undefined once a daemon has answered. */
  #waitingSince: number | undefined
  #hasAnswered = false

  /** Throws USAGE when the URL is none. */
  constructor(
    { url, token, onError = () => {}, connectMsMax = Number.POSITIVE_INFINITY }: Omit<ConnectOptions, 'producer'>,
    clock: Clock,
  ) {
    this.#onError = onError
    this.#connectMsMax = connectMsMax
    this.#clock = clock
    if (!/^https?:\/\//.test(url) || !URL.canParse(url))
      throw new MillraceError('USAGE', `${url} is no URL of a daemon.`, {
        remedy: 'Give one like http://127.0.0.1:8000.',
      })
    this.url = url.replace(/\/+$/, '')
    this.#base = new URL(this.url)
    this.#headers = { 'x-millrace': '1', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    const options = { keepAlive: true, maxSockets: socketsMax, noDelay: true }
    const isSecure = this.#base.protocol === 'https:'
    this.#agent = isSecure ? new SecureAgent(options) : new PlainAgent(options)
    this.#request = isSecure ? secureRequest : plainRequest
  }

  async json<T>(call: Call): Promise<T> {
    return this.#ask(call, (answer) => {
      const text = answer.toString()
      try {
        return JSON.parse(text) as T
      } catch {
        throw noMillrace(this.url, text)
      }
    })
  }

  /**
   * Throws what the daemon answered, as it threw it; UNREACHABLE, with an unknown outcome, when no whole answer came;
   * NO_DAEMON when none ever came and `connectMsMax` are over.
   */
  bytes(call: Call): Promise<Buffer> {
    return this.#ask(call, (answer) => answer)
  }

  async #ask<T>(call: Call, read: (answer: Buffer) => T): Promise<T> {
    if (!this.#hasAnswered) this.#waitingSince ??= this.#clock.monotonic()
    try {
      const answer = read(await this.#send(call))
      this.#hasAnswered = true
      return answer
    } catch (thrown) {
      const error = thrown as MillraceError
      if (error.code !== 'UNREACHABLE') this.#hasAnswered = true
      if (error.retryable && call.signal?.aborted !== true) this.#tell(error)
      throw this.#isHopeless() ? noDaemon(this.url, this.#connectMsMax, error) : error
    }
  }

  #isHopeless(): boolean {
    if (this.#hasAnswered || this.#waitingSince === undefined) return false
    return this.#clock.monotonic() - this.#waitingSince >= this.#connectMsMax
  }

  /** What it throws is its program's, and ends no request. */
  #tell(error: MillraceError): void {
    queueMicrotask(() => this.#onError(error))
  }

  #send({ method, path, body, waitMs = 0, signal }: Call): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const bytes = body === undefined ? undefined : bytesOf(body)
      const type = Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json'
      const lost = (error: Error) => reject(unreachable(this.url, error))
      const request = this.#request(
        {
          protocol: this.#base.protocol,
          // An address of version 6 stands in brackets only within a URL.
          hostname: this.#base.hostname.replace(/^\[(.*)\]$/, '$1'),
          port: this.#base.port,
          path: `${this.#base.pathname.replace(/\/$/, '')}/v1/${path}`,
          method,
          agent: this.#agent,
          signal,
          timeout: waitMs + answerMsMax,
          headers: { ...this.#headers, 'content-type': type, 'content-length': bytes?.length ?? 0 },
        },
        (response) => {
          readAll(response).then((answer) => {
            const status = response.statusCode as number
            if (status < 300) resolve(answer)
            else reject(errorOf(this.url, status, answer.toString()))
          }, lost)
        },
      )
      request.on('timeout', () => request.destroy(new Error('no answer came in time')))
      request.on('error', lost)
      request.end(bytes)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}

const bytesOf = (body: object | string | Buffer): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))

/** A body of known length in one buffer, without a copy at the end. */
function readAll(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const length = Number(response.headers['content-length'] ?? -1)
    const whole = length >= 0 ? Buffer.allocUnsafeSlow(length) : undefined
    const parts: Buffer[] = []
    let at = 0
    response.on('data', (part: Buffer) => {
      if (whole) part.copy(whole, at)
      else parts.push(part)
      at += part.length
    })
    response.on('error', reject)
    response.on('close', () => {
      if (!response.complete) reject(new Error('the connection was cut'))
    })
    response.on('end', () => resolve(whole ?? Buffer.concat(parts)))
  })
}

function unreachable(url: string, error: Error): MillraceError {
  const { code } = error as NodeJS.ErrnoException
  return new MillraceError('UNREACHABLE', `No daemon answers at ${url}: ${error.message || code}.`, {
    cause: error,
    // Only a connection that never was says that nothing can have been done.
    outcome: code === 'ECONNREFUSED' ? 'notApplied' : 'unknown',
  })
}

const noDaemon = (url: string, ms: number, cause: MillraceError): MillraceError =>
  new MillraceError('NO_DAEMON', `No daemon has answered at ${url} within ${ms} ms (connectMsMax): ${cause.message}`, {
    cause,
    // An answer that was lost may be the only one that there was.
    outcome: cause.outcome,
  })

function errorOf(url: string, status: number, text: string): MillraceError {
  const error = answeredError(text)
  if (error) return error
  return noMillrace(url, `${status} ${text}`)
}

const noMillrace = (url: string, answer: string): MillraceError =>
  new MillraceError('UNREACHABLE', `What answers at ${url} is no Millrace: ${answer.slice(0, 100)}.`, {
    outcome: 'unknown',
  })
