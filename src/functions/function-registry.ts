import { resolve } from 'node:path'
import type { CommitPath } from '../commit/index.js'
import type { FunctionSettings } from '../config/index.js'
import { type Clock, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { codeHash, packCode } from './code/archive.js'
import { CodeStore } from './code/code-store.js'
import type { CollectedCode } from './code/types.js'
import { type FunctionDefinition, wholeHandler } from './definition.js'
import { decodeFunction, functionGone, functionRow, functionRows } from './rows.js'

export interface FunctionRegistryOptions {
  readonly commit: CommitPath
  readonly clock: Clock
  readonly functionsMax: number
  /** It was changed, or is gone. Resolves when nobody reads its former code from the store any more. */
  readonly onChange: (name: string, isGone: boolean) => Promise<void>
}

/** How code and settings of a function came to be. */
export interface FunctionOrigin {
  /** Undefined: the code was sent. */
  readonly path: string | undefined
  readonly isConfigured?: boolean
}

/** What functions there are, and their code: in the store, and the definitions in memory too. */
export class FunctionRegistry {
  readonly #options: FunctionRegistryOptions
  readonly #code: CodeStore
  readonly #definitions = new Map<string, FunctionDefinition>()
  /** Names that are being made, changed or deleted. */
  readonly #busy = new Set<string>()
  /** Of these, code that is on its way into the store: its hash, by the name of the function. */
  readonly #putting = new Map<string, string>()

  private constructor(options: FunctionRegistryOptions) {
    this.#options = options
    this.#code = new CodeStore(options.commit)
  }

  /** Throws DATA_DIR_NEWER. */
  static async open(storage: Storage, options: FunctionRegistryOptions): Promise<FunctionRegistry> {
    const registry = new FunctionRegistry(options)
    for await (const { values } of storage.scan({ ...functionRows, bytesMax: 1 << 20 })) {
      for (const value of values) {
        const definition = decodeFunction(value)
        registry.#definitions.set(definition.name, definition)
      }
    }
    return registry
  }

  /** Removes code that no function has, such as what a kill left behind in the middle of a deploy. */
  dropUnused(storage: Storage): Promise<void> {
    return this.#code.keepOnly(storage, new Set(this.all().map((definition) => definition.codeHash)))
  }

  get size(): number {
    return this.#definitions.size
  }

  all(): readonly FunctionDefinition[] {
    return [...this.#definitions.values()]
  }

  find(name: string): FunctionDefinition | undefined {
    return this.#definitions.get(name)
  }

  /** Throws FUNCTION_NOT_FOUND. */
  get(name: string): FunctionDefinition {
    const definition = this.#definitions.get(name)
    if (!definition) throw new MillraceError('FUNCTION_NOT_FOUND', `There is no function named ${name}.`)
    return definition
  }

  /** The code of a definition as it lies in the store. Throws STORE_CORRUPT. */
  codeOf({ codeHash: hash, codeBytes }: FunctionDefinition): Promise<Buffer> {
    return this.#code.get(hash, codeBytes)
  }

  /** Throws TOO_BUSY where one more would be too many. */
  checkCount(): void {
    const { functionsMax } = this.#options
    if (this.#definitions.size >= functionsMax)
      throw new MillraceError('TOO_BUSY', `There are ${functionsMax} functions already (functionHost.functionsMax).`)
  }

  /** Nothing else is done with this name meanwhile. Throws CONFLICT when something is. */
  async exclusively<T>(name: string, run: () => Promise<T>): Promise<T> {
    if (this.#busy.has(name)) throw new MillraceError('CONFLICT', `The function ${name} is being changed.`)
    this.#busy.add(name)
    try {
      return await run()
    } finally {
      this.#busy.delete(name)
    }
  }

  /** Makes a function, or takes new code and settings for one. Throws FUNCTION_INVALID, and what a commit does. */
  async put(
    name: string,
    settings: FunctionSettings,
    { files, entry, origin }: CollectedCode,
    { path, isConfigured = false }: FunctionOrigin,
  ): Promise<FunctionDefinition> {
    const before = this.#definitions.get(name)
    const handler = wholeHandler(settings.handler, entry)
    const archive = packCode(files)
    const hash = codeHash(archive)
    const now = this.#options.clock.now()
    this.#putting.set(name, hash)
    try {
      if (before?.codeHash !== hash) await this.#code.put(hash, archive)
      return await this.save({
        name,
        settings,
        codeHash: hash,
        codeBytes: archive.length,
        handler,
        origin,
        ...(entry === undefined ? {} : { entry }),
        ...(path === undefined ? {} : { path: resolve(path) }),
        ...(isConfigured ? { isConfigured } : {}),
        createdAt: before?.createdAt ?? now,
        modifiedAt: now,
        revision: 0,
      })
    } finally {
      this.#putting.delete(name)
    }
  }

  /** Writes a definition, unless it is what is there; its revision and its time follow from what was. */
  async save(given: FunctionDefinition): Promise<FunctionDefinition> {
    const { commit, clock, onChange } = this.#options
    const before = this.#definitions.get(given.name)
    const { modifiedAt, revision, ...content } = given
    const known = before && JSON.stringify({ ...before, modifiedAt: undefined, revision: undefined })
    if (before && known === JSON.stringify({ ...before, ...content, modifiedAt: undefined, revision: undefined }))
      return before
    const definition = { ...content, modifiedAt: clock.now(), revision: (before?.revision ?? 0) + 1 }
    await commit.submit({ rows: [functionRow(definition)] })
    this.#definitions.set(definition.name, definition)
    await onChange(definition.name, false)
    if (before && before.codeHash !== definition.codeHash) await this.#dropCode(before)
    return definition
  }

  /** The function is gone, and its code where no other one has it. Throws FUNCTION_NOT_FOUND. */
  async remove(name: string): Promise<void> {
    const definition = this.get(name)
    // Also on a full disk: it gives room back.
    await this.#options.commit.submit({ rows: [functionGone(name)], essential: true })
    this.#definitions.delete(name)
    await this.#options.onChange(name, true)
    await this.#dropCode(definition)
  }

  /** Unless another function has the same, or is about to. */
  async #dropCode({ codeHash: hash, codeBytes }: FunctionDefinition): Promise<void> {
    const isHad = this.all().some((each) => each.codeHash === hash)
    if (!isHad && ![...this.#putting.values()].includes(hash)) await this.#code.drop(hash, codeBytes)
  }
}
