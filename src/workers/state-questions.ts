import type { StateQuestion } from '../operators/index.js'
import { opened, unpackState } from '../operators/task/index.js'
import { type ErrorCode, MillraceError } from '../runtime/errors.js'
import type { ToWorker } from './protocol.js'

/** Questions that a thread may have asked and not have answered yet. */
const questionsMax = 10_000

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** What user code of a thread asks the daemon with `stateOf`. */
export class StateQuestions {
  readonly #send: (request: number, question: StateQuestion) => void
  readonly #waiting = new Map<number, Waiting>()
  #request = 0

  constructor(send: (request: number, question: StateQuestion) => void) {
    this.#send = send
  }

  ask(question: StateQuestion): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size >= questionsMax)
        throw new MillraceError('TOO_BUSY', `${questionsMax} calls of stateOf wait for their answers already.`)
      const request = ++this.#request
      // What cannot be a key cannot be sent either, and throws here.
      this.#send(request, question)
      this.#waiting.set(request, { resolve, reject })
    })
  }

  answered({ request, value, error }: Extract<ToWorker, { kind: 'state' }>): void {
    const waiting = this.#waiting.get(request)
    this.#waiting.delete(request)
    if (error) {
      const { code = 'INTERNAL', message, remedy } = error
      waiting?.reject(new MillraceError(code as ErrorCode, message, remedy === undefined ? {} : { remedy }))
    } else waiting?.resolve(value && contentOf(value))
  }
}

/** What a cell holds, without what is known of it beside. */
function contentOf(packed: Uint8Array): unknown {
  const content = unpackState(packed)
  const envelope = opened(content)
  return envelope ? envelope.value : content
}
