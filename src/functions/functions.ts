import type { CommitPath } from '../commit/index.js'
import type { Config } from '../config/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError } from '../runtime/index.js'
import type { Storage } from '../storage/index.js'
import type { CodeFolder } from './code/code-folder.js'
import { collectCode } from './code/collect.js'
import { checkFunctionName, checkFunctionSettings, type FunctionDefinition, wholeHandler } from './definition.js'
import { FunctionRegistry } from './function-registry.js'
import { type FunctionView, functionView } from './function-view.js'
import type { CallObserver, FunctionCounts } from './host/function-counts.js'
import type { FunctionHost } from './host/function-host.js'
import type { HostedFunction } from './host/hosted-function.js'
import type { FunctionLogs } from './logs/function-logs.js'
import { codeOf, type FunctionRequest, settingsOf } from './requests.js'
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

/** All functions of the daemon: what clients and mappings ask of them. */
export class Functions implements FunctionInvoker {
  readonly #options: FunctionsOptions
  readonly #registry: FunctionRegistry
  readonly #waiting: WaitingCalls
  #isClosed = false

  private constructor(options: FunctionsOptions, registry: FunctionRegistry) {
    this.#options = options
    this.#registry = registry
    const countsOf = (name: string): FunctionCounts => options.host.countsOf(name)
    this.#waiting = new WaitingCalls({ ...options, invoker: this, countsOf })
  }

  /** Reads what is stored, then the functions of the configuration. One whose code cannot be read goes on as it was, or is not there. */
  static async open(options: FunctionsOptions): Promise<Functions> {
    const { storage, commit, clock, host, limits } = options
    const registry = await FunctionRegistry.open(storage, {
      commit,
      clock,
      functionsMax: limits.functionsMax,
      onChange: (name, isGone) => host.retire(name, isGone),
    })
    const functions = new Functions(options, registry)
    await functions.#readConfigured()
    await registry.dropUnused(storage)
    await functions.#waiting.load()
    return functions
  }

  /** Calls that wait begin. */
  start(): void {
    this.#waiting.start()
  }

