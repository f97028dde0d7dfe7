import type { BodyReader } from '../log/bodies.js'
import { ChunkCursor } from '../log/format.js'
import { Effects, type EffectTexts } from './effects.js'
import type { FramePage } from './poll-frame.js'
import { clientRecord } from './record.js'
import type { Decode, HandlerContext } from './types.js'

/** What a handler resolves with when the record was not handled after all, and nothing more will be. */
export const notHandled = Symbol('not handled')

export type Handle = (record: never, context: HandlerContext) => unknown

export interface ShardReaderOptions {
  readonly shard: number
  readonly lease: number
  readonly next: number
  /** Knows the shapes of the stream. */
  readonly bodies: BodyReader
  readonly decode: Decode<unknown> | undefined
  readonly handle: Handle
  /** Something was handled that is not committed yet. */
  readonly onHandled: (isUrgent: boolean) => void
  /** Something left the queue. */
  readonly onRoom: () => void
  readonly onError: (error: unknown) => void
  /** Resolves when no call of a handler for this shard runs any more that an earlier lease began. */
  readonly after: Promise<void>
}

/** What was handled since it was asked the last time, and the records that go into the same commit. */
export interface Handled {
  readonly shard: number
  readonly lease: number
  readonly next: number
  readonly ended: boolean
  readonly effects: EffectTexts
}

/** Hands the records of one shard to the handler, one after the other, under one lease. */
export class ShardReader {
  readonly shard: number
  readonly lease: number
  /** Where the next poll goes on. */
  cursor: number
  /** Everything was read; nothing more is to be asked for. */
  isRead = false
  queuedBytes = 0
  /** Resolves when no handler runs and none will. */
  readonly stopped: Promise<void>
  readonly #options: ShardReaderOptions
  readonly #context: HandlerContext
  readonly #queue: FramePage[] = []
  #next: number
  #isEnded = false
  #taken: number
  #isTakenEnded = false
  readonly #effects = new Effects()
  #state: 'reading' | 'stopping' | 'lost' = 'reading'
  #wake: () => void = () => {}

  constructor(options: ShardReaderOptions) {
    this.#options = options
    this.shard = options.shard
    this.lease = options.lease
    this.cursor = options.next
    this.#next = options.next
    this.#taken = options.next
    this.#context = { shard: options.shard, append: (stream, record) => this.#effects.add(stream, record) }
    this.stopped = options.after.then(() => this.#run()).catch(options.onError)
  }

  take(page: FramePage): void {
    this.cursor = page.next
    this.isRead = page.ended
    this.queuedBytes += page.bytes
    this.#queue.push(page)
    this.#wake()
  }

  /** Begins nothing new; what was handled still counts. */
  stop(): void {
    if (this.#state === 'reading') this.#state = 'stopping'
    this.#wake()
  }

  /** The lease is gone: nothing of what is not committed counts. */
  lose(): void {
    this.#state = 'lost'
    this.#wake()
  }

  takeHandled(): Handled | undefined {
    const hasMoved = this.#next > this.#taken || this.#isEnded !== this.#isTakenEnded
    if (!hasMoved || this.#state === 'lost') return undefined
    this.#taken = this.#next
    this.#isTakenEnded = this.#isEnded
    const effects = this.#effects.take()
    this.#wake()
    return { shard: this.shard, lease: this.lease, next: this.#next, ended: this.#isEnded, effects }
  }

  async #run(): Promise<void> {
    while (this.#state === 'reading') {
      const page = this.#queue[0]
      if (!page) {
        await this.#sleep()
        continue
      }
      await this.#handlePage(page)
      this.#queue.shift()
      this.queuedBytes -= page.bytes
      this.#options.onRoom()
    }
    this.#queue.length = 0
    this.queuedBytes = 0
  }

  async #handlePage({ chunks, next, ended }: FramePage): Promise<void> {
    const { handle, bodies, decode, onHandled } = this.#options
    for (const chunk of chunks) {
      const cursor = new ChunkCursor(chunk)
      while (cursor.next()) {
        if (cursor.sequence < this.#next) continue
        const result = handle(clientRecord(cursor, this.shard, bodies, decode) as never, this.#context)
        // A handler that answers at once costs no turn; one that does not is waited for, before the next record of the shard.
        if (isPromise(result) && (await result) === notHandled) return this.stop()
        if (this.#state === 'lost') return
        this.#next = cursor.sequence + 1
        this.#effects.keep()
        if (isPromise(result)) onHandled(false)
        while (this.#effects.areMany && this.#state === 'reading') {
          // The commit may begin within the call, and wakes when it has taken the effects.
          const woken = this.#sleep()
          onHandled(true)
          await woken
        }
        if (this.#state !== 'reading') return
      }
      onHandled(false)
    }
    this.#next = next
    this.#isEnded = ended
    onHandled(ended)
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value
