import { lagRecords, lagSeconds } from '../groups/index.js'
import type { Sequence } from '../log/index.js'
import { asMillraceError, type Clock, type Logger, MillraceError, type Timer } from '../runtime/index.js'
import type { Tables } from '../tables/index.js'
import type { IndexDefinition } from './definition.js'
import { IndexLife } from './index-life.js'
import { afterIndexEvent, type IndexEvent, type IndexPhase } from './index-lifecycle.js'
import type { IndexHost } from './index-session.js'
import type { Found, IndexBounds, IndexSettings, IndexSize, SearchQuery } from './protocol.js'
import type { ReadLog } from './shard-positions.js'
import { TableFeed } from './table-feed.js'

/** Between two looks for a table that is not there. */
const tableMs = 1000
/** Between two buildings of an index that failed: the first wait, which doubles, and the longest. */
const retryMs = 1000
const retryMsMax = 60_000
/** Searches that were not answered yet, of one index. */
const searchesMax = 256

/** Hears what an index does, for the metrics. */
export interface SearchObserver {
  /** A batch of changes is in; `seconds` is how long ago the oldest of them was committed. */
  indexed(index: string, seconds: number): void
  searched(index: string, seconds: number): void
}

export interface SearchIndexOptions {
  readonly tables: Pick<Tables, 'items' | 'changeLog'>
  readonly log: ReadLog
  readonly clock: Clock
  readonly logger: Logger
  readonly bounds: IndexBounds
  readonly openHost: (settings: IndexSettings, onLost: (error: MillraceError) => void) => IndexHost
  readonly observer: SearchObserver
}

/** What is shown of an index. */
export interface IndexView {
  readonly name: string
  readonly table: string
  readonly state: IndexPhase
  /** Why it is `waiting`, `full` or `failed`. */
  readonly reason?: string
  readonly documents: number
  readonly bytes: number
  /** Everything up to this number is in it. */
  readonly sequence: number
  readonly lagRecords: number
}

export interface SearchAnswer extends Found {
  /** Every change up to this number is in what was searched. */
  readonly sequence: number
}

/** A search that reads what its caller has written. */
export interface SearchWait {
  /** The index must have reached it. */
  readonly sequence: number
  readonly ms: number
}

/** What is counted since the daemon has its rooms. */
export interface IndexCounts {
  changes: number
  searches: number
  failures: number
  buildings: number
}

interface Waiter {
  readonly sequence: number
  readonly resolve: (isReached: boolean) => void
}

const empty: IndexSize = { documents: 0, bytes: 0 }

/** One index: built from its table, kept up with it, searched. Whatever fails in it is its own. */
export class SearchIndex {
  readonly definition: IndexDefinition
  readonly #options: SearchIndexOptions
  readonly counts: IndexCounts = { changes: 0, searches: 0, failures: 0, buildings: 0 }
  #phase: IndexPhase = 'waiting'
  #reason: MillraceError | undefined
  #life: IndexLife | undefined
  #size = empty
  #searches = 0
  #failures = 0
  #waiters: Waiter[] = []
  #running: Promise<void> = Promise.resolve()
  #pause: { readonly timer: Timer; readonly resolve: () => void } | undefined

  constructor(definition: IndexDefinition, options: SearchIndexOptions) {
    this.definition = definition
    this.#options = options
  }

  get phase(): IndexPhase {
    return this.#phase
  }

  get size(): IndexSize {
    return this.#size
  }

