import type { ConfiguredTrigger } from '../../config/index.js'
import { asMillraceError, type Clock, type Logger, type Timer } from '../../runtime/index.js'
import type { Tables } from '../../tables/index.js'
import type { Mapping } from './mapping.js'
import { MappingFault } from './mapping-fault.js'
import { readRequest } from './mapping-request.js'
import type { Mappings } from './mappings.js'
import { type NativeMapping, requestOf } from './native-mapping.js'

/** Tables come and go, and their streams are switched on and off: between two looks, ms. */
const lookMs = 1000

export interface ConfiguredTriggersOptions {
  /** Triggers by the names of their functions. */
  readonly configured: Readonly<Record<string, readonly ConfiguredTrigger[]>>
  readonly mappings: Mappings
  readonly tables: Pick<Tables, 'latestStream'>
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Keeps the mappings that follow from the configuration as it says: makes those that are missing as soon as their table has a
 * stream, changes those that it has otherwise, and takes away those that it has no more. Mappings of users are left alone.
 */
export class ConfiguredTriggers {
  readonly #options: ConfiguredTriggersOptions
  readonly #triggers: readonly (readonly [string, ConfiguredTrigger])[]
  /** What was said of a trigger already. */
  readonly #said = new Map<string, string>()
  #timer: Timer | undefined
  #looking: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor(options: ConfiguredTriggersOptions) {
    this.#options = options
    this.#triggers = Object.entries(options.configured).flatMap(([name, triggers]) =>
      triggers.map((trigger) => [name, trigger] as const),
    )
  }

  start(): void {
    this.#looking = this.look().finally(() => {
      if (this.#isClosed || this.#triggers.length === 0) return
      this.#timer = this.#options.clock.setTimeout(() => this.start(), lookMs)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#looking
  }

  /** One look at everything. */
  async look(): Promise<void> {
    await this.#removeOthers()
    for (const [name, trigger] of this.#triggers) {
      if (this.#isClosed) return
      const about = `${name} ${trigger.table}`
      try {
        this.#said.set(about, (await this.#keep(name, trigger)) ?? '')
      } catch (error) {
        // What is being changed is looked at again.
        if (error instanceof MappingFault && error.type === 'ResourceInUseException') continue
        this.#say(about, error instanceof Error ? error.message : asMillraceError(error).message, name, trigger)
      }
    }
  }

  /** Mappings of triggers that are gone or there twice, and of streams that are over and have a successor. */
  async #removeOthers(): Promise<void> {
    const kept = new Set<string>()
    for (const mapping of this.#configured()) {
      const { functionName, source, isOver } = mapping.row
      const isWanted = this.#triggers.some(([name, { table }]) => name === functionName && table === source.tableName)
      // Of one trigger there may be two from before mappings followed the region.
      const pair = `${functionName} ${source.arn}`
      if (isWanted && !isOver && !kept.has(pair)) {
        kept.add(pair)
        continue
      }
      if (!mapping.takes('delete') || this.#isClosed) continue
      await this.#options.mappings.delete(mapping.id, 'configuration').catch((error: unknown) => {
        this.#options.logger.warn({ mapping: mapping.id }, `A mapping could not be deleted: ${String(error)}`)
      })
    }
  }

  /** The oldest first. */
  #configured(): readonly Mapping[] {
    const configured = this.#options.mappings.all().filter(({ row }) => row.isConfigured)
    return configured.sort((one, other) => one.row.createdAt - other.row.createdAt)
  }

  /** Returns what keeps a trigger from being there. */
  async #keep(name: string, trigger: ConfiguredTrigger): Promise<string | undefined> {
    const { tables, mappings } = this.#options
    const { table: _, ...wanted } = trigger
    // What is refused of it is said at once, and not only when there is a stream.
    readRequest(requestOf({ ...wanted, function: name } as NativeMapping))
    const stream = tables.latestStream(trigger.table)
    if (!stream) {
      const why = `The table ${trigger.table} has no stream that is on: its trigger waits for it.`
      this.#say(`${name} ${trigger.table}`, why, name, trigger)
      return why
    }
    const input = requestOf({ ...wanted, function: name, eventSourceArn: stream.arn } as NativeMapping)
    const found = this.#configured().find(({ row }) => row.functionName === name && row.source.arn === stream.arn)
    if (!found) await mappings.create(input, true)
    else if (found.takes('update') && !mappings.isAsAsked(found, input))
      await mappings.update(found.id, input, 'configuration')
    return undefined
  }

  #say(about: string, why: string, name: string, { table }: ConfiguredTrigger): void {
    if (this.#said.get(about) === why) return
    this.#said.set(about, why)
    this.#options.logger.warn({ function: name, table }, why)
  }
}
