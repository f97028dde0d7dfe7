import type { CommitPath } from '../../commit/index.js'
import type { Log, StreamId } from '../../log/index.js'
import { asMillraceError, type Clock, killPoint, MillraceError, sleep, type Timer } from '../../runtime/index.js'
import { Signal } from '../signal.js'
import type { ConsumedRecord, FetchedPartition } from '../types.js'
import { offsetRow } from './offset-rows.js'
import type { Prepared, Refused, Target } from './target.js'
import { deadLetter, unreadableError } from './unreadable.js'

/** Messages and bytes of one effect set, about: it stays far below what one commit may hold. */
const messagesMax = 2_000
const setBytesMax = 1024 * 1024
/** Bytes of messages that are in commits which have not returned; past it nothing more is taken. */
const pendingBytesMax = 16 * 1024 * 1024
/** How long to leave a busy or full store alone. */
const retryMs = 200
/** A store that has taken everything for so long is busy no more. */
const calmMs = 2_000

/** What a commit has stored. */
export interface Stored {
  readonly partition: number
  readonly next: number
  readonly messages: number
  readonly bytes: number
  readonly refused: number
  /** Of the newest message, milliseconds since 1970. */
  readonly timestamp: number | undefined
}

export interface StoringOptions {
  readonly bridge: string
  readonly topic: string
  /** Under which the offsets are stored. */
  readonly instance: string
  readonly target: Target
  /** Takes what cannot be stored; undefined stops the bridge there. */
  readonly deadLetters: StreamId | undefined
  readonly commit: Pick<CommitPath, 'submit'>
  readonly log: Pick<Log, 'stream'>
  readonly clock: Clock
  readonly stop: AbortSignal
  /** In the order of the commits. */
  readonly onStored: (stored: Stored) => void
  /** The store does not take something for now: called each time, until it is calm again. */
  readonly onBusy: (error: MillraceError, tryAgainInMs: number) => void
  /** It has taken everything for a while. */
  readonly onCalm: () => void
  /** A commit failed: nothing more is taken. */
  readonly onFailure: (error: unknown) => void
}

/** The offset alone moves: behind markers, or what compaction took. */
const nothing = { rows: [], records: [], refused: [], check: () => {} } as const

/** Messages of one partition that follow each other, up to an offset. */
interface Part {
  readonly partition: number
  readonly messages: readonly ConsumedRecord[]
  readonly next: number
}

/**
 * Stores messages with the offset behind them, in one commit: so each is stored once, wherever the program ends. Several commits may
 * be on their way; they return in order, and none can fail without all behind it.
 */
export class Storing {
  readonly #options: StoringOptions
  #pendingBytes = 0
  readonly #returned = new Signal()
  #calm: Timer | undefined
  #failure: unknown

  constructor(options: StoringOptions) {
    this.#options = options
  }

  /** Resolves when the next may come: all of this is queued, and not too much is. Throws what stops the bridge. */
  async take(fetched: readonly FetchedPartition[]): Promise<void> {
    for (const { partition, records, next } of fetched) {
      for (const part of partsOf(partition, records, next)) {
        await this.#put(part)
        await this.#pendingAtMost(pendingBytesMax)
      }
    }
  }

  /** Resolves when everything queued has returned; nothing may be given to it any more. */
  async settled(): Promise<void> {
    await this.#pendingAtMost(0)
    this.#calm?.cancel()
  }

  async #pendingAtMost(bytes: number): Promise<void> {
    for (;;) {
      // Each broker has a loop of its own, and several may wait here.
      const { version } = this.#returned
      if (this.#pendingBytes <= bytes || this.#failure) return
      await this.#returned.after(version)
    }
  }

  async #put(part: Part): Promise<void> {
    const { stop, clock } = this.#options
    let left: Part | undefined = part
    /** Why no commit can hold the first message of what is left. */
    let why: string | undefined
    while (left) {
      if (this.#failure) throw this.#failure
      if (stop.aborted) return
      const first: Part = left
      const { messages } = first
      try {
        left = why === undefined ? await this.#putFirst(first) : this.#refuse(first, why)
      } catch (thrown) {
        const error = asMillraceError(thrown)
        if (error.code === 'EFFECT_TOO_LARGE' && messages.length > 1) {
          const half = messages.length >> 1
          const behind = messages[half] as ConsumedRecord
          await this.#put({ ...first, messages: messages.slice(0, half), next: behind.offset })
          left = { ...first, messages: messages.slice(half) }
        } else if (error.code === 'EFFECT_TOO_LARGE' && why === undefined) why = error.message
        else if (error.code === 'TOO_BUSY' || error.code === 'STORAGE_FULL' || error.code === 'CONFLICT') {
          this.#busy(error)
          await sleep(clock, retryMs)
        } else throw thrown
      }
    }
  }

