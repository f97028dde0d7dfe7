import { resolve } from 'node:path'
import type { CommitPath } from '../commit/index.js'
import type { Config, FunctionSettings } from '../config/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import { codeHash, packCode } from './code/archive.js'
import type { CodeFolder } from './code/code-folder.js'
import { CodeStore } from './code/code-store.js'
import { collectCode } from './code/collect.js'
import type { CollectedCode } from './code/types.js'
import { checkFunctionName, checkFunctionSettings, type FunctionDefinition, wholeHandler } from './definition.js'
import type { CallObserver, FunctionCounts } from './host/function-counts.js'
import type { FunctionHost } from './host/function-host.js'
import type { HostedFunction } from './host/hosted-function.js'
import type { FunctionLogs } from './logs/function-logs.js'
import { codeOf, type FunctionRequest, settingsOf } from './requests.js'
import { decodeFunction, functionGone, functionRow, functionRows } from './rows.js'
import type { FunctionAnswer, FunctionCall, FunctionInvoker } from './types.js'
import { WaitingCalls } from './waiting/waiting-calls.js'

export interface FunctionsOptions {
  readonly storage: Storage
  readonly commit: CommitPath
  readonly host: FunctionHost
  readonly code: CodeFolder
  readonly logs: FunctionLogs
  readonly clock: Clock
  readonly logger: Logger
  readonly region: string
  readonly accountId: string
  /** Those of the configuration. */
  readonly configured: Config['functions']
  readonly limits: Pick<
    Config['functionHost'],
    'functionsMax' | 'codeBytesMax' | 'codeFilesMax' | 'waitingCallsMax' | 'waitingBytesMax'
  >
}

/** What is shown of a function. */
export interface FunctionView {
  readonly name: string
  readonly arn: string
  readonly handler: string
  readonly path: string | undefined
  readonly isConfigured: boolean
  readonly settings: FunctionSettings
  readonly code: { readonly hash: string; readonly bytes: number }
  readonly createdAt: number
  readonly modifiedAt: number
  readonly revision: number
  readonly counts: FunctionCounts
  /** Calls that nobody waits for, and whose end has not come. */
  readonly waitingCalls: number
}

/** All functions of the daemon: remembered in the store, called by clients and mappings. */
export class Functions implements FunctionInvoker {
  readonly #options: FunctionsOptions
  readonly #store: CodeStore
  readonly #waiting: WaitingCalls
  readonly #definitions = new Map<string, FunctionDefinition>()
  /** Names that are being made, changed or deleted. */
  readonly #busy = new Set<string>()
  /** Of these, code that is on its way into the store: its hash, by the name of the function. */
  readonly #putting = new Map<string, string>()
  #isClosed = false

  private constructor(options: FunctionsOptions) {
    this.#options = options
    this.#store = new CodeStore(options.commit)
    const countsOf = (name: string): FunctionCounts => options.host.countsOf(name)
    this.#waiting = new WaitingCalls({ ...options, invoker: this, countsOf })
  }

