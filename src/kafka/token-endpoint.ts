import { type Clock, MillraceError } from '../runtime/index.js'

/** Where tokens are given out to clients that show a secret (OAuth 2.0, RFC 6749, section 4.4). */
export interface TokenEndpoint {
  readonly url: string
  readonly clientId: string
  /** Read anew for each request. */
  readonly clientSecret: () => string
  readonly scope: string | undefined
}

const requestTimeoutMs = 10_000
/** More of an answer is not read. */
const answerBytesMax = 1024 * 1024
/** A token is used again for this part of its life. */
const usedPart = 0.8

/** The token of a cluster: asked for when there is none that lives on for a while. */
export class TokenSource {
  readonly #endpoint: TokenEndpoint
  readonly #clock: Clock
  #token: { readonly value: string; readonly until: number } | undefined
  #asking: Promise<string> | undefined

  constructor(endpoint: TokenEndpoint, clock: Clock) {
    this.#endpoint = endpoint
    this.#clock = clock
  }

  /** Throws KAFKA_UNAUTHORIZED when the endpoint says no, KAFKA_UNAVAILABLE when it does not answer. */
  get(): Promise<string> {
    const token = this.#token
    if (token && this.#clock.now() < token.until) return Promise.resolve(token.value)
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  /** The broker did not take the newest one: the next `get` asks for another. */
  forget(): void {
    this.#token = undefined
  }

  async #ask(): Promise<string> {
    const { url, clientId, clientSecret, scope } = this.#endpoint
    const form = new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) })
    // Both are encoded once more in the header, as the RFC has it.
    const credentials = `${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret())}`
    const askedAt = this.#clock.now()
    let status: number
    let text: string
    try {
      const answer = await fetch(url, {
        method: 'POST',
        redirect: 'error',
        headers: {
          authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
          accept: 'application/json',
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: form.toString(),
        signal: AbortSignal.timeout(requestTimeoutMs),
      })
      status = answer.status
      text = await textOf(answer)
    } catch (error) {
      throw unavailable(url, reasonOf(error))
    }
    if (status >= 500 || status === 429) throw unavailable(url, `HTTP ${status}`)
    if (status !== 200)
      throw new MillraceError('KAFKA_UNAUTHORIZED', `The token endpoint ${url} gave no token (HTTP ${status}).`, {
        remedy: 'Correct clientId, clientSecret or scope of the cluster in the configuration.',
      })
    return this.#keep(text, askedAt)
  }

  #keep(text: string, askedAt: number): string {
    const { access_token: value, expires_in: seconds } = objectOf(text)
    if (typeof value !== 'string' || value === '')
      throw new MillraceError('KAFKA_UNAUTHORIZED', `What ${this.#endpoint.url} answered holds no access_token.`, {
        remedy: 'Check that tokenEndpoint.url of the cluster is the endpoint for tokens.',
      })
    // Without a lifetime it is used for one connection.
    const lifeMs = typeof seconds === 'number' && seconds > 0 ? seconds * 1000 * usedPart : 0
    this.#token = { value, until: askedAt + lifeMs }
    return value
  }
}

/** The text of an answer; an empty one when it has more than the bound. */
async function textOf({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  // Leaving the loop cancels what is still to come.
  for await (const part of body ?? []) {
    bytes += part.length
    if (bytes > answerBytesMax) return ''
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

function objectOf(text: string): { readonly access_token?: unknown; readonly expires_in?: unknown } {
  try {
    const answer = JSON.parse(text) as unknown
    return typeof answer === 'object' && answer !== null ? answer : {}
  } catch {
    return {}
  }
}

function unavailable(url: string, why: string): MillraceError {
  return new MillraceError('KAFKA_UNAVAILABLE', `The token endpoint ${url} does not answer: ${why}.`, {
    remedy: 'Start the token endpoint or correct tokenEndpoint.url of the cluster; it is asked again by itself.',
  })
}

/** `fetch failed` says nothing; what it wraps does. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } }
  return cause?.code ?? cause?.message ?? message ?? String(error)
}
