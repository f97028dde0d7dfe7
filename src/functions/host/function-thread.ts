import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import type { Clock, Timer } from '../../runtime/index.js'
import { LogRingReader, logRingMemory } from './log-ring.js'
import { gaugeMemory, MemoryGauge } from './memory-gauge.js'
import type { ErrorDocument, FailedRequests, FromThread, ThreadStart } from './protocol.js'
import type { ThreadEnd } from './thread-failure.js'

/** How a call ended in its thread. */
export type ThreadResult =
  | {
      readonly kind: 'answer'
      readonly payload: string
      readonly isError: boolean
      readonly failed: FailedRequests | undefined
      readonly memoryBytes: number
    }
  | { readonly kind: 'ended'; readonly end: ThreadEnd; readonly memoryBytes: number }

/** How the loading of the handler ended. */
export type InitResult =
  | { readonly kind: 'ready'; readonly ms: number }
  | { readonly kind: 'failed'; readonly document: ErrorDocument; readonly ms: number }
  | { readonly kind: 'ended'; readonly end: ThreadEnd; readonly ms: number }

export interface FunctionThreadOptions {
  readonly pool: Piscina
  readonly start: Omit<ThreadStart, 'port' | 'log' | 'memory'>
  readonly initMsMax: number
  readonly clock: Clock
  /** What the handler printed, in order. */
  readonly onText: (text: string, thread: FunctionThread) => void
  readonly onEnd: (thread: FunctionThread) => void
}

interface Running {
  readonly requestId: string
  readonly resolve: (result: ThreadResult) => void
  readonly limit: Timer
}

/** One thread of a function, which runs one call at a time. */
export class FunctionThread {
  readonly #clock: Clock
  readonly #onText: (text: string, thread: FunctionThread) => void
  readonly #port: MessagePort
  readonly #ring: LogRingReader
  readonly #gauge: MemoryGauge
  readonly #memoryMb: number
  readonly #abort = new AbortController()
  readonly #begun: number
  readonly loaded: Promise<InitResult>
  readonly ended: Promise<void>
  #load: ((result: InitResult) => void) | undefined
  #running: Running | undefined
  /** Why it ends, once that is known. */
  #end: ThreadEnd | undefined
  isEnded = false
  /** It is gone, or on its way. */
  get isEnding(): boolean {
    return this.isEnded || this.#end !== undefined
  }
  /** On the monotonic clock: when it had its last call. */
  usedAt: number
  #gaugeTimes = 0

