import {
  type BatchProducer,
  encodeBatch,
  encodeShapes,
  type NewRecord,
  type Shape,
  stampProducer,
  withoutRows,
} from '../log/index.js'
import { asMillraceError, MillraceError, sleep, systemClock } from '../runtime/index.js'
import type { Client } from './client.js'

/** Records of one request. */
const requestBytesMax = 1 << 20
const requestRecordsMax = 10_000
const firstWaitMs = 50
const lastWaitMs = 5000

/** A batch whose answer never came, as an import that broke off names it. */
export interface Resumed {
  readonly producer: number
  readonly batch: number
}

interface Opened {
  readonly producer: number
  readonly epoch: number
  readonly last: number
}

export interface ImportTargetOptions {
  readonly client: Client
  /** That of the stream, below `/v1/`. */
  readonly path: string
  /** Records that are left out at the beginning. */
  readonly skip: number
  readonly resumed: Resumed | undefined
  /** How long one request is sent again. */
  readonly retryMs: number
  readonly onSent: () => void
}

/**
 * Sends records in their order, one request after the other, as an idempotent producer: a request whose answer was lost is
 * sent again under its number, and is stored once.
 */
export class ImportTarget {
  imported = 0
  skipped = 0
  readonly #options: ImportTargetOptions
  #records: NewRecord[] = []
  #bytes = 0
  #opened: Opened | undefined
  /** Of the rows of the export, by id. */
  readonly #shapes = new Map<number, Shape>()
  /** Number of the newest batch that is stored. */
  #stored: number
  /** Records of the batch that may be stored, since an answer never came. */
  #inDoubt = 0

  constructor(options: ImportTargetOptions) {
    this.#options = options
    this.#stored = options.resumed ? options.resumed.batch - 1 : 0
  }

  /** Takes the shapes of the rows that come. */
  learn(shapes: readonly Shape[]): void {
    for (const shape of shapes) this.#shapes.set(shape.id, shape)
  }

  async add(record: NewRecord): Promise<void> {
    if (this.skipped < this.#options.skip) {
      this.skipped++
      return
    }
    const bytes = record.key.length + record.body.length + 32
    if (this.#records.length >= requestRecordsMax || (this.#bytes > 0 && this.#bytes + bytes > requestBytesMax))
      await this.flush()
    this.#records.push(record)
    this.#bytes += bytes
  }

  async flush(): Promise<void> {
    if (this.#records.length === 0) return
    const { producer, epoch, last } = await this.#open()
    const number = this.#stored + 1
    // The batches of an import are cut the same way each time: this one is what was on its way when it broke off.
    if (number > last) {
      const stamp = { producer, number, epoch }
      const batch = encodeBatch(this.#records)
      const shapes = this.#shapesUsed()
      try {
        await this.#send(batch, shapes, stamp)
      } catch (error) {
        // The stream takes no more shapes: its rows go in another form, under the same number.
        if (asMillraceError(error).code !== 'SHAPES_FULL' || this.#inDoubt > 0) throw error
        await this.#send(withoutRows(batch, shapes), [], stamp)
      }
      this.#inDoubt = 0
    }
    this.#stored = number
    this.imported += this.#records.length
    this.#records = []
    this.#bytes = 0
    this.#options.onSent()
  }

  #shapesUsed(): readonly Shape[] {
    const used = new Set<Shape>()
    for (const { shape } of this.#records) {
      const known = this.#shapes.get(shape ?? 0)
      if (known) used.add(known)
    }
    return [...used]
  }

  async #send(batch: Buffer, shapes: readonly Shape[], stamp: BatchProducer): Promise<void> {
    const { client, path } = this.#options
    stampProducer(batch, stamp)
    const body = shapes.length > 0 ? Buffer.concat([encodeShapes(shapes), batch]) : batch
    await this.#persistently(async () => {
      const lost = this.#inDoubt
      this.#inDoubt = this.#records.length
      try {
        return await client.send('POST', `${path}/records`, 'application/octet-stream', body)
      } catch (error) {
        // What an attempt before it may have done, this one's refusal does not take back.
        if (asMillraceError(error).outcome === 'notApplied') this.#inDoubt = lost
        throw error
      }
    })
  }

  async #open(): Promise<Opened> {
    if (this.#opened) return this.#opened
    const { client, path, resumed } = this.#options
    const body = resumed ? { producer: resumed.producer } : {}
    const opened = await this.#persistently(() => client.call<Opened>('POST', `${path}/producers`, body))
    this.#opened = opened
    return opened
  }

  /** Until it is answered with something that does not pass by itself, or `retryMs` are over. */
  async #persistently<T>(attempt: () => Promise<T>): Promise<T> {
    const end = systemClock.monotonic() + this.#options.retryMs
    for (let waitMs = firstWaitMs; ; waitMs = Math.min(lastWaitMs, waitMs * 2)) {
      try {
        return await attempt()
      } catch (error) {
        if (!asMillraceError(error).retryable || systemClock.monotonic() + waitMs > end) throw error
        await sleep(systemClock, waitMs)
      }
    }
  }

  /** The daemon need not remember what will not be used again; it forgets it by itself when this gets lost. */
  async close(): Promise<void> {
    if (!this.#opened || this.#inDoubt > 0) return
    const { client, path } = this.#options
    const { producer, epoch } = this.#opened
    await client.call('DELETE', `${path}/producers/${producer}?epoch=${epoch}`).catch(() => {})
  }

  /** What ended the import, with how far it had come: input that is damaged in its middle breaks it off, too. */
  brokenOff(error: MillraceError): MillraceError {
    // What was to be left out is imported already, also when the input ended before all of it was passed.
    const done = this.#options.skip + this.imported
    const doubt = this.#doubt()
    if (done === 0 && !doubt) return error
    const resume = doubt ? ` --resume ${doubt.producer}:${doubt.batch}` : ''
    const next = doubt ? `; whether the next ${doubt.records} are too, --resume finds out` : ''
    return new MillraceError(error.code, `${done} records are imported${next}: ${error.message}`, {
      cause: error,
      outcome: error.outcome,
      remedy: `${error.remedy} Go on with --skip ${done}${resume}.`,
      details: {
        ...error.details,
        imported: done,
        ...(doubt ? { producer: doubt.producer, batch: doubt.batch } : {}),
      },
    })
  }

  /** The batch of which it is not known whether it is stored. */
  #doubt(): (Resumed & { readonly records: number | 'ones' }) | undefined {
    const { resumed } = this.#options
    // Until the producer has said how far it came, the batch that was resumed is as much in doubt as before.
    if (resumed && !this.#opened) return { ...resumed, records: 'ones' }
    if (!this.#opened || this.#inDoubt === 0) return undefined
    return { producer: this.#opened.producer, batch: this.#stored + 1, records: this.#inDoubt }
  }
}
