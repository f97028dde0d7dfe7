import type { IncomingMessage, ServerResponse } from 'node:http'
import { createGunzip } from 'node:zlib'
import { MillraceError } from '../runtime/index.js'

/** Reads a whole body, unpacked, within a bound. Throws TOO_LARGE or BAD_REQUEST. */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const announced = Number(request.headers['content-length'] ?? 0)
    if (announced > bytesMax) {
      request.resume()
      reject(tooLarge(bytesMax))
      return
    }
    const encoding = request.headers['content-encoding']
    let source: NodeJS.ReadableStream = request
    if (encoding === 'gzip') source = request.pipe(createGunzip())
    else if (encoding !== undefined && encoding !== 'identity') {
      request.resume()
      reject(new MillraceError('BAD_REQUEST', `The content encoding ${encoding} is not known; gzip is.`))
      return
    }
    const parts: Buffer[] = []
    let bytes = 0
    source.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes <= bytesMax) parts.push(part)
      else {
        // What a small packed body unpacks to is bounded too.
        if (source !== request) (source as NodeJS.ReadableStream & { destroy(): void }).destroy()
        request.resume()
        reject(tooLarge(bytesMax))
      }
    })
    source.on('end', () => resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)))
    source.on('error', (error) =>
      reject(new MillraceError('BAD_REQUEST', `The body cannot be read: ${error.message}.`, { cause: error })),
    )
    if (source !== request) request.on('error', (error) => reject(error))
    request.on('aborted', () => reject(new MillraceError('BAD_REQUEST', 'The request ended before its body.')))
  })
}

const tooLarge = (bytesMax: number): MillraceError =>
  new MillraceError('TOO_LARGE', `The body is larger than http.bodyBytesMax (${bytesMax}).`, { details: { bytesMax } })

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendBytes(response, status, 'application/json', Buffer.from(`${JSON.stringify(value)}\n`))
}

export function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  sendBytes(response, status, type, Buffer.from(text))
}

export function sendBytes(response: ServerResponse, status: number, type: string, body: Buffer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': body.length })
  response.end(body)
}
