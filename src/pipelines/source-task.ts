import type { Position } from '../groups/index.js'
import {
  ChunkCursor,
  type LogPage,
  readChunkHeader,
  type Sequence,
  type ShardedLog,
  type ShardId,
  type StreamId,
} from '../log/index.js'
import type { Clock, Timer } from '../runtime/index.js'
import type { TaskHandle } from '../workers/index.js'

export interface SourceTaskOptions {
  readonly position: Position
  readonly stream: StreamId
  readonly log: ShardedLog
  readonly clock: Clock
  readonly handoverBytes: number
  readonly handoversInFlightMax: number
  /** Bytes of the store that are read at once, and handed over piece by piece. */
  readonly readAheadBytes: () => number
  /** Whether the epoch has room for more. */
  readonly mayRead: () => boolean
  /** `only` is the first record of what was handed over, where records are read one by one. */
  readonly onRead: (bytes: number, only: Sequence | undefined) => void
  readonly onError: (error: unknown) => void
  /** The task has caught up, or came to the end of its shard. */
  readonly onCaughtUp: () => void
  /** A shard that gives nothing for so long, ms, holds event time back no more; undefined while nothing asks for it. */
  readonly idleMs: () => number | undefined
  /** Whether the shard was idle at the last commit. */
  readonly isIdle: boolean
  /** The first sequence number that it takes no more; undefined: it takes all that comes. */
  readonly until: Sequence | undefined
  /** Records between two barriers, where they are counted: in quarantine, or since what more of them make is too large for a commit. */
  readonly recordsMax: () => number | undefined
  /** Whether event time is over there, as in a bounded run. */
  readonly endsTime: boolean
  /** What stands in the shard comes while it is read: having read what is there is not the end of a bounded run. */
  readonly isFed: boolean
  /** Whether nothing that a bounded run reads follows the end of the shard. */
  readonly isChildless: () => boolean
  /** Whether nothing will ever follow the end of the shard. */
  readonly isLast: () => boolean
}

/** From where a page's records are to be run and, where not all of them are, up to where. */
interface HandedOver {
  readonly from: Sequence
  readonly to: Sequence | undefined
  readonly only: Sequence | undefined
}

/** Of smaller chunks a copy costs less than handing over each. */
const movedBytesMin = 16 * 1024

/** Reads one shard and hands its chunks to a worker, a few in flight; buffers come back and are used again. */
export class SourceTask {
  readonly shard: ShardId
  handle: TaskHandle | undefined
  readonly #options: SourceTaskOptions
  #next: Sequence
  #isEnded: boolean
  #isReading = false
  #wasWoken = false
  #isStopped = false
  /** What was read and is not handed over yet. */
  #ahead: LogPage[] = []
  #inFlight = 0
  /** How many of the stream's shapes the worker has been told. */
  #shapesTold = 0
  readonly #buffers: ArrayBuffer[] = []
  /** Position of the last barrier that was sent. */
  #sent: Position
  readonly #barriers = new Map<number, Position>()
  #idleTimer: Timer | undefined
  #isIdle: boolean
  #isCaughtUp = false
  /** It had read all that there was at some time since the last barrier. */
  #wasCaughtUp = false
  /** It has read what it may before the next barrier. */
  #isFull = false
  /** It came to the bound of its run, or to the end of its shard in one: whether the last barrier that was sent knew. */
  #isOver = false
  #wasOverSent = false
  /** Idleness or the end, which the last barrier did not know of. */
  #hasTold = false

  constructor(options: SourceTaskOptions) {
    this.#options = options
    this.shard = options.position.shard
    this.#next = options.position.next
    this.#isEnded = options.position.ended
    this.#sent = options.position
    this.#isIdle = options.isIdle
  }

  /** Whether anything happened since the last barrier. */
  get hasProgress(): boolean {
    return this.#hasTold || this.#next !== this.#sent.next || this.#isEnded !== this.#sent.ended
  }

  /** Whether the last barrier was behind a sequence number, or behind everything that there is. */
  hasPassed(sequence: number): boolean {
    return this.#sent.next > sequence || ((this.#isCaughtUp || this.#isEnded) && this.#sent.next === this.#next)
  }

  /** Whether it has read all that there is. */
  get isCaughtUp(): boolean {
    return this.#isCaughtUp || this.#isEnded || this.#isOver
  }

