import type { ServerResponse } from 'node:http'
import { killPoint } from '../runtime/index.js'

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  sendBytes(response, status, 'application/json', Buffer.from(`${JSON.stringify(value)}\n`))
}

export function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  sendBytes(response, status, type, Buffer.from(text))
}

export function sendBytes(response: ServerResponse, status: number, type: string, body: Buffer): void {
  response.writeHead(status, { 'content-type': type, 'content-length': body.length })
  killPoint('server:answering')
  response.end(body)
}
