import { type Clock, MillraceError } from '../../../runtime/index.js'
import { HttpDeliverer, type OutboxBatch } from '../../../sinks/index.js'
import type { Destination, FailureDocument } from './destination.js'

/** How long an answer is waited for. */
const timeoutMs = 30_000
const tooLarge = /^413\b/

/** Posts each document as JSON, with its id as `Idempotency-Key`. A refusal is a failure like any other: it is tried again. */
export class HttpDestination implements Destination {
  readonly #deliverer: HttpDeliverer
  readonly #shown: string

  constructor(url: string, clock: Clock) {
    this.#shown = shownUrl(url)
    const target = { url, method: 'POST', headers: {}, format: 'json', isSingle: true, timeoutMs } as const
    this.#deliverer = new HttpDeliverer(target, clock)
  }

  async deliver(document: FailureDocument, stop: AbortSignal): Promise<void> {
    const whole = await this.#deliverer.deliver(batchOf(document, document.withPayload), 1, stop)
    const isTooLarge = whole.kind === 'refused' && tooLarge.test(whole.why)
    const outcome = isTooLarge
      ? await this.#deliverer.deliver(batchOf(document, document.withoutPayload), 1, stop)
      : whole
    if (outcome.kind !== 'delivered') throw new MillraceError('UNREACHABLE', `${this.#shown}: ${outcome.why}`)
  }

  close(): Promise<void> {
    return this.#deliverer.close()
  }
}

/** A URL for logs and messages: what stands in front of its host or behind its path may be secret. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

function batchOf({ id, at, shardId }: FailureDocument, body: Buffer): OutboxBatch {
  const record = {
    sequence: 0 as OutboxBatch['records'][number]['sequence'],
    id,
    time: at,
    key: Buffer.from(shardId),
    body,
  }
  return { records: [record], idempotencyKey: id }
}
