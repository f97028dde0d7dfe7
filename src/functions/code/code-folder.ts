import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { diskError } from '../disk-error.js'
import { unpackCode } from './archive.js'

/** What Lambda's own runtime brings along. */
const runtimeModules = ['aws-sdk', '@aws-sdk', '@smithy'] as const

/** Code that can be loaded, until it is released. */
export interface PlacedCode {
  /** The folder that holds it. */
  readonly root: string
  /** Its user loads no more of it. */
  release(): void
}

interface Place {
  readonly root: Promise<string>
  /** Removed as a whole. */
  readonly folder: string
  uses: number
}

/**
 * Code where threads load it from. Node looks for a package in the folders `node_modules` of all folders above a module; so
 * the code lies at the end of a chain of folders, each with a link to one place of modules: its own first (which are part of
 * the code), then those beside and above its origin, those of `functionHost.modulePaths`, and the AWS SDK of this
 * installation. The folder is a copy of what the store has and is made anew in each life of the daemon.
 */
export class CodeFolder {
  readonly #folder: string
  readonly #modulePaths: readonly string[]
  readonly #places = new Map<string, Place>()
  readonly #removing = new Set<Promise<void>>()
  #number = 0

  constructor(folder: string, modulePaths: readonly string[]) {
    this.#folder = folder
    this.#modulePaths = modulePaths.map((path) => resolve(path))
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
  }

  /**
   * The same code of the same origin is placed once, and removed when the last of its users has released it. Throws
   * STORAGE_FULL, IO_FAILED, and what `read` throws.
   */
  async place(hash: string, origin: string, read: () => Promise<Buffer>): Promise<PlacedCode> {
    const name = `${hash} ${origin}`
    const place = this.#places.get(name) ?? this.#begin(name, origin, read)
    place.uses++
    let isReleased = false
    const release = (): void => {
      if (isReleased) return
      isReleased = true
      if (--place.uses === 0) this.#remove(name, place)
    }
    try {
      return { root: await place.root, release }
    } catch (error) {
      release()
      throw error
    }
  }

  #begin(name: string, origin: string, read: () => Promise<Buffer>): Place {
    const folder = join(this.#folder, String(++this.#number))
    const place = { root: this.#filled(folder, origin, read), folder, uses: 0 }
    this.#places.set(name, place)
    return place
  }

  #remove(name: string, place: Place): void {
    this.#places.delete(name)
    const removing = rm(place.folder, { recursive: true, force: true })
      // What cannot be removed now goes with the whole folder.
      .catch(() => {})
      .finally(() => this.#removing.delete(removing))
    this.#removing.add(removing)
  }

  async #filled(folder: string, origin: string, read: () => Promise<Buffer>): Promise<string> {
    const archive = await read()
    try {
      return await this.#fill(folder, origin, archive)
    } catch (error) {
      throw diskError(folder, error)
    }
  }

  async #fill(folder: string, origin: string, archive: Buffer): Promise<string> {
    let at = folder
    linkRuntime(at)
    for (const modules of [...placesOfModules(dirname(origin)), ...this.#modulePaths].reverse()) {
      at = join(at, 'm')
      link(modules, join(at, 'node_modules'))
    }
    const task = join(at, 'task')
    await mkdir(task, { recursive: true })
    const folders = new Set([''])
    for (const { path, content } of unpackCode(archive)) {
      const file = join(task, path)
      const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')))
      if (!folders.has(folder)) await mkdir(dirname(file), { recursive: true })
      addAll(folders, folder)
      await writeFile(file, content)
    }
    linkInside(task, origin, folders)
    return task
  }

  /** Threads have ended, or load what is missing no more. */
  async close(): Promise<void> {
    await Promise.all(this.#removing)
    await rm(this.#folder, { recursive: true, force: true })
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
