import { BatchBuilder, encodeShapes, RowEncoder, type Shape, withoutRows } from '../log/bodies.js'
import { stampProducer } from '../log/format.js'
import { asMillraceError, type Clock, MillraceError } from '../runtime/index.js'
import type { Connection } from './connection.js'
import { Backoff } from './retry.js'
import type { NewClientRecord, Producer, ProducerOptions } from './types.js'

const batchBytesDefault = 1024 * 1024
const bufferBytesDefault = 32 * 1024 * 1024
const deliveryMsDefault = 120_000
const codecDefault = 'json'

interface Batch {
  readonly builder: BatchBuilder
  readonly stored: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** An append that waits for room. */
interface Waiting {
  readonly records: readonly NewClientRecord[]
  readonly resolve: (stored: Promise<void>) => void
}

function newBatch(rows: RowEncoder | undefined): Batch {
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const stored = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  // Each append has a promise of its own, which says of a failure; this one belongs to nobody.
  stored.catch(() => {})
  return { builder: new BatchBuilder(rows), stored, resolve, reject }
}

interface Opened {
  readonly producer: number
  readonly epoch: number
  readonly last: number
}

/**
 * Appends to one stream, in order. One batch is in flight and is sent until it is answered, always under the same number,
 * so a lost answer makes no second record and loses none; the next batch gathers meanwhile.
 */
export class BatchingProducer implements Producer {
  readonly stream: string
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #options: Required<Omit<ProducerOptions, 'id'>>
  readonly #path: string
  readonly #isNamed: boolean
  /** Nobody knows its id, so nobody can open it again: it is given back at the end. */
  readonly #isPrivate: boolean
  readonly #over = new AbortController()
  #id: number | undefined
  /** Undefined: it has to be opened (again) before the next batch, which also says whether the last one was stored. */
  #opened: Opened | undefined
  readonly #rows: RowEncoder | undefined
  /** Shapes that the stream has, as far as its answers say. */
  readonly #known = new Set<number>()
  #gathering: Batch
  #full: Batch[] = []
  #inFlight: Batch | undefined
  #isScheduled = false
  #bufferedBytes = 0
  #waiting: Waiting[] = []
  #failed: MillraceError | undefined

  constructor(connection: Connection, clock: Clock, stream: string, options: ProducerOptions = {}, isPrivate = false) {
    this.#isPrivate = isPrivate
    this.#connection = connection
    this.#clock = clock
    this.stream = stream
    this.#path = `streams/${encodeURIComponent(stream)}`
    this.#id = options.id
    this.#isNamed = options.id !== undefined
    this.#options = {
      batchBytes: options.batchBytes ?? batchBytesDefault,
      lingerMs: options.lingerMs ?? 0,
      bufferBytesMax: options.bufferBytesMax ?? bufferBytesDefault,
      deliveryMsMax: options.deliveryMsMax ?? deliveryMsDefault,
      codec: options.codec ?? codecDefault,
    }
    this.#rows = this.#options.codec === 'row' ? new RowEncoder() : undefined
    this.#gathering = newBatch(this.#rows)
  }

  /** Its id, for opening it again; undefined before the first batch was sent. */
  get id(): number | undefined {
    return this.#id
  }

  /** Aborted when it takes no more. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /** Bytes that are not stored yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Opens it now. Throws PRODUCER_UNKNOWN, NOT_FOUND, CONFLICT. */
  async open(): Promise<void> {
    await this.#untilAnswered(() => this.#openOnce(), this.#clock.monotonic() + this.#options.deliveryMsMax)
  }

