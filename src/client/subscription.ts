import { BodyReader } from '../log/bodies.js'
import { asMillraceError, type Clock, MillraceError } from '../runtime/index.js'
import { Committer } from './committer.js'
import type { Connection } from './connection.js'
import { type FramePage, type PollFrame, readFrame } from './poll-frame.js'
import { Backoff, isPassing, persistently } from './retry.js'
import { type Handle, ShardReader } from './shard-reader.js'
import type { Decode, Start, Subscribed } from './types.js'

export interface SubscriptionOptions {
  readonly stream: string
  readonly group: string
  readonly start: Start
  readonly hold: boolean
  readonly decode: Decode<unknown> | undefined
  readonly bufferBytesMax: number
  readonly commitMs: number
}

/** How long one poll waits at the daemon, and how long a close waits for the last commit. */
const pollMs = 15_000
const closeMsMax = 10_000
/** A page of one shard. */
const pageBytesMin = 64 * 1024

interface Session {
  readonly member: string
  readonly sessionMs: number
  readonly releaseMs: number
}

/** What a poll was sent with: its answer only counts for what is still so. */
interface Asked {
  readonly generation: number | undefined
  readonly cursors: ReadonlyMap<number, number>
}

/**
 * One member of a group: joins, reads what it is given, hands it to the handler shard by shard and commits what was
 * handled. It joins again when its session is over or the daemon was restarted, until it is closed or fails.
 */
export class Subscription implements Subscribed {
  /** Resolves when it was closed; rejects with what ended it, a handler's error among them. */
  readonly closed: Promise<void>
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #options: SubscriptionOptions
  readonly #handle: Handle
  readonly #readers = new Map<number, ShardReader>()
  /** For each shard what has to end before a new lease of it may begin. */
  readonly #ending = new Map<number, Promise<void>>()
  readonly #over = new AbortController()
  readonly #givenUp = new AbortController()
  /** Of this membership: what another said of shapes, a daemon that was restored may have forgotten. */
  #bodies = new BodyReader()
  #generation: number | undefined
  #asked: Asked | undefined
  readonly #givingBack = new Set<number>()
  #error: unknown
  #isFenced = false
  #committer: Committer | undefined
  #wantMore: () => void = () => {}

  constructor(connection: Connection, clock: Clock, options: SubscriptionOptions, handle: Handle) {
    this.#connection = connection
    this.#clock = clock
    this.#options = options
    this.#handle = handle
    this.closed = this.#run()
    // Who does not look at `closed` hears of a failure from `close`; it must not end the process.
    this.closed.catch(() => {})
  }

  /** Bytes of records that were received and not handled yet. */
  get bufferedBytes(): number {
    let bytes = 0
    for (const reader of this.#readers.values()) bytes += reader.queuedBytes
    return bytes
  }

  /** The shards that it holds now. */
  get shards(): readonly number[] {
    return [...this.#readers.keys()]
  }

  /** Waits for handlers that run, commits what was handled and leaves the group. Rejects with what ended it before. */
  async close(): Promise<void> {
    this.#over.abort()
    await this.closed
  }

  async #run(): Promise<void> {
    try {
      await this.#ensureGroup()
      while (!this.#over.signal.aborted) await this.#session()
    } catch (error) {
      if (!this.#over.signal.aborted || !isPassing(error)) this.#fail(error)
    }
    if (this.#error !== undefined) throw this.#error
  }

  #fail(error: unknown): void {
    this.#error ??= error
    this.#over.abort()
  }

  async #ensureGroup(): Promise<void> {
    const { stream, group: name, start, hold } = this.#options
    const signal = this.#over.signal
    await persistently(this.#clock, signal, async () => {
      try {
        await this.#connection.json({ method: 'POST', path: 'groups', body: { name, stream, start, hold }, signal })
      } catch (error) {
        if (asMillraceError(error).code !== 'ALREADY_EXISTS') throw error
        const path = `groups/${encodeURIComponent(name)}`
        const group = await this.#connection.json<{ stream: string }>({ method: 'GET', path, signal })
        if (group.stream !== stream)
          throw new MillraceError('CONFLICT', `The group ${name} reads the stream ${group.stream}, not ${stream}.`, {
            remedy: 'Give each stream a group of its own.',
          })
      }
    })
  }

  /** From a join to the end of the membership. */
  async #session(): Promise<void> {
    const group = `groups/${encodeURIComponent(this.#options.group)}`
    const signal = this.#over.signal
    const session = await persistently(this.#clock, signal, () =>
      this.#connection.json<Session>({ method: 'POST', path: `${group}/members`, signal }),
    )
    const path = `${group}/members/${encodeURIComponent(session.member)}`
    this.#isFenced = false
    this.#generation = undefined
    this.#bodies = new BodyReader()
    this.#givingBack.clear()
    const committer = new Committer({
      connection: this.#connection,
      clock: this.#clock,
      path,
      commitMs: this.#options.commitMs,
      signal: this.#givenUp.signal,
      readers: () => this.#readers.values(),
      // A commit of an earlier membership says nothing of this one.
      onFenced: (shard) => this.#committer === committer && this.#fenced(shard),
      onError: (error) => this.#fail(error),
    })
    this.#committer = committer
    try {
      await this.#pollUntilOver(path, session)
    } finally {
      await this.#leave(path)
    }
  }

