import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { freePorts } from '../free-ports.mjs'

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
      if (!this.#ports.has(port)) this.#ports.set(port, (await freePorts(1))[0]!)
    const copy = join(this.#folder, basename(file))
    writeFileSync(
      copy,
      text.replace(/\b84\d\d\b/g, (port) => String(this.#ports.get(port))),
    )
    return copy
  }
}
