import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { unpackCode } from './archive.js'

/** What Lambda's own runtime brings along. */
const runtimeModules = ['aws-sdk', '@aws-sdk', '@smithy'] as const

/**
 * Code where threads load it from. Node looks for a package in the folders `node_modules` of all folders above a module; so
 * the code lies at the end of a chain of folders, each with a link to one place of modules: its own first (which are part of
 * the code), then those beside and above its origin, those of `functionHost.modulePaths`, and the AWS SDK of this
 * installation. The folder is a copy of what the store has and is made anew in each life of the daemon.
 */
export class CodeFolder {
  readonly #folder: string
  readonly #modulePaths: readonly string[]
  readonly #placed = new Map<string, Promise<string>>()
  #number = 0

  constructor(folder: string, modulePaths: readonly string[]) {
    this.#folder = folder
    this.#modulePaths = modulePaths.map((path) => resolve(path))
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
  }

  /** The folder that holds the code; the same code of the same origin is placed once. */
  place(hash: string, origin: string, read: () => Promise<Buffer>): Promise<string> {
    const name = `${hash} ${origin}`
    const known = this.#placed.get(name)
    if (known) return known
    const placing = this.#place(origin, read)
    this.#placed.set(name, placing)
    placing.catch(() => this.#placed.delete(name))
    return placing
  }

  async #place(origin: string, read: () => Promise<Buffer>): Promise<string> {
    let at = join(this.#folder, String(++this.#number))
    linkRuntime(at)
    for (const modules of [...placesOfModules(dirname(origin)), ...this.#modulePaths].reverse()) {
      at = join(at, 'm')
      link(modules, join(at, 'node_modules'))
    }
    const task = join(at, 'task')
    await mkdir(task, { recursive: true })
    const folders = new Set([''])
    for (const { path, content } of unpackCode(await read())) {
      const file = join(task, path)
      const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')))
      if (!folders.has(folder)) await mkdir(dirname(file), { recursive: true })
      addAll(folders, folder)
      await writeFile(file, content)
    }
    linkInside(task, origin, folders)
    return task
  }

  /** Every place of code but these; threads that run it have loaded it, or load what is missing no more. */
  close(): void {
    this.#placed.clear()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function addAll(folders: Set<string>, folder: string): void {
  for (let at = folder; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) folders.add(at)
}

/** Folders of modules beside the files of the code that are no part of it, because single files were taken. */
function linkInside(task: string, origin: string, folders: ReadonlySet<string>): void {
  for (const folder of folders) {
    if (folder.split('/').includes('node_modules')) continue
    const modules = join(origin, folder, 'node_modules')
    const inCode = join(task, folder, 'node_modules')
    if (existsSync(modules) && !existsSync(inCode)) link(modules, inCode)
  }
}

/** The folders `node_modules` that Node would look into from a folder, nearest first. */
function placesOfModules(folder: string): string[] {
  const places: string[] = []
  for (let at = folder; ; at = dirname(at)) {
    const modules = join(at, 'node_modules')
    if (existsSync(modules)) places.push(modules)
    if (at === dirname(at)) return places
  }
}

/** Of this installation the AWS SDK alone: nothing else of it is anybody's business. */
function linkRuntime(folder: string): void {
  const places = createRequire(import.meta.url).resolve.paths('aws-sdk') ?? []
  for (const name of runtimeModules) {
    const place = places.find((each) => existsSync(join(each, name)))
    if (place !== undefined) link(join(place, name), join(folder, 'node_modules', name))
  }
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(target, path, 'junction')
}
