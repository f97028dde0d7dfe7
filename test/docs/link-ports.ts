import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { basename, join } from 'node:path'

/** The ports at which the daemons of a page listen for each other, 8400 to 8499 there, are such as are free here. */
export class LinkPorts {
  readonly #folder: string
  readonly #ports = new Map<string, number>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** A copy of a configuration with the ports of here; gives its path. */
  async configuration(file: string): Promise<string> {
    const text = readFileSync(file, 'utf8')
    for (const [port] of text.matchAll(/\b84\d\d\b/g))
      if (!this.#ports.has(port)) this.#ports.set(port, await freePort())
    const copy = join(this.#folder, basename(file))
    writeFileSync(
      copy,
      text.replace(/\b84\d\d\b/g, (port) => String(this.#ports.get(port))),
    )
    return copy
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