  constructor({ pool, start, initMsMax, clock, onText, onEnd }: FunctionThreadOptions) {
    this.#clock = clock
    this.#onText = onText
    this.#memoryMb = start.memoryMb
    this.#begun = clock.monotonic()
    this.usedAt = this.#begun
    const log = logRingMemory()
    const memory = gaugeMemory()
    this.#ring = new LogRingReader(log)
    this.#gauge = new MemoryGauge(memory)
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    port1.on('message', (message: FromThread) => this.#take(message))
    this.loaded = new Promise((resolve) => {
      const limit = clock.setTimeout(() => this.end({ kind: 'time', ms: initMsMax }), initMsMax)
      this.#load = (result) => {
        limit.cancel()
        this.#load = undefined
        resolve(result)
      }
    })
    this.ended = pool
      .run({ ...start, port: port2, log, memory }, { name: 'serve', transferList: [port2], signal: this.#abort.signal })
      .then(
        () => this.#gone({ kind: 'stopped' }),
        (error: unknown) => this.#gone(endOf(error, start.memoryMb)),
      )
      .then(() => onEnd(this))
  }

  /** Runs a call in a thread that is loaded and has none. The payload's memory is given away. */
  invoke(requestId: string, payload: Uint8Array, timeoutMs: number): Promise<ThreadResult> {
    return new Promise((resolve) => {
      if (this.isEnded) return resolve({ kind: 'ended', end: this.#end ?? { kind: 'stopped' }, memoryBytes: 0 })
      const limit = this.#clock.setTimeout(() => this.end({ kind: 'time', ms: timeoutMs }), timeoutMs)
      this.#running = { requestId, resolve, limit }
      const deadline = Date.now() + timeoutMs
      const whole = owned(payload)
      this.#port.postMessage({ requestId, payload: whole, deadline }, [whole.buffer as ArrayBuffer])
    })
  }

  /** Ends the thread, whatever it does. */
  end(end: ThreadEnd): void {
    this.#end ??= end
    this.#abort.abort()
  }

  /** Takes what was printed, and ends the thread when it holds too much memory. Returns how much it holds. */
  look(): { readonly bytes: number; readonly isSilent: boolean } {
    this.#print(this.#ring.take())
    const { heapBytes, externalBytes, times } = this.#gauge.read()
    const isSilent = times === this.#gaugeTimes
    this.#gaugeTimes = times
    const max = this.#memoryMb * 2 ** 20
    if (externalBytes > max)
      this.end({
        kind: 'memory',
        why: `the handler holds ${externalBytes} bytes outside of its heap, more than its memory of ${this.#memoryMb} MB`,
      })
    return { bytes: heapBytes + externalBytes, isSilent }
  }

  #take(message: FromThread): void {
    switch (message.kind) {
      case 'log':
        return this.#print(this.#ring.takeBeside(message.text))
      case 'ready':
        return this.#load?.({ kind: 'ready', ms: this.#age() })
      case 'initFailed':
        this.#print(this.#ring.take())
        this.#load?.({ kind: 'failed', document: message.document, ms: this.#age() })
        return this.end({ kind: 'broken', document: message.document })
      case 'exit':
        this.#end ??= { kind: 'exit', code: message.code }
        return
      case 'broken':
        this.#end ??= { kind: 'broken', document: message.document }
        return
      case 'answer': {
        const running = this.#running
        if (running?.requestId !== message.requestId) return
        this.#print(this.#ring.take())
        this.#finish(running, { ...message, kind: 'answer' })
      }
    }
  }

  #print(text: string): void {
    if (text !== '') this.#onText(text, this)
  }

  #age(): number {
    return this.#clock.monotonic() - this.#begun
  }

  #finish({ resolve, limit }: Running, result: ThreadResult): void {
    this.#running = undefined
    limit.cancel()
    this.usedAt = this.#clock.monotonic()
    resolve(result)
  }

  #gone(end: ThreadEnd): void {
    this.isEnded = true
    // It may still say why, and that is better than the code of its exit.
    this.#drain()
    this.#end ??= end
    this.#port.close()
    this.#load?.({ kind: 'ended', end: this.#end, ms: this.#age() })
    const { heapBytes, externalBytes } = this.#gauge.read()
    if (this.#running)
      this.#finish(this.#running, { kind: 'ended', end: this.#end, memoryBytes: heapBytes + externalBytes })
  }

  /** What the thread said in its last moment may still lie in the port. */
  #drain(): void {
    const next = () => receiveMessageOnPort(this.#port) as { message: FromThread } | undefined
    for (let received = next(); received; received = next()) this.#take(received.message)
    this.#print(this.#ring.take())
  }
}

function endOf(error: unknown, memoryMb: number): ThreadEnd {
  const { code, message } = error as { code?: unknown; message?: unknown }
  if (code === 'ERR_WORKER_OUT_OF_MEMORY')
    return { kind: 'memory', why: `the handler's heap is larger than its memory of ${memoryMb} MB` }
  const exit = /^worker exited with code: (\d+)$/.exec(String(message))
  if (exit) return { kind: 'exit', code: Number(exit[1]) }
  return { kind: 'unknown', why: String(message) }
}

/** Memory of its own, which can be handed over; a part of a larger one is copied. */
function owned(payload: Uint8Array): Uint8Array {
  const { buffer, byteLength } = payload
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) return payload
  return new Uint8Array(payload)
}