  get count(): number {
    return this.#registry.size
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
    return this.#registry
      .all()
      .map((definition) => this.#view(definition))
      .sort(byName)
  }

  /** Throws FUNCTION_NOT_FOUND. */
  show(name: string): FunctionView {
    return this.#view(this.#registry.get(name))
  }

  has(name: string): boolean {
    return this.#registry.find(name) !== undefined
  }

  arnOf(name: string): string {
    const { region, accountId } = this.#options
    return `arn:aws:lambda:${region}:${accountId}:function:${name}`
  }

  /** Throws FUNCTION_INVALID, ALREADY_EXISTS, TOO_BUSY, TOO_LARGE. */
  async create(name: string, request: FunctionRequest): Promise<FunctionView> {
    checkFunctionName(name)
    const registry = this.#registry
    return registry.exclusively(name, async () => {
      if (this.has(name)) throw new MillraceError('ALREADY_EXISTS', `A function named ${name} exists.`)
      registry.checkCount()
      const settings = checkFunctionSettings(settingsOf(request))
      const code = await codeOf(request, this.#options.limits)
      if (!code) throw new MillraceError('FUNCTION_INVALID', 'A function has a path, or files.')
      return this.#view(await registry.put(name, settings, code, { path: pathOf(request) }))
    })
  }

  /**
   * Changes the settings that are named; the code is read again from where it came from, or taken from the request. Calls
   * that are under way end as they began. Throws FUNCTION_NOT_FOUND, FUNCTION_INVALID, CONFLICT, TOO_LARGE.
   */
  async update(name: string, request: FunctionRequest): Promise<FunctionView> {
    const { limits } = this.#options
    const registry = this.#registry
    return registry.exclusively(name, async () => {
      const before = registry.get(name)
      const changed = settingsOf(request)
      const isConfigured = this.#isConfigured(name)
      if (isConfigured && Object.keys(request).length > 0)
        throw standsInConfiguration(
          name,
          'Change it there and start the daemon again; an update without settings reads its code again.',
        )
      const settings = checkFunctionSettings({ ...before.settings, ...changed })
      const code = await codeOf(request, limits)
      if (code) return this.#view(await registry.put(name, settings, code, { path: pathOf(request) }))
      if (before.path !== undefined) {
        const again = await collectCode(before.path, limits)
        return this.#view(await registry.put(name, settings, again, { path: before.path, isConfigured }))
      }
      // Its code was sent: it stays.
      const handler = changed.handler === undefined ? before.handler : wholeHandler(settings.handler, before.entry)
      return this.#view(await registry.save({ ...before, settings, handler }))
    })
  }

  /** The function and its log are gone; calls that are under way end. Throws FUNCTION_NOT_FOUND, CONFLICT. */
  async delete(name: string): Promise<void> {
    const registry = this.#registry
    await registry.exclusively(name, async () => {
      registry.get(name)
      if (this.#isConfigured(name))
        throw standsInConfiguration(name, 'Take it out there and start the daemon again, then delete it.')
      await registry.remove(name)
      await this.#waiting.remove(name)
      await this.#options.logs.remove(name)
    })
  }

  async invoke(call: FunctionCall): Promise<FunctionAnswer> {
    if (this.#isClosed) throw stopped(call.functionName)
    return this.#options.host.invoke(this.#hosted(this.#registry.get(call.functionName)), call)
  }

  /**
   * Takes a call that nobody waits for; durable when it resolves. It is made as soon as there is a thread, at least once, and
   * again one and three minutes after its handler has failed; then it is given up. Throws FUNCTION_NOT_FOUND, TOO_BUSY.
   */
  async invokeLater(functionName: string, payload: Uint8Array): Promise<{ readonly requestId: string }> {
    if (this.#isClosed) throw stopped(functionName)
    return this.#waiting.add(this.#registry.get(functionName).name, payload)
  }

  free(functionName: string): number {
    const definition = this.#registry.find(functionName)
    return definition && !this.#isClosed ? this.#options.host.free(this.#hosted(definition)) : 0
  }

  /** No call begins any more. The host lives on: it is the daemon's. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#waiting.close()
  }

  #isConfigured(name: string): boolean {
    return Object.hasOwn(this.#options.configured, name)
  }

  async #readConfigured(): Promise<void> {
    const { configured, limits, logger } = this.#options
    for (const [name, { path, triggers: _, ...settings }] of Object.entries(configured)) {
      try {
        if (!this.has(name)) this.#registry.checkCount()
        await this.#registry.put(name, settings, await collectCode(path, limits), { path, isConfigured: true })
      } catch (error) {
        const { code, message } = asMillraceError(error)
        logger.error({ function: name, code }, `The function ${name} of the configuration cannot be taken: ${message}`)
      }
    }
    for (const { name, isConfigured } of this.#registry.all())
      if (isConfigured && !this.#isConfigured(name))
        logger.warn(
          { function: name },
          `The function ${name} stands in the configuration no more and goes on as it was: \`millrace functions delete ${name}\` removes it.`,
        )
  }

  #hosted(definition: FunctionDefinition): HostedFunction {
    const { name, settings, handler, revision, codeHash, origin } = definition
    return {
      name,
      arn: this.arnOf(name),
      settings,
      handler,
      revision,
      code: () => this.#options.code.place(codeHash, origin, () => this.#registry.codeOf(definition)),
    }
  }

  #view(definition: FunctionDefinition): FunctionView {
    const { name } = definition
    const counts = this.#options.host.countsOf(name)
    return functionView(definition, { arn: this.arnOf(name), counts, waitingCalls: this.#waiting.countOf(name) })
  }
}

const standsInConfiguration = (name: string, remedy: string): MillraceError =>
  new MillraceError('CONFLICT', `The function ${name} stands in the configuration.`, { remedy })

const pathOf = ({ path, files }: FunctionRequest): string | undefined =>
  files === undefined && typeof path === 'string' ? path : undefined

const stopped = (name: string): MillraceError =>
  new MillraceError('FUNCTION_STOPPED', `The function ${name} is not called: the daemon stops.`)

const byName = (left: FunctionView, right: FunctionView): number => (left.name < right.name ? -1 : 1)
