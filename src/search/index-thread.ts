import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { MillraceError } from '../runtime/index.js'
import type { IndexHost } from './index-session.js'
import type { Found, FromThread, IndexBatch, IndexSettings, IndexSize, SearchQuery, ToThread } from './protocol.js'

export interface IndexThreadOptions {
  readonly settings: IndexSettings
  /** JavaScript heap of the thread. */
  readonly heapBytesMax: number
  /** The thread is gone, and what it held with it. Not called after `close`. */
  readonly onLost: (error: MillraceError) => void
}

interface Waiting {
  resolve(answer: FromThread): void
  reject(error: MillraceError): void
}

/** An index in a thread of its own. */
export class IndexThread implements IndexHost {
  readonly #options: IndexThreadOptions
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #request = 0
  #lost: MillraceError | undefined

  constructor(options: IndexThreadOptions) {
    this.#options = options
    this.#worker = new Worker(threadFile(), {
      workerData: options.settings,
      name: 'millrace-search',
      resourceLimits: { maxOldGenerationSizeMb: Math.floor(options.heapBytesMax / 2 ** 20) },
    })
    this.#worker.on('message', (answer: FromThread) => this.#answered(answer))
    this.#worker.on('error', (error: NodeJS.ErrnoException) => this.#ended(this.#errorOf(error)))
    this.#worker.on('exit', (code) =>
      this.#ended(new MillraceError('SEARCH_FAILED', `The thread of the index ended with ${code}.`)),
    )
  }

  #errorOf(error: NodeJS.ErrnoException): MillraceError {
    if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY')
      return new MillraceError('SEARCH_FAILED', `The thread of the index ended: ${error.message}.`, { cause: error })
    const { heapBytesMax } = this.#options
    return new MillraceError(
      'SEARCH_FULL',
      `The index is full: it needs more than ${heapBytesMax} bytes of heap (search.heapBytesMax).`,
    )
  }

  #answered(answer: FromThread): void {
    const waiting = this.#waiting.get(answer.request)
    this.#waiting.delete(answer.request)
    if (answer.kind === 'failed') waiting?.reject(new MillraceError(answer.code, answer.message))
    else waiting?.resolve(answer)
  }

  #ended(error: MillraceError): void {
    if (this.#lost) return
    this.#lost = error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.#options.onLost(error)
  }

  async apply(batch: IndexBatch): Promise<{ size: IndexSize; changes: number }> {
    const memory = batch.kind === 'items' ? [batch.items] : batch.chunks
    const transfer = memory.map(({ buffer }) => buffer as ArrayBuffer)
    return (await this.#ask((request) => ({ kind: 'apply', request, batch }), transfer)) as Extract<
      FromThread,
      { kind: 'applied' }
    >
  }

  async search(query: SearchQuery): Promise<Found> {
    const answer = await this.#ask((request) => ({ kind: 'search', request, query }))
    return (answer as Extract<FromThread, { kind: 'found' }>).found
  }

  #ask(message: (request: number) => ToThread, transfer: readonly ArrayBuffer[] = []): Promise<FromThread> {
    if (this.#lost) return Promise.reject(this.#lost)
    const request = ++this.#request
    return new Promise((resolve, reject) => {
      this.#waiting.set(request, { resolve, reject })
      this.#worker.postMessage(message(request), transfer)
    })
  }

  async close(): Promise<void> {
    const error = new MillraceError('SEARCH_NOT_READY', 'The index is being closed.')
    this.#lost ??= error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    await this.#worker.terminate()
  }
}

/** Tests run from the sources, threads from what was built. */
function threadFile(): string {
  const beside = fileURLToPath(new URL('./thread.js', import.meta.url))
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../dist/search/thread.js', import.meta.url))
}