  start(): void {
    this.#running = this.#run().catch((error: unknown) => {
      const { stack } = asMillraceError(error)
      this.#options.logger.error({ index: this.definition.name, stack }, 'A search index has ended.')
    })
  }

  /** Builds it again from its table; what is there is gone at once. */
  async rebuild(): Promise<void> {
    const isEnded = this.#phase === 'full'
    this.#met('again')
    this.#failures = 0
    this.#reason = undefined
    if (isEnded) this.start()
    this.#life?.stop()
    this.#wakeUp()
  }

  async close(): Promise<void> {
    this.#met('stop')
    this.#life?.stop()
    this.#wakeUp()
    await this.#running
  }

  /** One life after another, until it is full or closed. */
  async #run(): Promise<void> {
    while (this.#phase !== 'stopped') {
      try {
        const isStopped = await this.#live()
        this.#met(isStopped ? 'again' : 'tableGone')
      } catch (thrown) {
        const error = asMillraceError(thrown)
        if (error.code === 'SEARCH_FULL') return this.#fail('boundMet', error)
        if (error.code === 'TRIMMED') this.#again(error)
        else await this.#recover(error)
      } finally {
        this.#life = undefined
        this.#size = empty
        this.#tell()
      }
    }
  }

  /** Whether somebody stopped it; false: its table is gone. */
  async #live(): Promise<boolean> {
    const { clock, openHost, observer, bounds } = this.#options
    const { name, table, fields, stored } = this.definition
    const feed = await TableFeed.open({ ...this.#options, table })
    if (this.#phase === 'stopped') return true
    this.#reason = undefined
    this.#met('tableFound')
    this.counts.buildings++
    const life = new IndexLife({
      feed,
      clock,
      openHost: (onLost) => openHost({ fields, stored, ...bounds }, onLost),
      onTaken: (size, changes, lag) => {
        this.#size = size
        this.counts.changes += changes
        if (this.#phase === 'building' && feed.isWhole) this.#whole()
        if (lag !== undefined) observer.indexed(name, lag)
        this.#tell()
      },
    })
    this.#life = life
    await life.run()
    return !feed.isGone
  }

  #whole(): void {
    const { name } = this.definition
    this.#failures = 0
    this.#met('whole')
    this.#options.logger.info({ index: name, ...this.#size }, 'A search index is built.')
  }

  #fail(event: IndexEvent, error: MillraceError): void {
    const { name } = this.definition
    this.#reason = error
    this.#met(event)
    this.#options.logger.warn({ index: name, code: error.code }, `A search index is ${this.#phase}: ${error.message}`)
  }

  /** What it had to read next was trimmed: it begins anew at once. */
  #again(error: MillraceError): void {
    this.#met('again')
    this.#options.logger.warn({ index: this.definition.name }, `A search index is built again: ${error.message}`)
  }

  async #recover(error: MillraceError): Promise<void> {
    if (this.#phase === 'stopped') return
    if (error.code === 'NOT_FOUND' && this.#phase === 'waiting') {
      this.#reason = error
      return this.#sleep(tableMs)
    }
    this.#fail('lost', error)
    await this.#sleep(Math.min(retryMsMax, retryMs * 2 ** Math.min(this.#failures++, 10)))
    this.#met('again')
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#pause = { timer: this.#options.clock.setTimeout(resolve, ms), resolve }
    })
  }

  #wakeUp(): void {
    this.#pause?.timer.cancel()
    this.#pause?.resolve()
  }

  #met(event: IndexEvent): void {
    this.#phase = afterIndexEvent(this.#phase, event)
  }

  /** Everything up to this number is in it; 0: nothing is. */
  get sequence(): number {
    return Math.max(0, this.#reached - 1)
  }

  get #reached(): Sequence {
    return this.#life && this.#phase !== 'stopped' ? reachedOf(this.#life.feed) : (0 as Sequence)
  }

  #tell(): void {
    if (this.#waiters.length === 0) return
    const { sequence } = this
    const isOver = this.#phase === 'full' || this.#phase === 'stopped'
    const told = this.#waiters.filter((each) => isOver || (this.#phase === 'ready' && each.sequence <= sequence))
    this.#waiters = this.#waiters.filter((each) => !told.includes(each))
    for (const { resolve } of told) resolve(!isOver)
  }

  /**
   * Throws SEARCH_NOT_READY (it is being built, or has not come as far as was asked for in time), SEARCH_FULL, SEARCH_FAILED,
   * TOO_BUSY, BAD_REQUEST (a number that was not given yet, a field that it has not).
   */
  async search(query: SearchQuery, wait?: SearchWait): Promise<SearchAnswer> {
    this.#checkFields(query.fields)
    if (wait) await this.#reach(wait)
    const life = this.#searchable()
    if (this.#searches >= searchesMax)
      throw new MillraceError('TOO_BUSY', `${searchesMax} searches of the index ${this.definition.name} wait already.`)
    this.#searches++
    const { clock, observer } = this.#options
    const began = clock.monotonic()
    const { sequence } = this
    try {
      const found = await life.host.search(query)
      this.counts.searches++
      observer.searched(this.definition.name, (clock.monotonic() - began) / 1000)
      return { ...found, sequence }
    } catch (error) {
      this.counts.failures++
      throw error
    } finally {
      this.#searches--
    }
  }

  #checkFields(fields: readonly string[] | undefined): void {
    const known = this.definition.fields.map(({ path }) => path)
    const unknown = fields?.find((field) => !known.includes(field))
    if (unknown !== undefined)
      throw new MillraceError('BAD_REQUEST', `The field ${unknown} is not indexed; there are ${known.join(', ')}.`)
  }

  #searchable(): IndexLife {
    const { name } = this.definition
    if (this.#phase === 'ready' && this.#life) return this.#life
    if (this.#phase === 'full' || this.#phase === 'failed') {
      const { code, message } = this.#reason as MillraceError
      throw new MillraceError(code === 'SEARCH_FULL' ? code : 'SEARCH_FAILED', `${name}: ${message}`)
    }
    const why = this.#reason?.message ?? `It is being built; it has ${this.#size.documents} documents so far.`
    throw new MillraceError('SEARCH_NOT_READY', `The index ${name} cannot be searched yet. ${why}`)
  }

  async #reach({ sequence, ms }: SearchWait): Promise<void> {
    const { log, clock } = this.#options
    if (sequence >= log.nextSequence())
      throw new MillraceError('BAD_REQUEST', `The sequence number ${sequence} was not given yet.`)
    if (this.#phase === 'full') return
    if (this.#phase === 'ready' && this.sequence >= sequence) return
    let waiter: Waiter | undefined
    const reached = new Promise<boolean>((resolve) => {
      waiter = { sequence, resolve }
      this.#waiters.push(waiter)
    })
    const timer = clock.setTimeout(() => waiter?.resolve(false), ms)
    const isReached = await reached
    timer.cancel()
    this.#waiters = this.#waiters.filter((each) => each !== waiter)
    if (!isReached && (this.#phase === 'ready' || this.#phase === 'building'))
      throw new MillraceError(
        'SEARCH_NOT_READY',
        `The index ${this.definition.name} has come to the sequence number ${this.sequence}, and not to ${sequence} within ${ms} ms.`,
      )
  }

  view(): IndexView {
    const { name, table } = this.definition
    return {
      name,
      table,
      state: this.#phase,
      ...(this.#reason && this.#phase !== 'ready' ? { reason: this.#reason.message } : {}),
      ...this.#size,
      sequence: this.sequence,
      lagRecords: this.lagRecords(),
    }
  }

  /** How many sequence numbers of its table it is behind: an upper bound of its changes. */
  lagRecords(): number {
    return this.#life ? lagRecords(this.#options.log, this.#life.feed.applied) : 0
  }

  /** Age of the oldest change that is not in it; 0 when there is none. */
  async lagSeconds(): Promise<number> {
    const { log, clock } = this.#options
    if (!this.#life || this.#phase !== 'ready') return 0
    try {
      return await lagSeconds(log, this.#life.feed.applied, clock.now())
    } catch {
      // What it has to read is gone: it begins anew in a moment.
      return 0
    }
  }
}

/** What it must read next may be gone: then it begins anew in a moment. */
function reachedOf(feed: TableFeed): Sequence {
  try {
    return feed.reached
  } catch {
    return 0 as Sequence
  }
}
