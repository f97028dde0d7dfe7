import type { Command } from 'commander'
import { loadConfig } from '../config/index.js'
import { type ErrorCode, errorKinds, MillraceError, type Outcome } from '../runtime/index.js'

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

  /** Throws USAGE or CONFIG_INVALID. */
  constructor(options: GlobalOptions) {
    const given = options.url ?? (process.env.MILLRACE_URL || undefined)
    this.url = given === undefined ? urlOf(options) : checked(given)
  }

  async call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    return this.send<T>(method, path, 'application/json', bytes)
  }

  /** Throws what the daemon answered, as it threw it; UNREACHABLE when nobody answers. */
  async send<T>(method: string, path: string, contentType: string, body: Buffer | undefined): Promise<T> {
    let response: Response
    let text: string
    try {
      response = await fetch(`${this.url}/v1/${path}`, {
        method,
        headers: { 'content-type': contentType, 'x-millrace': '1', accept: 'application/json' },
        ...(body === undefined ? {} : { body: new Uint8Array(body) }),
      })
      text = await response.text()
    } catch (error) {
      const cause = (error as Error).cause as Error | undefined
      throw new MillraceError(
        'UNREACHABLE',
        `No daemon answers at ${this.url}: ${cause?.message || (error as Error).message}.`,
        // What had been sent when the connection broke may have been done.
        { cause: error, outcome: method === 'GET' ? 'notApplied' : 'unknown' },
      )
    }
    const answer = parsed(text)
    if (response.ok && answer !== undefined) return answer as T
    throw errorOf(this.url, response.status, text, answer)
  }
}

function urlOf(options: GlobalOptions): string {
  const { host, port } = loadFor(options).config.listen
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

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

interface ErrorBody {
  readonly error?: {
    readonly code: ErrorCode
    readonly message: string
    readonly remedy: string
    readonly outcome: Outcome
    readonly details: Record<string, unknown>
  }
}

function errorOf(url: string, status: number, text: string, answer: unknown): MillraceError {
  const error = (answer as ErrorBody | undefined)?.error
  if (error && error.code in errorKinds) {
    const { code, message, remedy, outcome, details } = error
    return new MillraceError(code, message, { remedy, outcome, details })
  }
  return new MillraceError(
    'UNREACHABLE',
    `What answers at ${url} is no Millrace daemon: ${status} ${text.slice(0, 100)}.`,
    {
      remedy: 'Check --url and --port.',
    },
  )
}
