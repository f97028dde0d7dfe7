import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** What becomes of the next piece of an answer. */
export type Fate = 'pass' | 'cut'

/**
 * Stands between a client and a daemon, under one address while daemons come and go, and cuts connections: a request that
 * was answered by the daemon may get no answer here.
 */
export class CuttingProxy {
  /** Port of the daemon; undefined while there is none. */
  target: number | undefined
  /** Asked when a piece of an answer comes, with the first line of the request. May wait. */
  onAnswer: (request: string) => Fate | Promise<Fate> = () => 'pass'
  /** Asked when a request begins: what is cut never reaches the daemon. */
  onRequest: (request: string) => Fate = () => 'pass'
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  cuts = 0

  constructor() {
    this.#server = createServer((client) => this.#join(client))
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  #join(client: Socket): void {
    this.#sockets.add(client)
    client.on('close', () => this.#sockets.delete(client))
    client.on('error', () => {})
    if (this.target === undefined) return void client.destroy()
    const daemon = connect(this.target, '127.0.0.1')
    let request = ''
    const end = () => {
      client.destroy()
      daemon.destroy()
    }
    client.on('data', (data) => {
      const line = /^(GET|POST|DELETE) \S+/.exec(data.toString('latin1', 0, 300))
      if (line) {
        request = line[0]
        if (this.onRequest(request) === 'cut') return end()
      }
      daemon.write(data)
    })
    daemon.on('data', (data) => {
      daemon.pause()
      void Promise.resolve(this.onAnswer(request)).then((fate) => {
        if (fate === 'cut') {
          this.cuts++
          end()
        } else {
          client.write(data)
          daemon.resume()
        }
      })
    })
    for (const socket of [client, daemon]) {
      socket.on('error', end)
      socket.on('close', end)
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}