  /** Reads what is stored, then the functions of the configuration. One whose code cannot be read goes on as it was, or is not there. */
  static async open(options: FunctionsOptions): Promise<Functions> {
    const functions = new Functions(options)
    for await (const { values } of options.storage.scan({ ...functionRows, bytesMax: 1 << 20 })) {
      for (const value of values) {
        const definition = decodeFunction(value)
        functions.#definitions.set(definition.name, definition)
      }
    }
    await functions.#readConfigured()
    await functions.#store.keepOnly(
      options.storage,
      new Set([...functions.#definitions.values()].map((definition) => definition.codeHash)),
    )
    await functions.#waiting.load()
    return functions
  }

  /** Calls that wait begin. */
  start(): void {
    this.#waiting.start()
  }

  get count(): number {
    return this.#definitions.size
  }

  /** Of all functions, those that are loading among them. */
  get threads(): number {
    return this.#options.host.threads
  }

  /** Calls back after each call with the seconds that its handler took. */
  observe(observer: CallObserver): void {
    this.#options.host.observe(observer)
  }

  list(): readonly FunctionView[] {
    return [...this.#definitions.values()].map((definition) => this.#view(definition)).sort(byName)
  }

  /** Throws FUNCTION_NOT_FOUND. */
  show(name: string): FunctionView {
    return this.#view(this.#definition(name))
  }

  has(name: string): boolean {
    return this.#definitions.has(name)
  }

  arnOf(name: string): string {
    const { region, accountId } = this.#options
    return `arn:aws:lambda:${region}:${accountId}:function:${name}`
  }

  /** Throws FUNCTION_INVALID, ALREADY_EXISTS, TOO_BUSY, TOO_LARGE. */
  async create(name: string, request: FunctionRequest): Promise<FunctionView> {
    const { limits } = this.#options
    checkFunctionName(name)
    return this.#exclusively(name, async () => {
      if (this.#definitions.has(name)) throw new MillraceError('ALREADY_EXISTS', `A function named ${name} exists.`)
      this.#checkCount()
      const settings = checkFunctionSettings(settingsOf(request))
      const code = await codeOf(request, limits)
      if (!code) throw new MillraceError('FUNCTION_INVALID', 'A function has a path, or files.')
      return this.#view(await this.#put(name, settings, code, pathOf(request)))
    })
  }

  /**
   * Changes the settings that are named; the code is read again from where it came from, or taken from the request. Calls
   * that are under way end as they began. Throws FUNCTION_NOT_FOUND, FUNCTION_INVALID, CONFLICT, TOO_LARGE.
   */
  async update(name: string, request: FunctionRequest): Promise<FunctionView> {
    const { limits } = this.#options
    return this.#exclusively(name, async () => {
      const before = this.#definition(name)
      const changed = settingsOf(request)
      const isInFile = Object.hasOwn(this.#options.configured, name)
      if (isInFile && Object.keys(request).length > 0)
        throw new MillraceError('CONFLICT', `The function ${name} stands in the configuration.`, {
          remedy: 'Change it there and start the daemon again; an update without settings reads its code again.',
        })
      const settings = checkFunctionSettings({ ...before.settings, ...changed })
      const code = await codeOf(request, limits)
      if (code) return this.#view(await this.#put(name, settings, code, pathOf(request)))
      if (before.path !== undefined) {
        const again = await collectCode(before.path, limits)
        return this.#view(await this.#put(name, settings, again, before.path, isInFile))
      }
      // Its code was sent: it stays.
      const handler = changed.handler === undefined ? before.handler : wholeHandler(settings.handler, before.entry)
      return this.#view(await this.#save({ ...before, settings, handler }))
    })
  }

  /** The function and its log are gone; calls that are under way end. Throws FUNCTION_NOT_FOUND, CONFLICT. */
  async delete(name: string): Promise<void> {
    await this.#exclusively(name, async () => {
      const { codeHash: hash, codeBytes } = this.#definition(name)
      if (Object.hasOwn(this.#options.configured, name))
        throw new MillraceError('CONFLICT', `The function ${name} stands in the configuration.`, {
          remedy: 'Take it out there and start the daemon again, then delete it.',
        })
      await this.#options.commit.submit({ rows: [functionGone(name)], essential: true })
      this.#definitions.delete(name)
      await this.#options.host.retire(name, true)
      await this.#waiting.remove(name)
      await this.#dropCode(hash, codeBytes)
      await this.#options.logs.remove(name)
    })
  }

