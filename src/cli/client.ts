import { get as httpGet, type IncomingMessage } from 'node:http'
import { get as httpsGet } from 'node:https'
import type { Command } from 'commander'
import { type Config, credentialsOf, loadConfig } from '../config/index.js'
import { answeredError, MillraceError, type Outcome } from '../runtime/index.js'

export interface GlobalOptions {
  readonly data?: string
  readonly port?: number
  readonly url?: string
  readonly config?: string
  readonly json: boolean
}

export function globals(command: Command): GlobalOptions {
  const options = command.optsWithGlobals<Partial<GlobalOptions>>()
  return { ...options, json: options.json === true }
}

/** What file, environment and flags say. Throws CONFIG_INVALID. */
export function loadFor(options: GlobalOptions): ReturnType<typeof loadConfig> {
  const flags = { dataDir: options.data, 'listen.port': options.port }
  // An empty variable is one that is not set, as everywhere in a shell.
  const file = options.config ?? (process.env.MILLRACE_CONFIG || undefined)
  return loadConfig({ environment: process.env, flags, ...(file === undefined ? {} : { file }) })
}

/** Speaks to a running daemon. */
export class Client {
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>

  /** Throws USAGE or CONFIG_INVALID. */
  constructor(options: GlobalOptions) {
    const given = options.url ?? (process.env.MILLRACE_URL || undefined)
    const { config } = loadFor(options)
    this.url = given === undefined ? urlOf(config.listen) : checked(given)
    const { token } = credentialsOf(config.auth)
    this.#headers = { 'x-millrace': '1', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
  }

  async call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    return this.send<T>(method, path, 'application/json', bytes)
  }

  /** A long answer, piece by piece. Throws as `send` does, also when the answer breaks off. */
  async *receive(path: string, accept: string): AsyncGenerator<Buffer, void, void> {
    const response = await this.#get(path, accept)
    const pieces = response as AsyncIterable<Buffer>
    if (response.statusCode !== 200) {
      const parts: Buffer[] = []
      for await (const piece of pieces) parts.push(piece)
      const text = Buffer.concat(parts).toString()
      throw errorOf(this.url, response.statusCode ?? 0, text)
    }
    try {
      for await (const piece of pieces) yield piece
    } catch (error) {
      throw new MillraceError('UNREACHABLE', `The answer of ${this.url} broke off: ${(error as Error).message}.`, {
        cause: error,
        remedy: 'What came is not whole: ask again, and look at the log of the daemon.',
      })
    }
  }

  #get(path: string, accept: string): Promise<IncomingMessage> {
    const get = this.url.startsWith('https:') ? httpsGet : httpGet
    return new Promise((resolve, reject) => {
      get(`${this.url}/v1/${path}`, { headers: { accept, ...this.#headers } }, resolve).on('error', (error) =>
        reject(unreachable(this.url, error, 'notApplied')),
      )
    })
  }

  /** Throws what the daemon answered, as it threw it; UNREACHABLE when nobody answers. */
  async send<T>(method: string, path: string, contentType: string, body: Buffer | undefined): Promise<T> {
    let response: Response
    let text: string
    try {
      response = await fetch(`${this.url}/v1/${path}`, {
        method,
        headers: { 'content-type': contentType, ...this.#headers, accept: 'application/json' },
        ...(body === undefined ? {} : { body: new Uint8Array(body) }),
      })
      text = await response.text()
    } catch (error) {
      const cause = (error as Error).cause as Error | undefined
      // What had been sent when the connection broke may have been done.
      throw unreachable(this.url, cause ?? (error as Error), method === 'GET' ? 'notApplied' : 'unknown')
    }
    const answer = parsed(text)
    if (response.ok && answer !== undefined) return answer as T
    throw errorOf(this.url, response.status, text)
  }
}

function urlOf({ host, port }: Config['listen']): string {
  const isAny = host === '0.0.0.0' || host === '::'
  const name = isAny ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
  return `http://${name}:${port}`
}

function checked(url: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new MillraceError('USAGE', `${url} is no URL of a daemon.`, {
      remedy: 'Give one like http://127.0.0.1:8000.',
    })
  return url.replace(/\/+$/, '')
}

const unreachable = (url: string, error: Error, outcome: Outcome): MillraceError =>
  new MillraceError('UNREACHABLE', `No daemon answers at ${url}: ${error.message || String(error)}.`, {
    cause: error,
    outcome,
  })

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function errorOf(url: string, status: number, text: string): MillraceError {
  const error = answeredError(text)
  if (error) return error
  return new MillraceError(
    'UNREACHABLE',
    `What answers at ${url} is no Millrace daemon: ${status} ${text.slice(0, 100)}.`,
    {
      remedy: 'Check --url and --port.',
    },
  )
}
