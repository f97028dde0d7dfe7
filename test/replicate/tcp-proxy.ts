import { connect, createServer, type Server, type Socket } from 'node:net'

/** Stands before one listener: passes bytes on, holds them back, or cuts what is open. */
export class TcpProxy {
  /** Port on loopback to pass on to; undefined: nobody is there. */
  target: number | undefined
  /** How long bytes are held back in each direction. */
  delayMs = 0
  isCut = false
  readonly #server: Server
  readonly #open = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (client) => this.#connected(client))
  }

  static async start(): Promise<TcpProxy> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new TcpProxy(server)
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  #connected(client: Socket): void {
    if (this.isCut || this.target === undefined) {
      client.destroy()
      return
    }
    const target = connect({ port: this.target, host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      this.#open.add(from)
      from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), this.delayMs))
      from.on('error', () => {})
      from.on('close', () => {
        this.#open.delete(from)
        to.destroy()
      })
    }
  }

  /** Cuts every connection that there is. */
  cutAll(): void {
    for (const socket of this.#open) socket.destroy()
  }

  async close(): Promise<void> {
    this.cutAll()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}
