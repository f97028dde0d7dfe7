/** The entry of a function's thread: one long-running call, which serves its port until its thread is ended. */
import { LogRingWriter } from '../host/log-ring.js'
import { gaugeMs, MemoryGauge } from '../host/memory-gauge.js'
import type { ErrorDocument, FromThread, ThreadStart, ToThread } from '../host/protocol.js'
import { captureConsole, lineWriter, type WriteLine } from './console-lines.js'
import { errorDocument, rejectionDocument } from './error-document.js'
import { EmptyLoop } from './event-loop.js'
import { Invocation, type Outcome, type Wait } from './invocation.js'
import { type Handler, InitError, loadHandler } from './load-handler.js'
import { prepareSdk } from './sdk-loading.js'
import { SdkRequests } from './sdk-requests.js'

/** Never resolves: the main thread ends it. */
export function serve(start: ThreadStart): Promise<never> {
  new FunctionSide(start)
  return new Promise(() => {})
}

/** What AWS takes of an answer, bytes. */
const answerBytesMax = 6_291_556

class FunctionSide {
  readonly #start: ThreadStart
  readonly #loop: EmptyLoop
  readonly #gauge: MemoryGauge
  readonly #requests: SdkRequests
  readonly #line: WriteLine
  readonly #exit: (code?: number) => never
  #handler: Handler | undefined
  #requestId: string | undefined
  #invocation: Invocation | undefined
  /** Given, and waiting for the event loop to be empty. */
  #pending: Outcome | undefined
  #memoryBytes = 0

  constructor(start: ThreadStart) {
    this.#start = start
    this.#gauge = new MemoryGauge(start.memory)
    setInterval(() => this.#measure(), gaugeMs).unref()
    const ring = new LogRingWriter(start.log, (text) => this.#say({ kind: 'log', text }))
    const write = (text: string): void => ring.write(text)
    this.#line = lineWriter(write, () => this.#requestId)
    captureConsole(this.#line, write)
    this.#requests = new SdkRequests(start.endpoint)
    prepareSdk(start.endpoint, this.#requests)
    this.#exit = process.exit.bind(process) as (code?: number) => never
    process.exit = (code?: number | string | null) => this.#leave(Number(code ?? process.exitCode ?? 0))
    process.on('uncaughtException', (thrown) => this.#break('Uncaught Exception', errorDocument(thrown)))
    process.on('unhandledRejection', (reason) => this.#break('Unhandled Promise Rejection', rejectionDocument(reason)))
    start.port.on('message', (call: ToThread) => this.#invoke(call))
    this.#loop = new EmptyLoop(start.port, () => this.#loopEmpty())
    void this.#load()
  }

  #say(message: FromThread): void {
    this.#start.port.postMessage(message)
  }

  #measure(): void {
    this.#memoryBytes = Math.max(this.#memoryBytes, this.#gauge.measure())
  }

  async #load(): Promise<void> {
    try {
      this.#handler = await loadHandler(this.#start.root, this.#start.handler)
      this.#say({ kind: 'ready' })
    } catch (thrown) {
      const document = thrown instanceof InitError ? thrown.document : errorDocument(thrown)
      this.#line('ERROR', `Uncaught Exception \t${shownError(document)}`)
      this.#say({ kind: 'initFailed', document })
    }
  }

  #invoke({ requestId, payload, deadline }: ToThread): void {
    this.#requestId = requestId
    this.#memoryBytes = 0
    this.#measure()
    this.#requests.begin()
    this.#pending = undefined
    const invocation = new Invocation({
      start: this.#start,
      requestId,
      deadline,
      settled: (outcome, wait) => this.#settled(invocation, outcome, wait),
    })
    this.#invocation = invocation
    const { buffer, byteOffset, byteLength } = payload
    const event: unknown = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString())
    invocation.run(this.#handler as Handler, event)
    if (this.#invocation === invocation) this.#loop.watch()
  }

  #settled(invocation: Invocation, outcome: Outcome, wait: Wait): void {
    if (wait === 'emptyLoop') {
      this.#pending = outcome
      this.#loop.watch()
    } else if (wait === 'requests') this.#requests.whenDone(() => this.#answer(invocation, outcome))
    else this.#answer(invocation, outcome)
  }

  #loopEmpty(): void {
    const { isSettled } = this.#invocation ?? { isSettled: true }
    const pending = this.#pending
    if (this.#invocation && pending) this.#answer(this.#invocation, pending)
    else if (!isSettled) this.#invocation?.endWithout()
  }

  #answer(invocation: Invocation, outcome: Outcome): void {
    // Its thread may be at another call by now.
    if (this.#invocation !== invocation) return
    this.#invocation = undefined
    this.#pending = undefined
    this.#loop.rest()
    const shown = shownOutcome(outcome)
    if (shown.document) this.#line('ERROR', `Invoke Error \t${shownError(shown.document)}`)
    this.#measure()
    this.#say({
      kind: 'answer',
      requestId: this.#requestId as string,
      payload: shown.payload,
      isError: shown.document !== undefined,
      failed: this.#requests.failed(),
      memoryBytes: this.#memoryBytes,
    })
  }

  #leave(code: number): never {
    this.#say({ kind: 'exit', code: Number.isSafeInteger(code) ? code : 1 })
    return this.#exit(code)
  }

  #break(what: string, document: ErrorDocument): void {
    this.#line('ERROR', `${what} \t${shownError(document)}`)
    this.#say({ kind: 'broken', document })
    this.#exit(129)
  }
}

interface ShownOutcome {
  readonly payload: string
  readonly document?: ErrorDocument
}

/** The answer's text, and the error in it. */
function shownOutcome(outcome: Outcome): ShownOutcome {
  const { document, text } =
    outcome.kind === 'error' ? { document: outcome.document, text: undefined } : textOf(outcome.value)
  if (document) return { document, payload: JSON.stringify(document) }
  if (text.length * 3 <= answerBytesMax || Buffer.byteLength(text) <= answerBytesMax) return { payload: text }
  const tooLarge = {
    errorType: 'Function.ResponseSizeTooLarge',
    errorMessage: `Response payload size exceeded maximum allowed payload size (${answerBytesMax} bytes).`,
  }
  return { document: tooLarge, payload: JSON.stringify(tooLarge) }
}

type Text =
  | { readonly text: string; readonly document?: undefined }
  | { readonly text?: undefined; readonly document: ErrorDocument }

function textOf(value: unknown): Text {
  try {
    // What has no JSON at all, such as a function, is no answer.
    return { text: (JSON.stringify(value === undefined ? null : value) as string | undefined) ?? 'null' }
  } catch {
    return { document: errorDocument(new Error('Unable to stringify response body')) }
  }
}

function shownError({ trace, ...document }: ErrorDocument): string {
  return JSON.stringify({ ...document, stack: trace })
}
