import type { ReplicatedTable, ReplicatedTables, UnloggedChange, UnloggedPage } from '../tables/index.js'
import type { ApplyAsk } from './types.js'
import { encodeChanges, RegionNumbers } from './wire.js'

export interface UnloggedSenderOptions {
  readonly replicas: Pick<ReplicatedTables, 'unlogged' | 'forgetUnlogged' | 'newestMs'>
  readonly region: string
  readonly bytesMax: number
  readonly send: (ask: Pick<ApplyAsk, 'regions' | 'repeats'>, body: Buffer, changes: number) => Promise<unknown>
}

/** Brings another region what it must get and the change log does not have. */
export class UnloggedSender {
  readonly #options: UnloggedSenderOptions
  /** There may be some. */
  #isAny = true
  /** What is no newer may have been sent before: by this link before a restart, or by a fill. */
  #sentUpToMs: number
  /** What was sent and not answered. */
  #unanswered: ReadonlySet<string> = new Set()

  constructor(options: UnloggedSenderOptions) {
    this.#options = options
    this.#sentUpToMs = options.replicas.newestMs
  }

  /** There is more of it, or may be. */
  notice(): void {
    this.#isAny = true
  }

  /** Everything that is here was brought. */
  filled(): void {
    this.#sentUpToMs = this.#options.replicas.newestMs
  }

  /** The next of it. To be called before the log is read: what these writes have replaced is in it, or was brought before. */
  async read(table: ReplicatedTable): Promise<UnloggedPage | undefined> {
    if (!this.#isAny) return undefined
    const { replicas, region, bytesMax } = this.#options
    this.#isAny = false
    const page = await replicas.unlogged(table, region, bytesMax)
    if (page.more) this.#isAny = true
    return page.rows.length > 0 ? page : undefined
  }

  /** In two batches at most: what may have been sent before tells nothing of conflicts. */
  async send({ rows, changes }: UnloggedPage): Promise<void> {
    const isRepeat = (each: UnloggedChange): boolean =>
      each.cameBack || each.stamp.ms <= this.#sentUpToMs || this.#unanswered.has(nameOf(each))
    const repeated = changes.filter(isRepeat)
    const fresh = changes.filter((each) => !isRepeat(each))
    this.#unanswered = new Set(changes.map(nameOf))
    await this.#sendSome(repeated, true)
    await this.#sendSome(fresh, false)
    this.#unanswered = new Set()
    await this.#options.replicas.forgetUnlogged(rows)
  }

  async #sendSome(some: readonly UnloggedChange[], repeats: boolean): Promise<void> {
    if (some.length === 0) return
    const regions = new RegionNumbers()
    const changes = some.map(({ change }) => change)
    const body = encodeChanges(changes, regions)
    await this.#options.send({ regions: regions.names, repeats }, body, some.length)
  }
}

const nameOf = ({ change, stamp }: UnloggedChange): string =>
  `${change.place.toString('latin1')} ${stamp.ms}.${stamp.counter}`