  /** Whether there was a time since the last barrier at which it had read all that there was. */
  get keepsUp(): boolean {
    return this.#wasCaughtUp || this.isCaughtUp
  }

  /** Whether it came to the end of its shard. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Whether everything that the run wants of the shard stood before the last barrier. */
  get isOver(): boolean {
    return this.#wasOverSent
  }

  /** Where reading stands. */
  get next(): Sequence {
    return this.#next
  }

  /** Reads and hands over while there is something and the bounds allow it. */
  pump(): void {
    if (this.#isReading) {
      this.#wasWoken = true
      return
    }
    if (
      this.#isStopped ||
      this.#isEnded ||
      this.#isOver ||
      this.#isFull ||
      this.#inFlight >= this.#options.handoversInFlightMax ||
      !this.#options.mayRead()
    )
      return
    const ahead = this.#ahead.shift()
    if (ahead) return this.#take(ahead)
    const { log, handoverBytes, readAheadBytes } = this.#options
    this.#isReading = true
    log.read(this.shard, this.#next, { bytesMax: Math.max(handoverBytes, readAheadBytes()) }).then(
      (page) => {
        this.#isReading = false
        if (this.#isStopped) return
        const [first, ...ahead] = piecesOf(page, handoverBytes)
        // One record of all shards: another one may have had it meanwhile.
        if (this.#options.recordsMax() === 1 && first.chunks.length > 0 && !this.#options.mayRead()) {
          this.#ahead = [first, ...ahead]
          return
        }
        this.#ahead = ahead
        this.#take(first)
      },
      (error: unknown) => {
        this.#isReading = false
        if (!this.#isStopped) this.#options.onError(error)
      },
    )
  }

  #take(read: LogPage): void {
    const recordsMax = this.#options.recordsMax()
    const page = recordsMax === undefined ? read : firstRecords(read, this.#next, recordsMax)
    // What is left of it is read again, so what was read behind it is not what comes next.
    if (page !== read) this.#ahead = []
    const wasWoken = this.#wasWoken
    this.#wasWoken = false
    const from = this.#next
    // Moved before the handover is counted: what is counted must show as progress, or a full epoch would never end.
    const { until, isFed } = this.#options
    const isPast = until !== undefined && page.next >= until
    this.#next = isPast ? until : page.next
    if (page.ended && !isPast) this.#isEnded = true
    // Everything before the bound was there when the run began. What follows in children is no end of event time.
    const hasRead = page.ended ? this.#options.isChildless() : !isFed && page.chunks.length === 0
    const isOver = until !== undefined && (isPast || hasRead)
    if (page.chunks.length > 0) {
      const only = recordsMax === 1 ? firstSequence(page, from) : undefined
      this.#handOver(page, { from, to: page === read ? undefined : page.next, only })
    }
    const isLast = page.ended && this.#options.isLast()
    if (isOver || isLast) {
      if (isLast || this.#options.endsTime) this.handle?.end()
      this.#hasTold = true
      this.#isOver = isOver
    }
    this.#isFull = recordsMax !== undefined && page.chunks.length > 0
    if (page.chunks.length > 0 || wasWoken) this.pump()
    if (page.chunks.length > 0 && !page.ended && !isOver) return
    this.#isCaughtUp = true
    this.#wasCaughtUp = true
    this.awaitIdleness()
    this.#options.onCaughtUp()
  }

  /** Caught up: when nothing comes for a while, the shard holds event time back no more. */
  awaitIdleness(): void {
    const idleMs = this.#options.idleMs()
    if (
      !this.#isCaughtUp ||
      this.#idleTimer ||
      this.#isIdle ||
      this.#isStopped ||
      this.#isEnded ||
      this.#isOver ||
      idleMs === undefined
    )
      return
    this.#idleTimer = this.#options.clock.setTimeout(() => {
      this.#idleTimer = undefined
      if (this.#isStopped || this.#isEnded) return
      // What it may not read yet may be there.
      if (!this.#options.mayRead()) return this.awaitIdleness()
      this.#isIdle = true
      this.#hasTold = true
      this.handle?.idle()
      this.#options.onCaughtUp()
    }, idleMs)
  }

  /**
   * Large chunks that nobody else has are handed over as they are. The tail cache owns its own, for all readers: of those the
   * worker gets a copy.
   */
  #handOver(page: LogPage, { from, to, only }: HandedOver): void {
    this.#idleTimer?.cancel()
    this.#idleTimer = undefined
    this.#isIdle = false
    this.#isCaughtUp = false
    const { chunks } = page
    const lengths = chunks.map((chunk) => chunk.length)
    const bytes = lengths.reduce((sum, length) => sum + length, 0)
    const isMoved = page.isOwned === true && bytes >= chunks.length * movedBytesMin
    const buffers = isMoved ? chunks.map(({ buffer }) => buffer as ArrayBuffer) : [this.#copy(chunks, bytes)]
    page.release?.()
    this.#inFlight++
    const shapes = this.#options.log.shapes.of(this.#options.stream)
    const handover = { buffers, lengths, isKept: isMoved, from, to, shapes: shapes.slice(this.#shapesTold) }
    this.handle?.send(handover)
    this.#shapesTold = shapes.length
    this.#options.onRead(bytes, only)
  }

  #copy(chunks: readonly Buffer[], bytes: number): ArrayBuffer {
    const buffer = this.#buffer(bytes)
    const target = new Uint8Array(buffer)
    let at = 0
    for (const chunk of chunks) {
      target.set(chunk, at)
      at += chunk.length
    }
    return buffer
  }

  #buffer(bytes: number): ArrayBuffer {
    const recycled = this.#buffers.pop()
    if (recycled && recycled.byteLength >= bytes) return recycled
    return new ArrayBuffer(Math.max(bytes, this.#options.handoverBytes * 2))
  }

  /** The worker is through with a handover; a copy's buffer comes back. */
  done(buffer: ArrayBuffer | undefined): void {
    this.#inFlight--
    if (buffer && this.#buffers.length < this.#options.handoversInFlightMax) this.#buffers.push(buffer)
    this.pump()
  }

  /** The barrier follows everything that was handed over so far: its position is where reading stands now. */
  sendBarrier(number: number): void {
    this.#hasTold = false
    this.#isFull = false
    this.#wasCaughtUp = false
    this.#wasOverSent = this.#isOver
    this.#sent = { shard: this.shard, next: this.#next, ended: this.#isEnded }
    this.#barriers.set(number, this.#sent)
    this.handle?.barrier(number, this.#isEnded)
  }

  /** `isBehind`: timers of its own wait for the next barrier, so that this one was not the last though all has been read. */
  barrierPosition(number: number, isBehind: boolean): Position {
    const sent = this.#barriers.get(number) as Position
    this.#barriers.delete(number)
    if (!isBehind || !sent.ended) return sent
    const position = { ...sent, ended: false }
    if (this.#sent === sent) this.#sent = position
    return position
  }

  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#idleTimer?.cancel()
    this.handle?.close()
  }
}

/** The first record of a page from a sequence number on. */
function firstSequence(page: LogPage, from: Sequence): Sequence | undefined {
  for (const chunk of page.chunks) {
    const cursor = new ChunkCursor(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    while (cursor.next()) if (cursor.sequence >= from) return cursor.sequence
  }
  return undefined
}

/** The page as far as so many records from a sequence number on go: one chunk, and where in it they end. */
function firstRecords(page: LogPage, from: Sequence, count: number): LogPage {
  const { release } = page
  let left = count
  for (const [i, chunk] of page.chunks.entries()) {
    const cursor = new ChunkCursor(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    while (cursor.next()) {
      if (cursor.sequence < from || left-- > 0) continue
      return {
        chunks: page.chunks.slice(0, i + 1),
        next: cursor.sequence,
        ended: false,
        ...(release ? { release } : {}),
      }
    }
  }
  return page
}

/** A page in pieces of so many bytes, each of whole chunks: what is handed over at once counts against an epoch. */
function piecesOf(page: LogPage, bytesMax: number): [LogPage, ...LogPage[]] {
  const pieces: LogPage[] = []
  let chunks: Buffer[] = []
  let bytes = 0
  for (const chunk of page.chunks) {
    if (bytes > 0 && bytes + chunk.length > bytesMax) {
      const { last } = readChunkHeader(chunks.at(-1) as Buffer)
      pieces.push({ chunks, next: (last + 1) as Sequence, ended: false, isOwned: page.isOwned === true })
      chunks = []
      bytes = 0
    }
    chunks.push(chunk)
    bytes += chunk.length
  }
  const [first, ...others] = [...pieces, { ...page, chunks }]
  return [first as LogPage, ...others]
}
