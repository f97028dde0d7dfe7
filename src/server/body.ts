import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { MillraceError } from '../runtime/index.js'

export interface BodyLimits {
  /** Of one body, unpacked. */
  readonly bodyBytesMax: number
  /** Of all bodies that were read and not released yet. */
  readonly bodiesBytesMax: number
}

/** Reads the bodies of requests. What they hold together is bounded, or many slow uploads would fill the memory. */
export class Bodies {
  readonly #limits: BodyLimits
  #held = 0

  constructor(limits: BodyLimits) {
    this.#limits = limits
  }

  get heldBytes(): number {
    return this.#held
  }

  /** Whether a request says itself that its body is too large. */
  isTooLarge({ headers }: IncomingMessage): boolean {
    return Number(headers['content-length'] ?? 0) > this.#limits.bodyBytesMax
  }

  /**
   * Reads a whole body, unpacked. Its bytes count until `release` is called with it. Throws TOO_LARGE, TOO_BUSY, or
   * BAD_REQUEST when it is packed in an unknown way or ends early; what is still to come is then read and dropped.
   */
  read(request: IncomingMessage): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const { bodyBytesMax, bodiesBytesMax } = this.#limits
      const parts: Buffer[] = []
      let bytes = 0
      let isOver = false
      const source = sourceOf(request)
      const fail = (error: MillraceError) => {
        if (isOver) return
        isOver = true
        this.#held -= bytes
        parts.length = 0
        if (source instanceof Error || source === request) request.resume()
        else {
          request.unpipe()
          source.destroy()
          request.resume()
        }
        reject(error)
      }
      if (source instanceof Error) return fail(source)
      if (this.isTooLarge(request)) return fail(tooLarge(bodyBytesMax))
      source.on('data', (part: Buffer) => {
        if (isOver) return
        bytes += part.length
        this.#held += part.length
        parts.push(part)
        if (bytes > bodyBytesMax) fail(tooLarge(bodyBytesMax))
        else if (this.#held > bodiesBytesMax && this.#held > bytes) fail(tooMany(bodiesBytesMax))
      })
      source.on('end', () => {
        if (isOver) return
        isOver = true
        resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts))
      })
      const broken = (error: Error) => fail(unreadable(error))
      source.on('error', broken)
      if (source !== request) request.on('error', broken)
    })
  }

  release(body: Buffer): void {
    this.#held -= body.length
  }
}

function sourceOf(request: IncomingMessage): Readable | MillraceError {
  const encoding = request.headers['content-encoding']
  if (encoding === undefined || encoding === 'identity') return request
  if (encoding === 'gzip') return request.pipe(createGunzip())
  return new MillraceError('BAD_REQUEST', `The content encoding ${encoding} is not known.`, {
    remedy: 'Send the body as it is, or packed with gzip.',
  })
}

const tooLarge = (bodyBytesMax: number): MillraceError =>
  new MillraceError('TOO_LARGE', `The body is larger than http.bodyBytesMax (${bodyBytesMax}).`, {
    details: { bodyBytesMax },
  })

const tooMany = (bodiesBytesMax: number): MillraceError =>
  new MillraceError('TOO_BUSY', `The bodies of all requests are above http.bodiesBytesMax (${bodiesBytesMax}).`, {
    details: { bodiesBytesMax },
  })

const unreadable = (error: Error): MillraceError =>
  new MillraceError('BAD_REQUEST', `The body cannot be read: ${error.message}.`, { cause: error })
