import type { Commit } from '../commit/index.js'
import { type Clock, type Logger, MillraceError } from '../runtime/index.js'
import type { Tables } from '../tables/index.js'
import { checkIndexRequest, fieldText, type IndexDefinition, type IndexRequest } from './definition.js'
import { indexGone, indexRow, storedIndex } from './index-row.js'
import { IndexThread } from './index-thread.js'
import { type IndexView, SearchIndex, type SearchIndexOptions, type SearchObserver } from './search-index.js'
import type { ReadLog } from './shard-positions.js'

/** `search` of the configuration. */
export interface SearchSettings {
  readonly indexesMax: number
  readonly documentsMax: number
  readonly bytesMax: number
  readonly heapBytesMax: number
  /** Indexes that the configuration names. */
  readonly indexes: Readonly<Record<string, Omit<IndexRequest, 'name'>>>
}

export interface SearchIndexesOptions {
  readonly commit: Pick<Commit, 'submit'>
  readonly tables: Pick<Tables, 'items' | 'changeLog' | 'schema'>
  readonly log: ReadLog
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: SearchSettings
  /** The values of all rows of `Family.searchIndex`. */
  readonly stored: readonly Buffer[]
  /** Threads by default. */
  readonly openHost?: SearchIndexOptions['openHost']
}

export interface NamedIndexView extends IndexView {
  readonly fields: readonly string[]
  readonly stored: readonly string[]
  /** Whether the configuration names it; else it was made by a command. */
  readonly isConfigured: boolean
}

/** All full-text indexes of the daemon. Which there are is stored; what they hold is made from their tables at each opening. */
export class SearchIndexes {
  readonly #options: SearchIndexesOptions
  readonly #indexes = new Map<string, SearchIndex>()
  readonly #configured = new Set<string>()
  /** Names that are being created or deleted. */
  readonly #busy = new Set<string>()
  #observer: SearchObserver | undefined
  #isRunning = false

  /** Throws CONFIG_INVALID, DATA_DIR_NEWER. */
  constructor(options: SearchIndexesOptions) {
    this.#options = options
    for (const value of options.stored) this.#add(storedIndex(value))
    for (const [name, request] of Object.entries(options.settings.indexes)) {
      this.#configured.add(name)
      this.#add(configuredIndex(name, request))
    }
  }

  #add(definition: IndexDefinition): SearchIndex {
    const { tables, log, clock, logger, settings, openHost } = this.#options
    const { documentsMax, bytesMax, heapBytesMax } = settings
    const index = new SearchIndex(definition, {
      tables,
      log,
      clock,
      logger,
      bounds: { documentsMax, bytesMax },
      openHost: openHost ?? ((given, onLost) => new IndexThread({ settings: given, heapBytesMax, onLost })),
      observer: {
        indexed: (name, seconds) => this.#observer?.indexed(name, seconds),
        searched: (name, seconds) => this.#observer?.searched(name, seconds),
      },
    })
    this.#indexes.set(definition.name, index)
    return index
  }

  observe(observer: SearchObserver): void {
    this.#observer = observer
  }

  /** Begins to build all of them. Returns at once. */
  start(): void {
    this.#isRunning = true
    for (const index of this.#indexes.values()) index.start()
  }

  async close(): Promise<void> {
    this.#isRunning = false
    await Promise.all([...this.#indexes.values()].map((index) => index.close()))
  }

  all(): Iterable<SearchIndex> {
    return this.#indexes.values()
  }

  list(): readonly NamedIndexView[] {
    return [...this.#indexes.values()].map((index) => this.#view(index))
  }

  /** Throws NOT_FOUND. */
  show(name: string): NamedIndexView {
    return this.#view(this.index(name))
  }

  /** Throws NOT_FOUND. */
  index(name: string): SearchIndex {
    const index = this.#indexes.get(name)
    if (!index) throw new MillraceError('NOT_FOUND', `There is no search index named ${name}.`)
    return index
  }

  /** Makes an index and begins to build it. Throws BAD_REQUEST, ALREADY_EXISTS, NOT_FOUND (the table), TOO_BUSY, CONFLICT. */
  async create(request: Readonly<Record<string, unknown>>): Promise<NamedIndexView> {
    const definition = checkIndexRequest(request)
    const { name, table } = definition
    const { settings, tables, commit } = this.#options
    if (this.#indexes.has(name)) throw new MillraceError('ALREADY_EXISTS', `A search index named ${name} exists.`)
    if (this.#indexes.size >= settings.indexesMax)
      throw new MillraceError('TOO_BUSY', `There are ${settings.indexesMax} search indexes already.`, {
        remedy: 'Delete one, or raise search.indexesMax.',
      })
    if (!tables.schema(table)) throw new MillraceError('NOT_FOUND', `There is no table named ${table}.`)
    return this.#exclusively(name, async () => {
      await commit.submit({ rows: [indexRow(definition)] })
      const index = this.#add(definition)
      if (this.#isRunning) index.start()
      return this.#view(index)
    })
  }

  /** Throws NOT_FOUND, CONFLICT. */
  async rebuild(name: string): Promise<NamedIndexView> {
    const index = this.index(name)
    return this.#exclusively(name, async () => {
      await index.rebuild()
      return this.#view(index)
    })
  }

  /** Throws NOT_FOUND, CONFLICT (also where the configuration names it). */
  async delete(name: string): Promise<void> {
    const index = this.index(name)
    if (this.#configured.has(name))
      throw new MillraceError('CONFLICT', `The search index ${name} stands in the configuration.`, {
        remedy: 'Take it out of search.indexes there, and start the daemon anew.',
      })
    await this.#exclusively(name, async () => {
      await this.#options.commit.submit({ rows: [indexGone(name)] })
      this.#indexes.delete(name)
      await index.close()
    })
  }

  async #exclusively<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#busy.has(name)) throw new MillraceError('CONFLICT', `The search index ${name} is being changed.`)
    this.#busy.add(name)
    try {
      return await work()
    } finally {
      this.#busy.delete(name)
    }
  }

  #view(index: SearchIndex): NamedIndexView {
    const { name, fields, stored } = index.definition
    return { ...index.view(), fields: fields.map(fieldText), stored, isConfigured: this.#configured.has(name) }
  }
}

function configuredIndex(name: string, request: Omit<IndexRequest, 'name'>): IndexDefinition {
  try {
    return checkIndexRequest({ name, ...request })
  } catch (error) {
    throw new MillraceError('CONFIG_INVALID', `search.indexes.${name}: ${(error as Error).message}`, { cause: error })
  }
}
