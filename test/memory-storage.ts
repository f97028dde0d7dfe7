import type { Page, RangeOptions, Storage, StorageBatch } from '../src/storage/types.js'

type Write = {
  readonly puts: readonly [Buffer, Buffer][]
  readonly deletes: readonly Buffer[]
  /** All of them in their order, which counts: what is deleted and then put is there. */
  readonly changes: readonly (readonly [Buffer, Buffer | undefined])[]
  readonly synced: boolean
}

/**
 * A store whose disk the test holds: writes can be made to wait or fail, and `afterPowerLoss` gives what a disk would
 * still have. Reads can be made to wait too, since the guards exist for what happens during them.
 */
export class MemoryStorage implements Storage {
  readonly rows = new Map<string, Buffer>()
  readonly history: Write[] = []
  writesInFlight = 0
  mostWritesInFlight = 0
  /** Called before each write takes effect; may wait, or throw to fail it. */
  beforeWrite: (index: number) => Promise<void> | void = () => {}
  /** Called when a write has taken effect and nobody knows it yet; may wait. */
  afterWrite: (index: number) => Promise<void> | void = () => {}
  beforeGet: (key: Buffer) => Promise<void> | void = () => {}
  #writes = 0

  async get(key: Buffer): Promise<Buffer | undefined> {
    const value = this.rows.get(key.toString('latin1'))
    await this.beforeGet(key)
    return value
  }

  async getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    return Promise.all(keys.map((key) => this.get(key)))
  }

  async page(range: RangeOptions): Promise<Page> {
    let names = [...this.rows.keys()].sort()
    const bound = (key: Buffer | undefined) => key?.toString('latin1')
    const [gte, gt, lt, lte] = [bound(range.gte), bound(range.gt), bound(range.lt), bound(range.lte)]
    names = names.filter(
      (name) =>
        (gte === undefined || name >= gte) &&
        (gt === undefined || name > gt) &&
        (lt === undefined || name < lt) &&
        (lte === undefined || name <= lte),
    )
    if (range.reverse) names.reverse()
    const keys: Buffer[] = []
    const values: Buffer[] = []
    let bytes = 0
    for (const name of names) {
      if (keys.length >= range.limit || bytes > range.bytesMax) break
      const value = range.values === false ? Buffer.alloc(0) : (this.rows.get(name) as Buffer)
      keys.push(Buffer.from(name, 'latin1'))
      values.push(value)
      bytes += name.length + value.length
    }
    return { keys, values, more: keys.length < names.length }
  }

  async approximateSize(from: Buffer, to: Buffer): Promise<number> {
    const { keys, values } = await this.page({
      gte: from,
      lt: to,
      limit: Number.MAX_SAFE_INTEGER,
      bytesMax: Number.MAX_SAFE_INTEGER,
    })
    return [...keys, ...values].reduce((sum, { length }) => sum + length, 0)
  }

  async *scan(range: Omit<RangeOptions, 'limit'>): AsyncGenerator<Page, void, void> {
    yield await this.page({ ...range, limit: Number.MAX_SAFE_INTEGER, bytesMax: Number.MAX_SAFE_INTEGER })
  }

  async *texts(range: Omit<RangeOptions, 'values'>): AsyncGenerator<readonly string[], void, void> {
    const limit = range.limit < 0 ? Number.MAX_SAFE_INTEGER : range.limit
    const { values } = await this.page({ ...range, limit, bytesMax: Number.MAX_SAFE_INTEGER })
    yield values.map((value) => value.toString())
  }

  async write(fill: (batch: StorageBatch) => void, sync: boolean): Promise<void> {
    const puts: [Buffer, Buffer][] = []
    const deletes: Buffer[] = []
    const changes: [Buffer, Buffer | undefined][] = []
    fill({
      put: (key, value) => {
        const copy = Buffer.from(value)
        puts.push([key, copy])
        changes.push([key, copy])
      },
      delete: (key) => {
        deletes.push(key)
        changes.push([key, undefined])
      },
    })
    this.writesInFlight++
    this.mostWritesInFlight = Math.max(this.mostWritesInFlight, this.writesInFlight)
    try {
      const index = this.#writes++
      await this.beforeWrite(index)
      this.#apply({ puts, deletes, changes, synced: sync })
      await this.afterWrite(index)
    } finally {
      this.writesInFlight--
    }
  }

  #apply(write: Write): void {
    this.history.push(write)
    for (const [key, value] of write.changes) {
      if (value) this.rows.set(key.toString('latin1'), value)
      else this.rows.delete(key.toString('latin1'))
    }
  }

  /** What is left when everything after the last synced write is gone. */
  afterPowerLoss(): MemoryStorage {
    const lastSynced = this.history.map((write) => write.synced).lastIndexOf(true)
    return this.#replay((_, index) => index <= lastSynced)
  }

  /** What is left when single writes are lost without a trace, as RocksDB does with a damaged block of its log. */
  without(lost: (index: number) => boolean): MemoryStorage {
    return this.#replay((_, index) => !lost(index))
  }

  #replay(keep: (write: Write, index: number) => boolean): MemoryStorage {
    const copy = new MemoryStorage()
    this.history.filter(keep).forEach((write) => copy.#apply(write))
    return copy
  }

  async compactRange(): Promise<void> {}

  property(): string {
    return ''
  }

  async close(): Promise<void> {}
}
