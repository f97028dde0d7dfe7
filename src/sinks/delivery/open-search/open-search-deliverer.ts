import type { OpenSearchDescription } from '../../../operators/index.js'
import type { Clock, Logger } from '../../../runtime/index.js'
import type { Deliverer, DeliveryOutcome, OutboxBatch } from '../deliverer.js'
import { retryAfterMs } from '../http-deliverer.js'
import { bulkBody, bulkOutcome, bulkPath, idOf, newestOfEach } from './bulk.js'
import { earlyIndexes, gcDeletesPath } from './gc-deletes.js'
import { type SearchAnswer, SearchClient } from './search-client.js'

export type OpenSearchTarget = OpenSearchDescription & { readonly index: string; readonly timeoutMs: number }

export interface OpenSearchSurroundings {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
  /** Above all versions that this daemon has given. */
  readonly nextVersion: () => number
}

/** Characters of an answer that are shown. */
const shownMax = 300

/** Brings batches to an index of OpenSearch or Elasticsearch. A version that comes again changes nothing. */
export class OpenSearchDeliverer implements Deliverer {
  readonly #target: OpenSearchTarget
  readonly #around: OpenSearchSurroundings
  readonly #client: SearchClient
  /** The template is there and the index was looked at, since the cluster was last away. */
  #isPrepared = false
  #warned: string | undefined
  /** Ids of the batch under way whose newest document was refused: the ones before it have their turn. */
  readonly #refused = new Set<string>()

  constructor(target: OpenSearchTarget, around: OpenSearchSurroundings) {
    this.#target = target
    this.#around = around
    this.#client = new SearchClient(target, around.clock)
  }

  async deliver({ records }: OutboxBatch, attempt: number, stop: AbortSignal): Promise<DeliveryOutcome> {
    const { index, timeoutMs } = this.#target
    const { clock, nextVersion } = this.#around
    if (attempt === 1) this.#refused.clear()
    try {
      if (!this.#isPrepared) await this.#prepare(stop)
      this.#isPrepared = true
      const sent = newestOfEach(records, this.#refused)
      const body = bulkBody(index, sent)
      const path = bulkPath(timeoutMs)
      const asked = { method: 'POST', path, body, contentType: 'application/x-ndjson' } as const
      const answer = await this.#client.ask(asked, timeoutMs, stop)
      if (answer.status === 200) return this.#judged(bulkOutcome(answer.text, { records, sent }, nextVersion()))
      const why = reasonOf(answer)
      // Too large is what is halved; the server names what it finds wrong in documents itself, one by one.
      if (answer.status === 413 || answer.text.includes('action_request_validation_exception'))
        return { kind: 'refused', why }
      // Other nodes of the cluster are as busy; one that is away, or knows us no longer, is not asked again.
      if (answer.status !== 429) this.#turn()
      const afterMs = retryAfterMs(answer.headers['retry-after'] ?? null, clock.now())
      return { kind: 'failed', why, ...(afterMs === undefined ? {} : { afterMs }) }
    } catch (error) {
      this.#turn()
      return { kind: 'failed', why: (error as Error).message }
    }
  }

  #judged(outcome: DeliveryOutcome): DeliveryOutcome {
    if (outcome.kind === 'partly') for (const { record } of outcome.refused) this.#refused.add(idOf(record))
    return outcome
  }

  /** What comes back may be a cluster without its templates. */
  #turn(): void {
    this.#client.turn()
    this.#isPrepared = false
  }

  /** Throws for a template that the server does not take: an index without it would be another one. */
  async #prepare(stop: AbortSignal): Promise<void> {
    const { index, template, timeoutMs } = this.#target
    if (template) {
      const path = `/_index_template/${encodeURIComponent(`millrace-${index}`)}`
      const body = Buffer.from(JSON.stringify(template))
      const answer = await this.#client.ask({ method: 'PUT', path, body }, timeoutMs, stop)
      if (answer.status >= 300) throw new Error(`The index template is not taken: ${reasonOf(answer)}`)
    }
    await this.#checkGcDeletes(stop)
  }

  async #checkGcDeletes(stop: AbortSignal): Promise<void> {
    const { index, template, timeoutMs, gcDeletesMs, gcDeletesMsMin } = this.#target
    const answer = await this.#client.ask({ method: 'GET', path: gcDeletesPath(index) }, timeoutMs, stop)
    // It is made by the first document, as the template says.
    if (answer.status === 404 && template) return
    const remedy = `Set it: PUT /${index}/_settings {"index.gc_deletes":"${gcDeletesMs}ms"}`
    if (answer.status !== 200) {
      this.#warn(
        `whether index.gc_deletes is ${gcDeletesMsMin} ms or more is not known: ${reasonOf(answer)}. ${remedy}`,
      )
      return
    }
    for (const { index: early, is } of earlyIndexes(answer.text, gcDeletesMsMin))
      this.#warn(
        `the index ${early} forgets after ${is} what was deleted; an attempt of this sink may last ${gcDeletesMsMin} ms, so an old version could come back. ${remedy}`,
      )
  }

  /** Once, and not after each time that the cluster was away. */
  #warn(text: string): void {
    if (text === this.#warned) return
    this.#warned = text
    this.#around.logger.warn({ index: this.#target.index }, text)
  }

  async close(): Promise<void> {
    this.#client.close()
  }
}

const reasonOf = ({ status, text }: SearchAnswer): string =>
  `${status}${text === '' ? '' : ` ${text.slice(0, shownMax)}`}`
