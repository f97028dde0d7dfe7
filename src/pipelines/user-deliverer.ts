import type { NodeId } from '../operators/index.js'
import type { Clock } from '../runtime/index.js'
import type { Deliverer, DeliveryOutcome, OutboxBatch } from '../sinks/index.js'
import type { SinkHandle, WorkerPool } from '../workers/index.js'

export interface UserDelivererOptions {
  readonly workers: Pick<WorkerPool, 'openSink'>
  readonly clock: Clock
  readonly timeoutMs: number
  readonly sink: { readonly file: string; readonly label: string; readonly node: NodeId }
}

/**
 * Brings batches to a sink of the user's own, which runs in a worker like all code of users. A sink that takes too long, or
 * whose thread is gone, is opened anew for the next attempt.
 */
export class UserDeliverer implements Deliverer {
  readonly #options: UserDelivererOptions
  readonly #waiting = new Map<number, (outcome: DeliveryOutcome) => void>()
  #handle: SinkHandle | undefined
  #request = 0

  constructor(options: UserDelivererOptions) {
    this.#options = options
  }

  async deliver({ records }: OutboxBatch, attempt: number, stop: AbortSignal): Promise<DeliveryOutcome> {
    const { clock, timeoutMs } = this.#options
    const request = ++this.#request
    const waiting = new Promise<DeliveryOutcome>((resolve) => this.#waiting.set(request, resolve))
    const giveUp = (why: string): void => {
      this.#settle(request, { kind: 'failed', why })
      this.#close()
    }
    const onStop = (): void => giveUp('The daemon is stopping.')
    const timer = clock.setTimeout(() => giveUp(`The sink took more than ${timeoutMs} ms.`), timeoutMs)
    stop.addEventListener('abort', onStop)
    try {
      if (stop.aborted) onStop()
      // Copies of their own: a view would be sent with all the memory that it lies in.
      else {
        const bodies = records.map(({ body }) => new Uint8Array(body))
        this.#opened().deliver(request, { ids: records.map(({ id }) => id), bodies, attempt })
      }
      return await waiting
    } catch (error) {
      // No thread could be started.
      return { kind: 'failed', why: (error as Error).message }
    } finally {
      this.#waiting.delete(request)
      timer.cancel()
      stop.removeEventListener('abort', onStop)
    }
  }

  #opened(): SinkHandle {
    this.#handle ??= this.#options.workers.openSink(this.#options.sink, {
      delivered: (request, error) =>
        this.#settle(request, error ? { kind: 'failed', why: error.message } : { kind: 'delivered' }),
      lost: ({ message }) => {
        this.#handle = undefined
        for (const request of [...this.#waiting.keys()]) this.#settle(request, { kind: 'failed', why: message })
      },
    })
    return this.#handle
  }

  #settle(request: number, outcome: DeliveryOutcome): void {
    this.#waiting.get(request)?.(outcome)
    this.#waiting.delete(request)
  }

  #close(): void {
    this.#handle?.close()
    this.#handle = undefined
  }

  async close(): Promise<void> {
    this.#close()
  }
}
