import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What becomes of a request: it arrives and is answered, it never arrives, or it arrives and its answer is lost. */
export type Fate = 'answered' | 'lost' | 'answerLost'

/** Stands between a client and a daemon, and asks for each request what shall become of it. */
export class CuttingProxy {
  readonly #server: Server
  fate: () => Fate = () => 'answered'

  private constructor(target: string) {
    this.#server = createServer((incoming, answer) => {
      const fate = this.fate()
      if (fate === 'lost') {
        incoming.socket.destroy()
        return
      }
      const { method, url, headers } = incoming
      const forwarded = request(new URL(url ?? '/', target), { method, headers }, (received) => {
        if (fate === 'answerLost') {
          received.resume().once('end', () => answer.socket?.destroy())
          return
        }
        answer.writeHead(received.statusCode ?? 500, received.headers)
        received.pipe(answer)
      })
      forwarded.once('error', () => answer.socket?.destroy())
      incoming.pipe(forwarded)
    })
  }

  static async start(target: string): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target)
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
