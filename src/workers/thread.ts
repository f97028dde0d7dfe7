import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import type { PlanDescription } from '../operators/index.js'
import { MillraceError } from '../runtime/index.js'
import type { SinkListener, TaskListener } from './pool.js'
import { type FromWorker, type ToWorker, Trace, traceBytes } from './protocol.js'

export const watchMs = 100
/** A module may wait at its top level for so many step time-outs: a thread that does other work meanwhile is slow, not stuck. */
const loadTimeouts = 3

interface Describing {
  /** Time in which the thread was well and the module still not loaded. */
  waitedMs: number
  readonly resolve: (plan: PlanDescription) => void
  readonly reject: (error: MillraceError) => void
}

/** One thread with its port. */
export class Thread {
  /** Never used again when the thread is gone. */
  readonly number: number
  readonly trace = new Trace(new SharedArrayBuffer(traceBytes))
  readonly port: MessagePort
  readonly tasks = new Map<number, TaskListener>()
  readonly sinks = new Map<number, SinkListener>()
  readonly describing = new Map<number, Describing>()
  /** Threads that it can send rows to. */
  readonly peers = new Set<number>()
  readonly #abort = new AbortController()
  readonly ended: Promise<void>
  timeout: string | undefined
  #life = -1
  #pings = 0
  #watched = performance.now()
  #silentMs = 0

  constructor(
    number: number,
    pool: Piscina,
    onMessage: (thread: Thread, message: FromWorker) => void,
    onEnd: (thread: Thread, error: unknown) => void,
  ) {
    this.number = number
    const { port1, port2 } = new MessageChannel()
    this.port = port1
    port1.on('message', (message: FromWorker) => onMessage(this, message))
    this.ended = pool
      .run(
        { port: port2, trace: this.trace.buffer, number },
        { name: 'serve', transferList: [port2], signal: this.#abort.signal },
      )
      .then(
        () => onEnd(this, undefined),
        (error: unknown) => onEnd(this, error),
      )
  }

  say(message: ToWorker, transfer: readonly (ArrayBuffer | MessagePort)[] = []): void {
    this.port.postMessage(message, transfer)
  }

  /** Lets the tasks of two threads send rows to each other. */
  meet(other: Thread): void {
    if (other === this || this.peers.has(other.number)) return
    const { port1, port2 } = new MessageChannel()
    this.peers.add(other.number)
    other.peers.add(this.number)
    this.say({ kind: 'peer', thread: other.number, port: port1 }, [port1])
    other.say({ kind: 'peer', thread: this.number, port: port2 }, [port2])
  }

  /** Ends the thread when it hangs: it answers no ping, and its records do not move on either. */
  watch(now: number, timeoutMs: number): void {
    const { life, answered } = this.trace.read()
    const isAlive = answered === this.#pings
    // What was spent while this process itself stood still does not count.
    const passedMs = Math.min(now - this.#watched, 2 * watchMs)
    this.#watched = now
    if (isAlive) {
      this.#pings++
      this.say({ kind: 'ping' })
      this.#silentMs = 0
    } else if (life !== this.#life) this.#silentMs = 0
    // A thread that has answered nothing yet is still starting.
    else if (answered > 0) this.#silentMs += passedMs
    this.#life = life
    if (this.#silentMs > timeoutMs && this.timeout === undefined) {
      this.timeout = `User code ran for more than ${timeoutMs} ms (pipelines.stepTimeoutMs) on one record.`
      this.#abort.abort()
    }
    // A thread that hangs is ended, which refuses its modules; this is for a module that waits for what never comes.
    if (isAlive) this.#watchModules(passedMs, timeoutMs)
  }

  #watchModules(passedMs: number, timeoutMs: number): void {
    for (const [request, describing] of this.describing) {
      describing.waitedMs += passedMs
      if (describing.waitedMs <= timeoutMs * loadTimeouts) continue
      this.describing.delete(request)
      const why = `The module did not load within ${loadTimeouts} times ${timeoutMs} ms (pipelines.stepTimeoutMs).`
      describing.reject(new MillraceError('MODULE_INVALID', why))
    }
  }

  abort(): void {
    this.#abort.abort()
  }
}
