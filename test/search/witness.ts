import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Stands between the daemon and a search server, passes everything on, and remembers what the server has acknowledged. */
export class Witness {
  /** The highest version of each document that the server said it has taken, deletions too. */
  readonly acknowledged = new Map<string, number>()
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(target: string): Promise<Witness> {
    const server = createServer((asked, answered) => {
      const parts: Buffer[] = []
      asked.on('data', (part: Buffer) => parts.push(part))
      asked.on('end', () => {
        const body = Buffer.concat(parts)
        const { method, url, headers } = asked
        const passed = request(`${target}${url}`, { method, headers }, (response) => {
          const received: Buffer[] = []
          response.on('data', (part: Buffer) => received.push(part))
          response.on('error', () => asked.socket.destroy())
          response.on('end', () => {
            const text = Buffer.concat(received)
            if (url?.startsWith('/_bulk') && response.statusCode === 200) witness.#heard(`${body}`, `${text}`)
            answered.writeHead(response.statusCode ?? 500, response.headers)
            answered.end(text)
          })
        })
        passed.on('error', () => asked.socket.destroy())
        passed.end(body)
      })
    })
    const witness = new Witness(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return witness
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  #heard(body: string, text: string): void {
    const asked = body
      .split('\n')
      .filter((line) => line.includes('"version_type"'))
      .map((line) => Object.values(JSON.parse(line) as Record<string, { _id: string; version: number }>)[0]!)
    const { items } = JSON.parse(text) as { items: Record<string, { status: number; error?: object }>[] }
    items.forEach((item, i) => {
      const { status, error } = Object.values(item)[0]!
      const { _id, version } = asked[i]!
      if (!error && (status < 300 || status === 404))
        this.acknowledged.set(_id, Math.max(version, this.acknowledged.get(_id) ?? 0))
    })
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