  /** One busy spell, however often something is taken in between: a state that changed with each would tell nothing. */
  #busy(error: MillraceError): void {
    const { clock, onBusy, onCalm } = this.#options
    this.#calm?.cancel()
    this.#calm = clock.setTimeout(onCalm, calmMs)
    onBusy(error, retryMs)
  }

  /** Stores the first messages of a part and gives the rest of it, if there is one. */
  async #putFirst({ partition, messages, next }: Part): Promise<Part | undefined> {
    const { target, deadLetters } = this.#options
    if (messages.length === 0) {
      this.#submit({ partition, messages, next }, nothing)
      return undefined
    }
    const prepared = await target.prepare(messages, partition)
    const stopAt = deadLetters === undefined ? prepared.refused[0] : undefined
    if (stopAt) {
      prepared.release()
      const before = messages.indexOf(stopAt.message)
      if (before === 0) throw unreadableError(stopAt.message, { ...this.#options, partition }, stopAt.why)
      await this.#put({ partition, messages: messages.slice(0, before), next: stopAt.message.offset })
      return { partition, messages: messages.slice(before), next }
    }
    const rest = messages.slice(prepared.taken)
    const upTo = rest[0]?.offset ?? next
    try {
      this.#submit({ partition, messages: messages.slice(0, prepared.taken), next: upTo }, prepared)
    } finally {
      prepared.release()
    }
    return rest.length > 0 ? { partition, messages: rest, next } : undefined
  }

  /** One message that no commit can hold; nothing is left behind it. */
  #refuse(part: Part, why: string): undefined {
    const message = part.messages[0] as ConsumedRecord
    if (this.#options.deadLetters === undefined)
      throw unreadableError(message, { ...this.#options, partition: part.partition }, why)
    this.#submit(part, { ...nothing, refused: [{ message, why }] })
  }

  #submit(
    { partition, messages, next }: Part,
    { rows, records, refused, check }: Pick<Prepared, 'rows' | 'records' | 'refused' | 'check'>,
  ): void {
    const { commit, instance, onStored, onFailure } = this.#options
    const bytes = messages.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0)
    killPoint('intake:submitting')
    const receipt = commit.submit({
      rows: [...rows, offsetRow(instance, partition, next)],
      records: [...records, ...this.#letters(partition, refused)],
    })
    const stored = { partition, next, bytes, messages: messages.length, refused: refused.length }
    const timestamp = messages.at(-1)?.timestamp
    // So that what has no bytes is waited for, too.
    const pending = bytes + 1
    this.#pendingBytes += pending
    receipt
      .then(() => {
        killPoint('intake:stored')
        check()
        onStored({ ...stored, timestamp })
      })
      .catch((error: unknown) => {
        this.#failure ??= error
        onFailure(error)
      })
      .finally(() => {
        this.#pendingBytes -= pending
        this.#returned.raise()
      })
  }

  #letters(partition: number, refused: readonly Refused[]) {
    const { deadLetters, clock, log, ...origin } = this.#options
    if (deadLetters === undefined || refused.length === 0) return []
    const stream = log.stream(deadLetters)
    if (!stream || stream.closedAt !== undefined)
      throw new MillraceError('NOT_FOUND', 'The stream that takes what the bridge cannot store is gone.', {
        remedy: 'Delete the bridge and create it again, with --start newest where nothing is to be stored twice.',
      })
    const now = clock.now()
    const records = refused.map(({ message, why }) => deadLetter(message, { ...origin, partition }, why, now))
    return [{ stream: deadLetters, records }]
  }
}

function* partsOf(partition: number, messages: readonly ConsumedRecord[], next: number): Generator<Part> {
  let from = 0
  let bytes = 0
  for (let i = 0; i < messages.length; i++) {
    const { key, value, offset } = messages[i] as ConsumedRecord
    const size = (key?.length ?? 0) + (value?.length ?? 0)
    if (i > from && (i - from >= messagesMax || bytes + size > setBytesMax)) {
      yield { partition, messages: messages.slice(from, i), next: offset }
      from = i
      bytes = 0
    }
    bytes += size
  }
  yield { partition, messages: messages.slice(from), next }
}