  async invoke(call: FunctionCall): Promise<FunctionAnswer> {
    if (this.#isClosed) throw stopped(call.functionName)
    return this.#options.host.invoke(this.#hosted(this.#definition(call.functionName)), call)
  }

  /**
   * Takes a call that nobody waits for; durable when it resolves. It is made as soon as there is a thread, at least once, and
   * again one and three minutes after its handler has failed; then it is given up. Throws FUNCTION_NOT_FOUND, TOO_BUSY.
   */
  async invokeLater(functionName: string, payload: Uint8Array): Promise<{ readonly requestId: string }> {
    if (this.#isClosed) throw stopped(functionName)
    return this.#waiting.add(this.#definition(functionName).name, payload)
  }

  free(functionName: string): number {
    const definition = this.#definitions.get(functionName)
    return definition && !this.#isClosed ? this.#options.host.free(this.#hosted(definition)) : 0
  }

  /** No call begins any more. The host lives on: it is the daemon's. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#waiting.close()
  }

  async #readConfigured(): Promise<void> {
    const { configured, limits, logger } = this.#options
    for (const [name, { path, triggers: _, ...settings }] of Object.entries(configured)) {
      try {
        if (!this.#definitions.has(name)) this.#checkCount()
        await this.#put(name, settings, await collectCode(path, limits), path, true)
      } catch (error) {
        const { code, message } = asMillraceError(error)
        logger.error({ function: name, code }, `The function ${name} of the configuration cannot be taken: ${message}`)
      }
    }
    for (const { name, isConfigured } of this.#definitions.values())
      if (isConfigured && !Object.hasOwn(configured, name))
        logger.warn(
          { function: name },
          `The function ${name} stands in the configuration no more and goes on as it was: \`millrace functions delete ${name}\` removes it.`,
        )
  }

  #checkCount(): void {
    const { functionsMax } = this.#options.limits
    if (this.#definitions.size >= functionsMax)
      throw new MillraceError('TOO_BUSY', `There are ${functionsMax} functions already (functionHost.functionsMax).`)
  }

  async #put(
    name: string,
    settings: FunctionSettings,
    { files, entry, origin }: CollectedCode,
    path: string | undefined,
    isConfigured = false,
  ): Promise<FunctionDefinition> {
    const { clock } = this.#options
    const before = this.#definitions.get(name)
    const handler = wholeHandler(settings.handler, entry)
    const archive = packCode(files)
    const hash = codeHash(archive)
    const now = clock.now()
    this.#putting.set(name, hash)
    try {
      if (before?.codeHash !== hash) await this.#store.put(hash, archive)
      return await this.#save({
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

  /** Writes a definition, unless it is what is there. */
  async #save(given: FunctionDefinition): Promise<FunctionDefinition> {
    const before = this.#definitions.get(given.name)
    const { modifiedAt, revision, ...content } = given
    const known = before && JSON.stringify({ ...before, modifiedAt: undefined, revision: undefined })
    if (before && known === JSON.stringify({ ...before, ...content, modifiedAt: undefined, revision: undefined }))
      return before
    const definition = { ...content, modifiedAt: this.#options.clock.now(), revision: (before?.revision ?? 0) + 1 }
    await this.#options.commit.submit({ rows: [functionRow(definition)] })
    this.#definitions.set(definition.name, definition)
    await this.#options.host.retire(definition.name, false)
    if (before && before.codeHash !== definition.codeHash) await this.#dropCode(before.codeHash, before.codeBytes)
    return definition
  }

  /** Unless another function has the same, or is about to. */
  async #dropCode(hash: string, bytes: number): Promise<void> {
    const isHad = [...this.#definitions.values()].some((each) => each.codeHash === hash)
    if (!isHad && ![...this.#putting.values()].includes(hash)) await this.#store.drop(hash, bytes)
  }

  #definition(name: string): FunctionDefinition {
    const definition = this.#definitions.get(name)
    if (!definition) throw new MillraceError('FUNCTION_NOT_FOUND', `There is no function named ${name}.`)
    return definition
  }

  #hosted({
    name,
    settings,
    handler,
    revision,
    codeHash: hash,
    codeBytes,
    origin,
  }: FunctionDefinition): HostedFunction {
    return {
      name,
      arn: this.arnOf(name),
      settings,
      handler,
      revision,
      code: () => this.#options.code.place(hash, origin, () => this.#store.get(hash, codeBytes)),
    }
  }

  #view(definition: FunctionDefinition): FunctionView {
    const {
      name,
      handler,
      path,
      isConfigured = false,
      settings,
      codeHash: hash,
      codeBytes,
      createdAt,
      modifiedAt,
      revision,
    } = definition
    return {
      name,
      arn: this.arnOf(name),
      handler,
      path,
      isConfigured,
      settings,
      code: { hash, bytes: codeBytes },
      createdAt,
      modifiedAt,
      revision,
      counts: { ...this.#options.host.countsOf(name) },
      waitingCalls: this.#waiting.countOf(name),
    }
  }

  async #exclusively<T>(name: string, run: () => Promise<T>): Promise<T> {
    if (this.#busy.has(name)) throw new MillraceError('CONFLICT', `The function ${name} is being changed.`)
    this.#busy.add(name)
    try {
      return await run()
    } finally {
      this.#busy.delete(name)
    }
  }
}

const pathOf = ({ path, files }: FunctionRequest): string | undefined =>
  files === undefined && typeof path === 'string' ? path : undefined

const stopped = (name: string): MillraceError =>
  new MillraceError('FUNCTION_STOPPED', `The function ${name} is not called: the daemon stops.`)

const byName = (left: FunctionView, right: FunctionView): number => (left.name < right.name ? -1 : 1)
