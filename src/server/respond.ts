import type { ServerResponse } from 'node:http'
import { killPoint } from '../runtime/index.js'

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = `${JSON.stringify(value)}\n`
  // An array spares Node a map of the headers.
  response.writeHead(status, ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))])
  killPoint('server:answering')
  // A text goes out in one write with the head; bytes take a second one.
  response.end(body)
}

export function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  sendBytes(response, status, type, Buffer.from(text))
}

export function sendBytes(response: ServerResponse, status: number, type: string, body: Buffer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': body.length })
  killPoint('server:answering')
  response.end(body)
}
