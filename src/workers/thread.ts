import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import type { PlanDescription } from '../operators/index.js'
import { MillraceError } from '../runtime/index.js'
import type { ThreadMemory } from './memory-watch.js'
import type { ConverterListener, Place, SinkListener, TaskListener } from './pool.js'
import { type FromWorker, type ToWorker, Trace, traceBytes } from './protocol.js'

export const watchMs = 100
/** A module may wait at its top level for so many step time-outs: a thread that does other work meanwhile is slow, not stuck. */
const loadTimeouts = 3

/** Why a thread is ended, and what it did then. */
export interface ThreadVerdict {
  readonly kind: 'time' | 'memory'
  readonly why: string
  /** The task whose code ran; undefined: none. */
  readonly task: number | undefined
  readonly place: Place
  /** It had not answered for a while. */
  readonly isSilent: boolean
}

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
  /** Of these, those of which something has committed here. */
  readonly proven = new Set<number>()
  readonly sinks = new Map<number, SinkListener>()
  readonly converters = new Map<number, ConverterListener>()
  readonly describing = new Map<number, Describing>()
  /** Threads that it can send rows to. */
  readonly peers = new Set<number>()
  readonly #abort = new AbortController()
  readonly ended: Promise<void>
  verdict: ThreadVerdict | undefined
  #memory = { externalBytes: 0, heapBytes: 0 }
  /** The size of the process when the thread said how much it has. */
  #rssThen = 0
  #isSilent = false
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
  watch(now: number, timeoutMs: number, rssBytes: number): void {
    const { life, answered } = this.trace.read()
    const isAlive = answered === this.#pings
    // What was spent while this process itself stood still does not count.
    const passedMs = Math.min(now - this.#watched, 2 * watchMs)
    this.#watched = now
    this.#isSilent = !isAlive && answered > 0
    if (!this.#isSilent) {
      this.#memory = this.trace.memory()
      this.#rssThen = rssBytes
    }
    if (isAlive) {
      this.#pings++
      this.say({ kind: 'ping' })
      this.#silentMs = 0
    } else if (life !== this.#life) this.#silentMs = 0
    // A thread that has answered nothing yet is still starting.
    else if (answered > 0) this.#silentMs += passedMs
    this.#life = life
    if (this.#silentMs > timeoutMs)
      this.end('time', `User code ran for more than ${timeoutMs} ms (pipelines.stepTimeoutMs) on one record.`)
    // A thread that hangs is ended, which refuses its modules; this is for a module that waits for what never comes.
    if (isAlive) this.#watchModules(passedMs, timeoutMs)
  }

  memory(rssBytes: number): ThreadMemory {
    const grownBytes = this.#isSilent ? Math.max(0, rssBytes - this.#rssThen) : 0
    return { ...this.#memory, grownBytes, isEnding: this.verdict !== undefined }
  }

  /** Ends the thread. What it does at this moment is what it is ended for. */
  end(kind: ThreadVerdict['kind'], why: string): void {
    if (this.verdict) return
    this.verdict = { kind, why, ...this.doing(), isSilent: this.#isSilent }
    this.#abort.abort()
  }

  /** The task whose code runs, and where in it. */
  doing(): Pick<ThreadVerdict, 'task' | 'place'> {
    const { isBusy, task, node, sequence } = this.trace.read()
    return {
      task: isBusy ? task : undefined,
      place: { node: node < 0 ? undefined : node, sequence: sequence === 0 ? undefined : sequence },
    }
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