  /**
   * Resolves when the records are durable. Rejects with `outcome` notApplied when they were refused, and unknown when no
   * answer came within `deliveryMsMax`. Waits while too much is not stored yet. Throws BAD_REQUEST: nothing was added.
   */
  append(records: NewClientRecord | readonly NewClientRecord[]): Promise<void> {
    const list = Array.isArray(records) ? (records as readonly NewClientRecord[]) : [records as NewClientRecord]
    if (this.#failed) return Promise.reject(this.#failed)
    if (this.#bufferedBytes < this.#options.bufferBytesMax && this.#waiting.length === 0) return this.#add(list)
    return new Promise<void>((resolve) => this.#waiting.push({ records: list, resolve }))
  }

  #add(records: readonly NewClientRecord[]): Promise<void> {
    const first = this.#gathering
    const before = { count: first.builder.count, bytes: first.builder.bytes }
    const full: Batch[] = []
    /** Batches of one large record, with its index. */
    const large = new Map<Batch, number>()
    let batch = first
    const now = this.#clock.now()
    let bytes = 0
    try {
      for (const [i, record] of records.entries()) {
        if (batch.builder.bytes >= this.#options.batchBytes) {
          full.push(batch)
          batch = newBatch(this.#rows)
        }
        const { count, bytes: start } = batch.builder
        batch.builder.add(record, now)
        const size = batch.builder.bytes - start
        bytes += size
        if (size <= this.#options.batchBytes) continue
        // It may be too large for the daemon: then it is refused alone.
        if (count > 0) {
          batch.builder.shorten(count, start)
          full.push(batch)
          batch = newBatch(this.#rows)
          batch.builder.add(record, now)
        }
        large.set(batch, i)
      }
    } catch (error) {
      first.builder.shorten(before.count, before.bytes)
      if (error instanceof MillraceError) return Promise.reject(error)
      const why = error instanceof Error ? error.message : String(error)
      return Promise.reject(new MillraceError('BAD_REQUEST', `A record cannot be written: ${why}.`, { cause: error }))
    }
    if (records.length === 0) return Promise.resolve()
    this.#bufferedBytes += bytes
    const isFull = batch.builder.bytes >= this.#options.batchBytes
    this.#full.push(...full, ...(isFull ? [batch] : []))
    this.#gathering = isFull ? newBatch(this.#rows) : batch
    this.#schedule()
    if (full.length === 0 && large.size === 0) return batch.stored.then(nothing)
    // What was there before may be in a batch of others alone.
    const mine = [...full, batch].filter((each) => each !== first || first.builder.count > before.count)
    return allStored(mine.map((each) => storedOf(each, large.get(each))))
  }

  /** Resolves when everything appended so far is durable, or has failed: the promises of the appends say which. */
  async flush(): Promise<void> {
    while (this.#bufferedBytes > 0) {
      const last = this.#gathering.builder.count > 0 ? this.#gathering : (this.#full.at(-1) ?? this.#inFlight)
      this.#send()
      await last?.stored.catch(() => {})
    }
  }

  /** Stores what is there, and takes no more. */
  async close(): Promise<void> {
    await this.flush()
    const opened = this.#failed ? undefined : this.#opened
    this.#fail(new MillraceError('NOT_READY', 'The producer was closed.', { remedy: 'Make another one.' }))
    if (this.#isPrivate && opened) await this.#giveBack(opened)
  }

  /** Once, and whatever comes of it: one that is not given back is forgotten when it was idle for long enough. */
  async #giveBack({ producer, epoch }: Opened): Promise<void> {
    const path = `${this.#path}/producers/${producer}?epoch=${epoch}`
    await this.#connection.bytes({ method: 'DELETE', path }).catch(() => {})
  }

  #schedule(): void {
    if (this.#inFlight || this.#isScheduled) {
      if (this.#full.length > 0) this.#send()
      return
    }
    this.#isScheduled = true
    const due = () => {
      this.#isScheduled = false
      this.#send()
    }
    if (this.#options.lingerMs > 0 && this.#full.length === 0) this.#clock.setTimeout(due, this.#options.lingerMs)
    else setImmediate(due)
  }

  /** Sends the next batch, unless one is in flight. */
  #send(): void {
    if (this.#inFlight || this.#failed) return
    let batch = this.#full.shift()
    if (!batch) {
      if (this.#gathering.builder.count === 0) return
      batch = this.#gathering
      this.#gathering = newBatch(this.#rows)
    }
    this.#inFlight = batch
    const { builder, resolve, reject } = batch
    const buffered = this.#bufferedBytesOf(builder)
    this.#deliver(builder.build(), builder.shapes)
      .then(resolve, reject)
      .finally(() => {
        this.#inFlight = undefined
        this.#bufferedBytes -= buffered
        this.#letIn()
        this.#send()
      })
  }

  /** An empty batch has a header too, which nobody appended. */
  #bufferedBytesOf(builder: BatchBuilder): number {
    return builder.bytes - emptyBatchBytes
  }

  #letIn(): void {
    while (this.#waiting.length > 0 && this.#bufferedBytes < this.#options.bufferBytesMax) {
      const { records, resolve } = this.#waiting.shift() as Waiting
      resolve(this.#add(records))
    }
  }

  async #deliver(encoded: Buffer, shapes: readonly Shape[]): Promise<void> {
    let batch = encoded
    let sent = shapes
    const until = this.#clock.monotonic() + this.#options.deliveryMsMax
    let mayBeStored = false
    try {
      await this.#untilAnswered(async () => {
        const opened = this.#opened ?? (await this.#openOnce())
        const number = opened.last + 1
        stampProducer(batch, { producer: opened.producer, number, epoch: opened.epoch })
        try {
          await this.#post(batch, sent)
        } catch (thrown) {
          const error = asMillraceError(thrown)
          if (error.code === 'SHAPES_FULL' && !mayBeStored) {
            // The stream takes no more of them: their rows go in another form, under the same number.
            const refused = shapes.filter((shape) => !this.#known.has(shape.id))
            this.#rows?.refuse(refused)
            batch = withoutRows(batch, refused)
            sent = shapes.filter((shape) => this.#known.has(shape.id))
            throw new ChangedError(error)
          }
          mayBeStored ||= error.outcome === 'unknown'
          this.#takeRefusal(error, mayBeStored)
          throw error
        }
        this.#opened = { ...opened, last: number }
      }, until)
    } catch (thrown) {
      const error = asMillraceError(thrown)
      // Opening it again raises the epoch, so that what may still be under way cannot be stored later, and says what was.
      if (mayBeStored) this.#opened = undefined
      if (!mayBeStored || error.outcome === 'unknown') throw error
      const { code, message, remedy, details } = error
      throw new MillraceError(code, message, { remedy, details, cause: error, outcome: 'unknown' })
    }
  }

  /** Sends a batch, behind the shapes of its rows that the stream may not have. */
  async #post(batch: Buffer, shapes: readonly Shape[]): Promise<void> {
    const path = `${this.#path}/records`
    const unknown = shapes.filter((shape) => !this.#known.has(shape.id))
    const body = unknown.length === 0 ? batch : Buffer.concat([encodeShapes(unknown), batch])
    try {
      await this.#connection.bytes({ method: 'POST', path, body })
    } catch (thrown) {
      // The stream was made anew, or its daemon restored: it has none of what it had.
      if (asMillraceError(thrown).code !== 'SHAPE_UNKNOWN' || unknown.length === shapes.length) throw thrown
      this.#known.clear()
      await this.#connection.bytes({ method: 'POST', path, body: Buffer.concat([encodeShapes(shapes), batch]) })
    }
    for (const shape of shapes) this.#known.add(shape.id)
  }

  #takeRefusal(error: MillraceError, mayBeStored: boolean): void {
    switch (error.code) {
      case 'PRODUCER_UNKNOWN':
        // It was idle for too long. A batch that was never sent under it may go under a new one; another may be stored.
        this.#opened = undefined
        if (this.#isNamed) this.#fail(error)
        else this.#id = undefined
        if (!mayBeStored && !this.#isNamed) throw new ForgottenError(error)
        break
      case 'PRODUCER_FENCED':
      case 'PRODUCER_MISUSE':
      case 'OUT_OF_ORDER':
        this.#fail(error)
    }
  }

  async #openOnce(): Promise<Opened> {
    const body = this.#id === undefined ? {} : { producer: this.#id }
    try {
      const path = `${this.#path}/producers`
      this.#opened = await this.#connection.json<Opened>({ method: 'POST', path, body })
      this.#id = this.#opened.producer
      return this.#opened
    } catch (thrown) {
      const error = asMillraceError(thrown)
      if (error.code !== 'PRODUCER_UNKNOWN' || this.#isNamed) throw error
      // Nothing of the batch that comes next was sent under the old one.
      this.#id = undefined
      throw new ForgottenError(error)
    }
  }

  async #untilAnswered(attempt: () => Promise<unknown>, until: number): Promise<void> {
    const backoff = new Backoff(this.#clock)
    for (;;) {
      try {
        await attempt()
        return
      } catch (error) {
        if (error instanceof ForgottenError || error instanceof ChangedError) continue
        const isOver = this.#failed !== undefined || this.#clock.monotonic() >= until
        if (isOver || !asMillraceError(error).retryable) throw error
        await backoff.wait(this.#over.signal)
      }
    }
  }

  #fail(error: MillraceError): void {
    if (this.#failed) return
    this.#failed = error
    this.#over.abort()
    const lost = [...this.#full, ...(this.#gathering.builder.count > 0 ? [this.#gathering] : [])]
    this.#full = []
    this.#gathering = newBatch(this.#rows)
    for (const batch of lost) {
      this.#bufferedBytes -= this.#bufferedBytesOf(batch.builder)
      batch.reject(error)
    }
    for (const { resolve } of this.#waiting.splice(0)) resolve(Promise.reject(error))
  }
}

const nothing = (): void => {}

/** When each is stored or has failed; rejects with the first failure, and says so of no other. */
async function allStored(batches: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(batches)) if (result.status === 'rejected') throw result.reason
}

/** Of a batch of one large record, with its index among those of the call. */
async function storedOf({ stored }: Batch, record: number | undefined): Promise<void> {
  try {
    await stored
  } catch (thrown) {
    const { code, message, remedy, outcome, details } = asMillraceError(thrown)
    if (record === undefined || (code !== 'TOO_LARGE' && code !== 'EFFECT_TOO_LARGE')) throw thrown
    throw new MillraceError(code, `Record ${record} is too large: ${message}`, {
      remedy,
      outcome,
      details: { ...details, record },
      cause: thrown,
    })
  }
}
const emptyBatchBytes = new BatchBuilder().bytes

/** The daemon refused the batch as it was, and it goes again in another form. */
class ChangedError extends Error {
  constructor(cause: MillraceError) {
    super(cause.message, { cause })
  }
}

/** The daemon forgot the producer, and the batch was not sent before: it goes again, under a new one. */
class ForgottenError extends Error {
  constructor(cause: MillraceError) {
    super(cause.message, { cause })
  }
}
