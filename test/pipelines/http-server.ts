import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface HttpRequest {
  readonly key: string
  readonly contentType: string
  readonly body: string
}

/** What the server does with a request; it is recorded as accepted when this gives 2xx. */
export type Answer =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly text?: string }
  | 'hang'
  | 'cut'
  /** Takes the request, and cuts the connection before it answers. */
  | 'takeAndCut'

/** A server for tests of sinks, which misbehaves as it is told. */
export class HttpServer {
  readonly accepted: HttpRequest[] = []
  readonly all: HttpRequest[] = []
  answer: (request: HttpRequest) => Answer = () => ({ status: 204 })
  readonly #server: Server
  readonly #hanging = new Set<ServerResponse>()

  private constructor() {
    this.#server = createServer((request, response) => void this.#take(request, response))
  }

  static async start(): Promise<HttpServer> {
    const server = new HttpServer()
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve))
    return server
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    try {
      for await (const part of request) body += String(part)
    } catch {
      return
    }
    const key = String(request.headers['idempotency-key'])
    const taken = { key, contentType: String(request.headers['content-type']), body }
    this.all.push(taken)
    const answer = this.answer(taken)
    if (answer === 'takeAndCut') this.accepted.push(taken)
    if (answer === 'cut' || answer === 'takeAndCut') return void request.socket.destroy()
    if (answer === 'hang') return void this.#hanging.add(response)
    if (answer.status < 300) this.accepted.push(taken)
    response.writeHead(answer.status, answer.headers)
    response.end(answer.text)
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
