import { subscribe } from 'node:diagnostics_channel'
import { errorMonitor } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { FailedRequests } from '../host/protocol.js'

/** Failed requests that are told in words. */
const examplesMax = 3
/** Bytes of an error's body that are looked at. */
const errorBytesMax = 64 * 1024
/** How long after a failed attempt the SDK may begin another, ms: its back-off of the first attempts. */
const retryMs = 2000

/** Not met, a condition is an answer and no failure. */
const conditionFailed = 'ConditionalCheckFailedException'

/** A request as the SDK's user sees it; its attempts are requests on the wire. */
interface Logical {
  underWay: number
  /** How its last attempt failed. */
  failure: Failure | undefined
}

interface Failure {
  readonly text: string
  /** When another attempt may follow, until this time of `performance.now()`. */
  readonly retryUntil: number
}

/**
 * Requests of the AWS SDK that a handler makes: what is under way, and what failed. They are seen on the wire, by Node's
 * channel of diagnostics, so it does not matter which SDK makes them, or whether it is part of a bundle.
 */
export class SdkRequests {
  readonly #host: string
  #logical = new Map<string, Logical>()
  #number = 0
  #underWay = 0
  /** Failures that no attempt on the wire shows, such as parameters that the SDK refuses itself. */
  #otherFailures: string[] = []
  #otherCount = 0
  /** Version 2 of the SDK tells its own requests. */
  isVersion2Told = false

