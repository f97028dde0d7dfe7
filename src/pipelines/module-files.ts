import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

/** Bundles where workers load them from, each named by its hash. The store has them too: what is lost here is made again. */
export class ModuleFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Puts a bundle there and gives its path. */
  put(hash: string, text: string): string {
    const path = this.#path(hash)
    if (existsSync(path) && readFileSync(path, 'utf8') === text) return path
    const temporary = `${path}.${process.pid}`
    const file = openSync(temporary, 'w')
    try {
      writeFileSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
    return path
  }

  drop(hash: string): void {
    rmSync(this.#path(hash), { force: true })
  }

  /** Removes what no pipeline has, such as what a kill left behind in the middle of a deploy. */
  keepOnly(hashes: readonly string[]): void {
    const kept = new Set(hashes.map((hash) => `${hash}.mjs`))
    for (const name of readdirSync(this.#folder)) if (!kept.has(name)) rmSync(join(this.#folder, name), { force: true })
  }

  #path(hash: string): string {
    return join(this.#folder, `${hash}.mjs`)
  }
}
