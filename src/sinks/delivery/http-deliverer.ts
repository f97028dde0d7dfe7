import type { HttpSinkPlan } from '../../operators/index.js'
import type { Clock } from '../../runtime/index.js'
import type { Deliverer, DeliveryOutcome, OutboxBatch } from './deliverer.js'

export type HttpTarget = Pick<HttpSinkPlan, 'url' | 'method' | 'headers' | 'format'> & {
  /** One result goes as it is, not in an array. */
  readonly isSingle: boolean
  readonly timeoutMs: number
}

/** What says that the content itself is at fault; anything else that is no success may be another time. */
const refusals = new Set([400, 413, 415, 422])
/** Bytes of an answer that are read: more would only keep the connection busy. */
const answerBytesMax = 64 * 1024
/** Characters of an answer that are shown. */
const shownMax = 300
/** Longest time that a `Retry-After` is heeded for. */
const retryAfterMsMax = 60 * 60 * 1000

/** Sends batches to an HTTP server. Redirects are not followed: they are failures. */
export class HttpDeliverer implements Deliverer {
  readonly #target: HttpTarget
  readonly #clock: Clock

  constructor(target: HttpTarget, clock: Clock) {
    this.#target = target
    this.#clock = clock
  }

  async deliver(batch: OutboxBatch, _attempt: number, stop: AbortSignal): Promise<DeliveryOutcome> {
    const { url, method, timeoutMs } = this.#target
    const abort = new AbortController()
    const end = (): void => abort.abort()
    stop.addEventListener('abort', end)
    let isLate = false
    const timer = this.#clock.setTimeout(() => {
      isLate = true
      end()
    }, timeoutMs)
    try {
      if (stop.aborted) end()
      const response = await fetch(url, {
        method,
        headers: this.#headers(batch),
        body: this.#body(batch),
        redirect: 'manual',
        signal: abort.signal,
      })
      return outcomeOf(response, await textOf(response), this.#clock.now())
    } catch (error) {
      return { kind: 'failed', why: isLate ? `No answer within ${timeoutMs} ms.` : reasonOf(error) }
    } finally {
      timer.cancel()
      stop.removeEventListener('abort', end)
    }
  }

  #headers({ idempotencyKey }: OutboxBatch): Record<string, string> {
    const { headers, format } = this.#target
    return {
      accept: 'application/json',
      'user-agent': 'millrace',
      ...headers,
      'content-type': format === 'json' ? 'application/json' : 'application/x-ndjson',
      'idempotency-key': idempotencyKey,
    }
  }

  #body({ records }: OutboxBatch): string {
    const { format, isSingle } = this.#target
    const texts = records.map(({ body }) => body.toString())
    if (format === 'ndjson') return `${texts.join('\n')}\n`
    return isSingle ? (texts[0] as string) : `[${texts.join(',')}]`
  }

  async close(): Promise<void> {}
}

function outcomeOf(response: Response, text: string, now: number): DeliveryOutcome {
  const { status, headers } = response
  if (response.ok) return { kind: 'delivered' }
  const why = `${status} ${response.statusText}${text === '' ? '' : `: ${text.slice(0, shownMax)}`}`
  if (refusals.has(status)) return { kind: 'refused', why }
  const afterMs = retryAfterMs(headers.get('retry-after'), now)
  return { kind: 'failed', why, ...(afterMs === undefined ? {} : { afterMs }) }
}

/** `Retry-After` (RFC 9110, 10.2.3): seconds, or a date. */
export function retryAfterMs(value: string | null, now: number): number | undefined {
  if (value === null) return undefined
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now
  return Number.isNaN(ms) ? undefined : Math.min(retryAfterMsMax, Math.max(0, ms))
}

/** The beginning of an answer. Reading it lets the connection be used again. */
async function textOf({ body }: Response): Promise<string> {
  if (!body) return ''
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body as unknown as AsyncIterable<Uint8Array>) {
    parts.push(part)
    bytes += part.length
    if (bytes >= answerBytesMax) break
  }
  return Buffer.concat(parts).toString('utf8')
}

/** What fetch says is that it failed; why is in its cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error
  const why = cause as { code?: string; message?: string } | undefined
  const reason = [why?.code, why?.message].filter((part) => part !== undefined && part !== '').join(': ')
  return reason === '' ? message : reason
}
