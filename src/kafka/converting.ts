import { MillraceError } from '../runtime/index.js'
import {
  type ConvertedMessage,
  type ConverterHandle,
  type MessageToConvert,
  type OpenConverterOptions,
  rowPackr,
  type WorkerPool,
} from '../workers/index.js'
import type { OutgoingRequest } from './outbox.js'
import { unpacked } from './packed-messages.js'
import { type RefusedRecord, sequenceOf, shardOf } from './put-aside.js'
import { beforeMessage, behindMessage, partsOf } from './request-parts.js'
import type { KafkaMessage } from './types.js'

/** Threads that one request may lose through the fault of others. */
const attemptsMax = 5

export interface ConvertingOptions {
  readonly workers: Pick<WorkerPool, 'openConverter'>
  readonly converter: OpenConverterOptions
  /** Whether records that cannot be converted are left out; a request ends before the first of them otherwise. */
  readonly leavesOut: boolean
}

/** The thread ended at a record, by this converter's code. */
class EndedThread extends Error {
  constructor(
    message: string,
    readonly sequence: number,
  ) {
    super(message)
  }
}

/** The thread ended, and not by this converter's code. */
class LostThread extends Error {}

/** What became of a request. */
export interface Converted {
  /** One or more, in the order in which they are sent. */
  readonly parts: readonly OutgoingRequest[]
  /** Records of these parts that are left out. */
  readonly refused: readonly RefusedRecord[]
  /** What is to be converted behind them, when they are sent. */
  readonly rest: OutgoingRequest | undefined
}

interface Waiting {
  readonly resolve: (messages: readonly ConvertedMessage[]) => void
  readonly reject: (error: Error) => void
}

/** The last step before messages are sent: a user's functions, and the check of a schema, on the worker pool. */
export class Converting {
  readonly #options: ConvertingOptions
  readonly #waiting = new Map<number, Waiting>()
  #handle: ConverterHandle | undefined
  #request = 0

  constructor(options: ConvertingOptions) {
    this.#options = options
  }

  /**
   * The request as it is sent, in parts where it has become too much for one. Records that cannot be converted are left out, as
   * `refused`; or the last part ends before the first of them and has its error as `failure`. Throws MODULE_INVALID, and NOT_READY when
   * the daemon stops.
   * @param partitionBytesMax most bytes of a part for one partition
   */
  async convert(request: OutgoingRequest, partitions: number, partitionBytesMax: number): Promise<Converted> {
    const messages = unpacked(request.messages)
    const made = messages.length === 0 ? [] : await this.#made(messages)
    const done = messages.slice(0, made.length)
    const refused = refusedOf(done, made)
    const [first] = refused
    const bounds = { partitions, partitionBytesMax }
    if (first && !this.#options.leavesOut) {
      const before = done.slice(0, done.indexOf(first.message))
      const cut = beforeMessage(request, messages, before.length)
      return { parts: partsOf(cut, before, made, bounds, first.failure), refused: [], rest: undefined }
    }
    const rest = behindMessage(request, messages, done.length)
    const head = { ...beforeMessage(request, messages, done.length), isFull: request.isFull || rest !== undefined }
    return { parts: partsOf(head, done, made, bounds), refused, rest }
  }

  /** Loads the module. Throws MODULE_INVALID, CONVERTER_FAILED. */
  async load(): Promise<void> {
    await this.#attempts([])
  }

  /** One for each of the first messages: up to the bound of what is made at once, or to a record that has ended the thread. */
  async #made(messages: readonly KafkaMessage[]): Promise<readonly ConvertedMessage[]> {
    const failed = new Map<number, ConvertedMessage>()
    let left = messages
    for (;;) {
      try {
        return withFailed(messages, await this.#attempts(left), failed)
      } catch (error) {
        if (!(error instanceof EndedThread)) throw error
        const { sequence, message: why } = error
        const index = left.findIndex((message) => sequenceOf(message) === sequence)
        if (index < 0) throw failedAt(why, sequence)
        failed.set(sequence, { failure: { message: why } })
        // Another round, of what may have been converted: converters are told to depend on nothing else.
        left = this.#options.leavesOut
          ? left.filter((message) => sequenceOf(message) !== sequence)
          : left.slice(0, index)
      }
    }
  }

