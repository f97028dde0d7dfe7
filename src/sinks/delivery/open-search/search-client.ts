import { readFileSync } from 'node:fs'
import { Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { Agent as SecureAgent, request as secureRequest } from 'node:https'
import type { OpenSearchDescription } from '../../../operators/index.js'
import type { Clock } from '../../../runtime/index.js'

/** Bytes of an answer: those of the largest bulk request have some 3 MB. */
const answerBytesMax = 64 * 1024 * 1024

export interface SearchAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface SearchRequest {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: Buffer
  readonly contentType?: 'application/json' | 'application/x-ndjson'
}

interface Connection {
  readonly agent: Agent
  readonly headers: Readonly<Record<string, string>>
}

/** Asks a cluster, one node of it at a time. Secrets and certificates are read when it connects, and never kept elsewhere. */
export class SearchClient {
  readonly #server: Pick<OpenSearchDescription, 'urls' | 'auth' | 'tls'>
  readonly #clock: Clock
  #node = 0
  #connection: Connection | undefined

  constructor(server: Pick<OpenSearchDescription, 'urls' | 'auth' | 'tls'>, clock: Clock) {
    this.#server = server
    this.#clock = clock
  }

  /** Rejects with an error whose message is for people, when there is no whole answer within `timeoutMs`, or at the stop. */
  async ask(asked: SearchRequest, timeoutMs: number, stop: AbortSignal): Promise<SearchAnswer> {
    this.#connection ??= this.#connect()
    const { agent, headers } = this.#connection
    const url = new URL(`${this.#url}${asked.path}`)
    const sent = (url.protocol === 'https:' ? secureRequest : request)(url, {
      method: asked.method,
      agent,
      headers: {
        ...headers,
        ...(asked.body
          ? { 'content-type': asked.contentType ?? 'application/json', 'content-length': asked.body.length }
          : {}),
      },
    })
    const timer = this.#clock.setTimeout(() => sent.destroy(new Error(`No answer within ${timeoutMs} ms.`)), timeoutMs)
    const onStop = (): void => void sent.destroy(new Error('The daemon is stopping.'))
    stop.addEventListener('abort', onStop)
    try {
      if (stop.aborted) onStop()
      sent.end(asked.body)
      return await answerOf(sent)
    } catch (error) {
      // A connection that was idle was closed meanwhile; what is asked here may be asked twice.
      if (sent.reusedSocket && isReset(error)) {
        this.close()
        return await this.ask(asked, timeoutMs, stop)
      }
      throw new Error(`${this.#url}: ${(error as Error).message}`, { cause: error })
    } finally {
      timer.cancel()
      stop.removeEventListener('abort', onStop)
    }
  }

  get #url(): string {
    const { urls } = this.#server
    return urls[this.#node % urls.length] as string
  }

  #connect(): Connection {
    const { auth, tls } = this.#server
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': 'millrace' }
    if (auth) headers.authorization = authorizationOf(auth)
    if (!this.#url.startsWith('https:')) return { agent: new Agent({ keepAlive: true }), headers }
    const { caFile, certFile, keyFile, serverName } = tls ?? {}
    const agent = new SecureAgent({
      keepAlive: true,
      ...(caFile === undefined ? {} : { ca: contentOf(caFile) }),
      ...(certFile === undefined ? {} : { cert: contentOf(certFile) }),
      ...(keyFile === undefined ? {} : { key: contentOf(keyFile) }),
      ...(serverName === undefined ? {} : { servername: serverName }),
    })
    return { agent, headers }
  }

  /** The next question goes to the next node, on a connection made anew with what secrets and certificates are then. */
  turn(): void {
    this.close()
    this.#node++
  }

  close(): void {
    this.#connection?.agent.destroy()
    this.#connection = undefined
  }
}

const isReset = (error: unknown): boolean =>
  ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')

function answerOf(sent: ClientRequest): Promise<SearchAnswer> {
  return new Promise((resolve, reject) => {
    sent.once('error', (error) => reject(error))
    sent.once('response', (response: IncomingMessage) => {
      const parts: Buffer[] = []
      let bytes = 0
      response.on('data', (part: Buffer) => {
        parts.push(part)
        bytes += part.length
        if (bytes > answerBytesMax) sent.destroy(new Error(`The answer has more than ${answerBytesMax} bytes.`))
      })
      response.once('error', reject)
      response.once('end', () =>
        resolve({
          status: response.statusCode as number,
          headers: response.headers,
          text: Buffer.concat(parts).toString('utf8'),
        }),
      )
    })
  })
}

function authorizationOf(auth: NonNullable<OpenSearchDescription['auth']>): string {
  if ('apiKeyFile' in auth) return `ApiKey ${lineOf(auth.apiKeyFile)}`
  if ('apiKeyVariable' in auth) return `ApiKey ${variable(auth.apiKeyVariable)}`
  const password = 'passwordFile' in auth ? lineOf(auth.passwordFile) : variable(auth.passwordVariable)
  return `Basic ${Buffer.from(`${auth.username}:${password}`).toString('base64')}`
}

function variable(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`The daemon's environment has no ${name}.`)
  return value
}

function lineOf(file: string): string {
  const line = contentOf(file).toString('utf8').split(/\r?\n/, 1)[0] as string
  if (line === '') throw new Error(`The first line of ${file} is empty.`)
  return line
}

function contentOf(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    throw new Error(`The file ${file} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}.`)
  }
}
