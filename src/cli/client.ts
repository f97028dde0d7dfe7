import type { Command } from 'commander'
import { loadConfig } from '../config/index.js'
import { type ErrorCode, errorKinds, MillraceError } from '../runtime/index.js'

export interface GlobalOptions {
  readonly data?: string
  readonly port?: number
  readonly url?: string
  readonly config?: string
  readonly json: boolean
}

export const globals = (command: Command): GlobalOptions => command.optsWithGlobals<GlobalOptions>()

/** What flags and environment say about the configuration. Throws CONFIG_INVALID. */
export function loadFor(options: GlobalOptions): ReturnType<typeof loadConfig> {
  const flags = { dataDir: options.data, 'listen.port': options.port }
  return loadConfig({
    environment: process.env,
    flags,
    ...(options.config === undefined ? {} : { file: options.config }),
  })
}

/** Speaks to a running daemon. */
export class Client {
  readonly url: string

  constructor(options: GlobalOptions) {
    const given = options.url ?? process.env.MILLRACE_URL
    if (given !== undefined) this.url = given.replace(/\/$/, '')
    else {
      const { listen } = loadFor(options).config
      this.url = `http://${listen.host === '0.0.0.0' || listen.host === '::' ? '127.0.0.1' : listen.host}:${listen.port}`
    }
  }

  async call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const { text } = await this.send(
      method,
      path,
      'application/json',
      body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
    )
    return JSON.parse(text) as T
  }

  /** Throws what the daemon answered, as it threw it; UNREACHABLE when nobody answers. */
  async send(
    method: string,
    path: string,
    contentType: string,
    body: Buffer | undefined,
    accept = 'application/json',
  ): Promise<{ text: string; headers: Headers }> {
    let response: Response
    let text: string
    try {
      response = await fetch(`${this.url}/v1/${path}`, {
        method,
        headers: { 'content-type': contentType, 'x-millrace': '1', accept },
        ...(body === undefined ? {} : { body: new Uint8Array(body) }),
      })
      text = await response.text()
    } catch (error) {
      const cause = (error as Error).cause as Error | undefined
      throw new MillraceError(
        'UNREACHABLE',
        `No daemon answers at ${this.url}: ${cause?.message || (error as Error).message}.`,
        { cause: error },
      )
    }
    if (!response.ok) throw errorOf(response.status, text)
    return { text, headers: response.headers }
  }
}

function errorOf(status: number, text: string): MillraceError {
  try {
    const { error } = JSON.parse(text) as {
      error: { code: ErrorCode; message: string; remedy: string; details: Record<string, unknown> }
    }
    if (error.code in errorKinds)
      return new MillraceError(error.code, error.message, { remedy: error.remedy, details: error.details })
  } catch {
    // Not an answer of ours.
  }
  return new MillraceError('INTERNAL', `The answer was ${status}: ${text.slice(0, 200)}.`, {
    remedy: 'Check that --url names a Millrace daemon.',
  })
}