  constructor(endpoint: string) {
    this.#host = new URL(endpoint).host
    subscribe('http.client.request.start', (message) => this.#began((message as { request: ClientRequest }).request))
    subscribe('http.client.response.finish', (message) => {
      const { request, response } = message as { request: ClientRequest; response: IncomingMessage }
      this.#responses.get(request)?.(response)
    })
  }

  readonly #responses = new WeakMap<ClientRequest, (response: IncomingMessage) => void>()

  /** Forgets what was before. */
  begin(): void {
    this.#logical = new Map()
    this.#otherFailures = []
    this.#otherCount = 0
  }

  /** A request that the SDK tells itself. */
  enter(): void {
    this.#underWay++
  }

  leave(failure: string | undefined): void {
    this.#underWay--
    if (failure === undefined) return
    this.#otherCount++
    if (this.#otherFailures.length < examplesMax) this.#otherFailures.push(failure)
  }

  failed(): FailedRequests | undefined {
    const failures = [...this.#logical.values()].flatMap(({ failure }) => (failure ? [failure.text] : []))
    const count = failures.length + this.#otherCount
    if (count === 0) return undefined
    return { count, examples: [...this.#otherFailures, ...failures].slice(0, examplesMax) }
  }

  /** Whether a request is under way, may be tried again, or is about to be made. */
  #isUnderWay(): boolean {
    return this.#underWay > 0 || this.#mayRetry() || isAboutToBegin()
  }

  /** Calls back once nothing is: in the next turn at the earliest, since an SDK that is warm makes its requests after some promises. */
  whenDone(done: () => void): void {
    const look = (): void => {
      if (this.#isUnderWay()) setTimeout(look, 1)
      else done()
    }
    setImmediate(look)
  }

  #mayRetry(): boolean {
    const now = performance.now()
    for (const { underWay, failure } of this.#logical.values())
      if (underWay === 0 && failure && failure.retryUntil > now) return true
    return false
  }

  #began(request: ClientRequest): void {
    const isOfVersion2 = String(request.getHeader('user-agent') ?? '').startsWith('aws-sdk-nodejs/2.')
    if ((isOfVersion2 && this.isVersion2Told) || !this.#isOfSdk(request)) return
    const logical = this.#logicalOf(request)
    logical.underWay++
    logical.failure = undefined
    this.#underWay++
    const operation = String(request.getHeader('x-amz-target') ?? `${request.method} ${request.path}`)
    const mayFollow = attemptsLeft(request)
    const fail = (text: string, isRetryable: boolean): void => {
      const retryUntil = isRetryable && mayFollow ? performance.now() + retryMs : 0
      logical.failure = { text: `${operation.slice(operation.indexOf('.') + 1)}: ${text}`, retryUntil }
    }
    request.on(errorMonitor, (error: Error) => fail(error.message, true))
    request.once('close', () => {
      logical.underWay--
      this.#underWay--
    })
    this.#responses.set(request, (response) => {
      const status = response.statusCode ?? 0
      if (status >= 400)
        readError(response, (error) => takeError(status, error, fail, () => (logical.failure = undefined)))
    })
  }

  #isOfSdk(request: ClientRequest): boolean {
    return (
      request.getHeader('host') === this.#host ||
      String(request.getHeader('authorization') ?? '').startsWith('AWS4-HMAC-SHA256')
    )
  }

  /** Attempts of version 3 have a name in common; others stand for themselves. */
  #logicalOf(request: ClientRequest): Logical {
    const name = String(request.getHeader('amz-sdk-invocation-id') ?? `#${++this.#number}`)
    const known = this.#logical.get(name)
    if (known) return known
    const made: Logical = { underWay: 0, failure: undefined }
    this.#logical.set(name, made)
    return made
  }
}

/** `amz-sdk-request: attempt=1; max=3`; without it nobody knows, and nothing is waited for. */
function attemptsLeft(request: ClientRequest): boolean {
  const [, attempt, max] = /attempt=(\d+); *max=(\d+)/.exec(String(request.getHeader('amz-sdk-request') ?? '')) ?? []
  return attempt !== undefined && Number(attempt) < Number(max)
}

interface SeenError {
  readonly name: string
  readonly message: string
  /** Why each part of a transaction was refused. */
  readonly reasons: readonly string[]
}

function takeError(
  status: number,
  error: SeenError,
  fail: (text: string, isRetryable: boolean) => void,
  forgive: () => void,
): void {
  const { name, message, reasons } = error
  const isCondition =
    name === conditionFailed ||
    (name === 'TransactionCanceledException' &&
      reasons.every((code) => code === 'None' || code === 'ConditionalCheckFailed'))
  if (isCondition) return forgive()
  const isRetryable =
    status >= 500 || status === 429 || /Throttl|ThroughputExceeded|LimitExceeded|InProgress|Timeout/.test(name)
  fail(`${name === '' ? status : name}${message === '' ? '' : `: ${message}`}`, isRetryable)
}

/** Reads along what the body of an error says, when its reader gets it. */
function readError(response: IncomingMessage, done: (error: SeenError) => void): void {
  const parts: Buffer[] = []
  let bytes = 0
  const push = response.push.bind(response)
  response.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (Buffer.isBuffer(chunk) && bytes < errorBytesMax) {
      parts.push(Buffer.from(chunk))
      bytes += chunk.length
    } else if (chunk === null) done(errorIn(Buffer.concat(parts), response))
    return push(chunk, encoding)
  }
}

function errorIn(body: Buffer, { headers }: IncomingMessage): SeenError {
  const named = String(headers['x-amzn-errortype'] ?? '').split(':')[0] as string
  try {
    const { __type, message, Message, CancellationReasons } = JSON.parse(body.toString()) as Record<string, unknown>
    const type = String(__type ?? named)
    const reasons = Array.isArray(CancellationReasons) ? CancellationReasons : []
    return {
      name: type.slice(type.indexOf('#') + 1),
      message: String(message ?? Message ?? '').slice(0, 200),
      reasons: reasons.map((reason) => String((reason as { Code?: unknown } | null)?.Code)),
    }
  } catch {
    return { name: named, message: '', reasons: [] }
  }
}

/** What an SDK does before its first request: it reads its configuration, looks up a name, connects. */
const beginnings = /^(FSReq|FileHandleReq|GetAddrInfoReq|TCPConnect)/

const isAboutToBegin = (): boolean => process.getActiveResourcesInfo().some((name) => beginnings.test(name))
