import type { Position } from '../groups/index.js'
import type { LogPage, Sequence, ShardedLog, ShardId, StreamId } from '../log/index.js'
import type { BarrierResult } from '../operators/task.js'
import type { TaskHandle } from '../workers/index.js'

/** What a task gave for a barrier, and the position that goes with it. */
export interface TaskBarrier {
  readonly task: SourceTask
  readonly result: BarrierResult
  readonly position: Position
}

export interface SourceTaskOptions {
  readonly position: Position
  readonly stream: StreamId
  readonly log: ShardedLog
  readonly handoverBytes: number
  readonly handoversInFlightMax: number
  /** Whether the epoch has room for more. */
  readonly mayRead: () => boolean
  readonly onRead: (bytes: number) => void
  readonly onError: (error: unknown) => void
  /** The task has caught up, or came to the end of its shard. */
  readonly onIdle: () => void
}

/** Reads one shard and hands its chunks to a worker, a few in flight; buffers come back and are used again. */
export class SourceTask {
  readonly shard: ShardId
  handle: TaskHandle | undefined
  readonly #options: SourceTaskOptions
  #next: Sequence
  #isEnded = false
  #isReading = false
  #wasWoken = false
  #isStopped = false
  #inFlight = 0
  /** How many of the stream's shapes the worker has been told. */
  #shapesTold = 0
  readonly #buffers: ArrayBuffer[] = []
  /** Position of the last barrier that was sent. */
  #sent: Position
  readonly #barriers = new Map<number, Position>()

  constructor(options: SourceTaskOptions) {
    this.#options = options
    this.shard = options.position.shard
    this.#next = options.position.next
    this.#sent = options.position
  }

  /** Whether anything happened since the last barrier. */
  get hasProgress(): boolean {
    return this.#next !== this.#sent.next || this.#isEnded !== this.#sent.ended
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
      this.#inFlight >= this.#options.handoversInFlightMax ||
      !this.#options.mayRead()
    )
      return
    this.#isReading = true
    this.#options.log.read(this.shard, this.#next, { bytesMax: this.#options.handoverBytes }).then(
      (page) => {
        this.#isReading = false
        if (!this.#isStopped) this.#take(page)
      },
      (error: unknown) => {
        this.#isReading = false
        if (!this.#isStopped) this.#options.onError(error)
      },
    )
  }

  #take(page: LogPage): void {
    const wasWoken = this.#wasWoken
    this.#wasWoken = false
    const from = this.#next
    // Moved before the handover is counted: what is counted must show as progress, or a full epoch would never end.
    this.#next = page.next
    if (page.ended) this.#isEnded = true
    if (page.chunks.length > 0) this.#handOver(page, from)
    if (page.chunks.length > 0 || wasWoken) this.pump()
    if (page.chunks.length === 0 || page.ended) this.#options.onIdle()
  }

  /** The tail cache owns its chunks, for all readers: the worker gets a copy. */
  #handOver(page: LogPage, from: Sequence): void {
    const lengths = page.chunks.map((chunk) => chunk.length)
    const bytes = lengths.reduce((sum, length) => sum + length, 0)
    const buffer = this.#buffer(bytes)
    const target = new Uint8Array(buffer)
    let at = 0
    for (const chunk of page.chunks) {
      target.set(chunk, at)
      at += chunk.length
    }
    page.release?.()
    this.#inFlight++
    const shapes = this.#options.log.shapes.of(this.#options.stream)
    this.handle?.send(buffer, lengths, from, shapes.slice(this.#shapesTold))
    this.#shapesTold = shapes.length
    this.#options.onRead(bytes)
  }

  #buffer(bytes: number): ArrayBuffer {
    const recycled = this.#buffers.pop()
    if (recycled && recycled.byteLength >= bytes) return recycled
    return new ArrayBuffer(Math.max(bytes, this.#options.handoverBytes * 2))
  }

  /** The worker is through with a handover. */
  done(buffer: ArrayBuffer): void {
    this.#inFlight--
    if (this.#buffers.length < this.#options.handoversInFlightMax) this.#buffers.push(buffer)
    this.pump()
  }

  /** The barrier follows everything that was handed over so far: its position is where reading stands now. */
  sendBarrier(number: number): void {
    this.#sent = { shard: this.shard, next: this.#next, ended: this.#isEnded }
    this.#barriers.set(number, this.#sent)
    this.handle?.barrier(number)
  }

  barrierPosition(number: number): Position {
    const position = this.#barriers.get(number) as Position
    this.#barriers.delete(number)
    return position
  }

  stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.handle?.close()
  }
}