  #fenced(shard: number | undefined): void {
    if (shard === undefined) this.#isFenced = true
    else this.#drop(shard)
    this.#wantMore()
  }

  async #pollUntilOver(path: string, session: Session): Promise<void> {
    const backoff = new Backoff(this.#clock)
    const heartbeatMs = Math.floor(session.sessionMs / 3)
    let before: Promise<void> | undefined
    while (!this.#over.signal.aborted && !this.#isFenced) {
      const asked = this.#ask()
      this.#asked = asked
      const more = new Promise<void>((resolve) => {
        this.#wantMore = resolve
      })
      // Without a shard to read of, the poll waits for a change of the shards, and is a sign of life in time.
      const isIdle = asked.cursors.size === 0 && this.bufferedBytes > 0
      const polled = this.#poll(path, asked, isIdle ? heartbeatMs : pollMs).then(
        (frame) => {
          backoff.succeeded()
          this.#take(path, frame, asked)
        },
        (error: unknown) => this.#pollFailed(error, backoff),
      )
      // A new poll ends the one that waits; there are never more than these two.
      await before
      await Promise.race([polled, more])
      before = polled
    }
    await before
  }

  async #pollFailed(thrown: unknown, backoff: Backoff): Promise<void> {
    if (this.#over.signal.aborted) return
    const error = asMillraceError(thrown)
    if (error.code === 'FENCED') this.#isFenced = true
    else if (isPassing(error)) await backoff.wait(this.#over.signal)
    else this.#fail(error)
  }

  /** What one shard may have in memory, so that one with a slow handler leaves room for the others. */
  #share(): number {
    return Math.max(pageBytesMin, this.#options.bufferBytesMax / (2 * Math.max(1, this.#readers.size)))
  }

  #wants(reader: ShardReader): boolean {
    return !reader.isRead && reader.queuedBytes < this.#share()
  }

  #ask(): Asked {
    const cursors = new Map<number, number>()
    if (this.bufferedBytes < this.#options.bufferBytesMax)
      for (const reader of this.#readers.values()) if (this.#wants(reader)) cursors.set(reader.shard, reader.cursor)
    return { generation: this.#generation, cursors }
  }

  async #poll(path: string, { generation, cursors }: Asked, waitMs: number): Promise<PollFrame> {
    const bytesMax = cursors.size === 0 ? 0 : Math.floor(this.#share())
    const body = { cursors: Object.fromEntries(cursors), bytesMax, waitMs, generation, shapes: this.#bodies.count }
    const call = { method: 'POST', path: `${path}/poll`, body, waitMs, signal: this.#over.signal } as const
    return readFrame(await this.#connection.bytes(call))
  }

  #take(path: string, frame: PollFrame, asked: Asked): void {
    if (this.#over.signal.aborted || this.#isFenced) return
    if (this.#generation === undefined || frame.generation > this.#generation) this.#takeAssignment(path, frame)
    this.#bodies.learn(frame.shapes.list, frame.shapes.from)
    for (const page of frame.pages) this.#takePage(page, asked)
  }

  #takeAssignment(path: string, { generation, assigned, revoked }: PollFrame): void {
    this.#generation = generation
    const leases = new Map(assigned.map(({ shard, lease }) => [shard, lease]))
    for (const [shard, reader] of this.#readers) {
      if (!revoked.includes(shard) && leases.get(shard) !== reader.lease) this.#drop(shard)
    }
    const asked = revoked.filter((shard) => !this.#givingBack.has(shard))
    if (asked.length > 0) void this.#giveBack(path, asked)
    for (const { shard, lease, next } of assigned) {
      if (this.#readers.has(shard)) continue
      const reader = new ShardReader({
        shard,
        lease,
        next,
        bodies: this.#bodies,
        decode: this.#options.decode,
        handle: this.#handle,
        after: this.#ending.get(shard) ?? Promise.resolve(),
        onHandled: (isUrgent) => this.#committer?.handled(isUrgent),
        onRoom: () => this.#roomMade(reader),
        onError: (error) => this.#fail(error),
      })
      this.#readers.set(shard, reader)
    }
  }

  /** Pages of a poll that was overtaken are not taken twice. */
  #takePage(page: FramePage, { generation, cursors }: Asked): void {
    const reader = this.#readers.get(page.shard)
    if (!reader || generation !== this.#generation || cursors.get(page.shard) !== reader.cursor || reader.isRead) return
    reader.take(page)
  }

  #roomMade(reader: ShardReader): void {
    if (reader.isRead || this.#asked?.cursors.has(reader.shard)) return
    // From half of its share on: not a poll for each page.
    if (reader.queuedBytes <= this.#share() / 2) this.#wantMore()
  }

  /** Shards that go to somebody else: finish, commit, release. */
  async #giveBack(path: string, shards: readonly number[]): Promise<void> {
    const readers = shards.map((shard) => this.#readers.get(shard))
    for (const shard of shards) this.#givingBack.add(shard)
    for (const reader of readers) reader?.stop()
    await Promise.all(readers.map((reader) => reader?.stopped))
    await this.#committer?.flush()
    for (const reader of readers) if (reader && this.#readers.get(reader.shard) === reader) this.#drop(reader.shard)
    for (const shard of shards) this.#givingBack.delete(shard)
    try {
      const body = { shards }
      await persistently(this.#clock, this.#over.signal, () =>
        this.#connection.json({ method: 'POST', path: `${path}/release`, body }),
      )
    } catch {
      // The membership is over, or the daemon is away: the shards go when the time to release them is over.
    }
  }

  #drop(shard: number): void {
    const reader = this.#readers.get(shard)
    if (!reader) return
    reader.lose()
    this.#readers.delete(shard)
    this.#ending.set(shard, reader.stopped)
    void reader.stopped.then(() => {
      if (this.#ending.get(shard) === reader.stopped) this.#ending.delete(shard)
    })
  }

  async #leave(path: string): Promise<void> {
    const timer = this.#clock.setTimeout(() => this.#givenUp.abort(), closeMsMax)
    try {
      const readers = [...this.#readers.values()]
      for (const reader of readers) {
        if (this.#isFenced) reader.lose()
        else reader.stop()
      }
      if (this.#isFenced) return
      await Promise.all(readers.map((reader) => reader.stopped))
      await this.#committer?.flush()
      await this.#connection.bytes({ method: 'DELETE', path }).catch(() => {})
    } finally {
      timer.cancel()
      this.#committer?.close()
      for (const shard of [...this.#readers.keys()]) this.#drop(shard)
    }
  }
}