  async #attempts(messages: readonly KafkaMessage[]): Promise<readonly ConvertedMessage[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#ask(messages)
      } catch (error) {
        if (!(error instanceof LostThread)) throw error
        if (attempt === attemptsMax) throw failedAt(error.message, undefined)
      }
    }
  }

  #ask(messages: readonly KafkaMessage[]): Promise<readonly ConvertedMessage[]> {
    const request = ++this.#request
    return new Promise((resolve, reject) => {
      this.#waiting.set(request, { resolve, reject })
      // Memory of its own: it is handed over.
      this.#opened().convert(request, new Uint8Array(rowPackr.pack(messages.map(toConvert))))
    })
  }

  #opened(): ConverterHandle {
    this.#handle ??= this.#options.workers.openConverter(this.#options.converter, {
      converted: (request, messages, error) => {
        const waiting = this.#waiting.get(request)
        this.#waiting.delete(request)
        if (messages) waiting?.resolve(rowPackr.unpack(messages) as readonly ConvertedMessage[])
        else waiting?.reject(loadError(error?.message, error?.remedy))
      },
      lost: ({ message }, { isCulprit, sequence }) => {
        this.#handle = undefined
        if (sequence !== undefined) this.#end(new EndedThread(message, sequence))
        else this.#end(isCulprit ? loadError(message) : new LostThread(message))
      },
    })
    return this.#handle
  }

  #end(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }

  close(): void {
    this.#handle?.close()
    this.#handle = undefined
    this.#end(new MillraceError('NOT_READY', 'The bridge is stopping.'))
  }
}

/** The first of all messages, with those that have failed in their places. */
function withFailed(
  messages: readonly KafkaMessage[],
  made: readonly ConvertedMessage[],
  failed: ReadonlyMap<number, ConvertedMessage>,
): readonly ConvertedMessage[] {
  if (failed.size === 0) return made
  const all: ConvertedMessage[] = []
  let at = 0
  for (const message of messages) {
    const each = failed.get(sequenceOf(message)) ?? made[at++]
    if (each === undefined) break
    all.push(each)
  }
  return all
}

function toConvert(message: KafkaMessage): MessageToConvert {
  const { key, value, headers, timestamp: time } = message
  const op = headers['millrace-op'] as MessageToConvert['op']
  return { key, value, headers, op, sequence: sequenceOf(message), shard: shardOf(message), time }
}

const failedAt = (message: string, sequence: number | undefined): MillraceError =>
  new MillraceError(
    'CONVERTER_FAILED',
    sequence === undefined ? message : `The converter failed at the record ${sequence}: ${message}`,
    { details: sequence === undefined ? {} : { sequence } },
  )

const loadError = (message = 'no reason was given', remedy?: string): MillraceError =>
  new MillraceError('MODULE_INVALID', `The converter cannot be loaded: ${message}`, remedy ? { remedy } : {})

/** Each record once, with the first of its messages. */
function refusedOf(messages: readonly KafkaMessage[], made: readonly ConvertedMessage[]): RefusedRecord[] {
  const refused: RefusedRecord[] = []
  messages.forEach((message, i) => {
    const each = made[i]
    const sequence = sequenceOf(message)
    if (!each || !('failure' in each) || refused.at(-1)?.sequence === sequence) return
    const { message: why, code } = each.failure
    const failure =
      code === 'SCHEMA_MISMATCH'
        ? new MillraceError(code, `The record ${sequence} cannot be sent. ${why}`, { details: { sequence } })
        : failedAt(why, sequence)
    refused.push({ shard: shardOf(message), sequence, message, failure })
  })
  return refused
}
