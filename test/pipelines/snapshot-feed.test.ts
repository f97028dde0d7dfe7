import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { Counters } from '../../src/commit/index.js'
import { DurableGroups } from '../../src/groups/index.js'
import { ChunkCursor, type NewRecord, RecordKind, ShardedLog, type StreamId } from '../../src/log/index.js'
import { SnapshotFeed } from '../../src/pipelines/feeds/snapshot-feed.js'
import { silentLogger } from '../../src/runtime/index.js'
import { decodeChange, Tables } from '../../src/tables/index.js'
import { open } from '../commit/open-memory.js'
import { logLimits } from '../log/open-log.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What happens between two parts of a feed. */
type Step =
  | { readonly kind: 'put'; readonly key: number; readonly n: number }
  | { readonly kind: 'delete'; readonly key: number }
  | { readonly kind: 'split' | 'merge' | 'restart' | 'part' | 'lost' }

const keys = 24
const anyKey = fc.integer({ min: 0, max: keys - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('put' as const), key: anyKey, n: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), key: anyKey }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('part' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('split' as const, 'merge' as const, 'restart' as const, 'lost' as const),
    }),
  },
)

/** A table, and what a feed has brought of it: a map that is changed as the records say, and is never asked to forgive. */
class World {
  readonly brought = new Map<string, string>()
  readonly items = new Map<string, string>()
  #cursor: { readonly after: string } = { after: '' }
  isEnd = false

  private constructor(
    readonly tables: Tables,
    readonly log: ShardedLog,
    readonly groups: DurableGroups,
    readonly stream: StreamId,
    readonly commit: Awaited<ReturnType<typeof open>>['commit'],
    readonly itemsMax: number,
    private feed: SnapshotFeed,
  ) {}

  static async open(before: readonly number[], itemsMax: number): Promise<World> {
    const storage = new MemoryStorage()
    const clock = new ManualClock()
    const { commit } = await open(storage, mkdtempSync(join(folder, 'store-')), { clock })
    const counters = await Counters.open(storage)
    const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
    const groups = await DurableGroups.open({ storage, commit, counters, log, groupsMax: 10 })
    const names = { region: 'here', accountId: '123456789012', eventIdPrefix: () => 'e', streamRetentionMs: 86_400_000 }
    const tables = await Tables.open({ storage, commit, counters, log, clock, logger: silentLogger, ...names })
    const run = (operation: string, input: unknown) =>
      tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify(input)))
    await run('CreateTable', {
      TableName: 'table',
      AttributeDefinitions: ['id', 'line'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
      KeySchema: [
        { AttributeName: 'id', KeyType: 'HASH' },
        { AttributeName: 'line', KeyType: 'RANGE' },
      ],
      BillingMode: 'PAY_PER_REQUEST',
    })
    const world = await (async () => {
      const put = async (key: number, n: number) => run('PutItem', { TableName: 'table', Item: itemOf(key, n) })
      for (const key of before) await put(key, 0)
      const stream = await tables.changeLog('table')
      const group = await groups.create('reader', stream, 'newest', { kind: 'pipeline' })
      const feed = new SnapshotFeed({ table: 'table', changes: group, tables, commit, log })
      return new World(tables, log, groups, stream, commit, itemsMax, feed)
    })()
    for (const key of before) world.items.set(nameOf(key), '0')
    return world
  }

  async do(step: Step): Promise<void> {
    const run = (operation: string, input: object) =>
      this.tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify({ TableName: 'table', ...input })))
    if (step.kind === 'put') {
      await run('PutItem', { Item: itemOf(step.key, step.n) })
      this.items.set(nameOf(step.key), String(step.n))
    } else if (step.kind === 'delete') {
      const { id, line } = itemOf(step.key, 0)
      await run('DeleteItem', { Key: { id, line } })
      this.items.delete(nameOf(step.key))
    } else if (step.kind === 'part') await this.part()
    // What was asked for and did not commit is asked for again by another feed.
    else if (step.kind === 'lost' && !this.isEnd) await this.#next().then(() => this.#again())
    else if (step.kind === 'restart') this.#again()
    else if (step.kind !== 'lost') await this.#reshaped(step.kind)
  }

  #again(): void {
    const changes = this.groups.group('reader')!
    this.feed = new SnapshotFeed({ table: 'table', changes, tables: this.tables, commit: this.commit, log: this.log })
  }

  async #reshaped(how: 'split' | 'merge'): Promise<void> {
    const shards = this.log.openShards(this.stream).map(({ shard }) => shard)
    if (how === 'split' && shards.length < 6) await this.log.split(shards[0]!.id)
    else if (how === 'merge' && shards.length > 1) await this.log.merge(shards[0]!.id, shards[1]!.id)
  }

  #next() {
    return this.feed.next(this.#cursor, { recordsMax: this.itemsMax, bytesMax: 400 })
  }

  async part(): Promise<void> {
    if (this.isEnd) return
    const part = await this.#next()
    await this.commit.submit({ rows: part.rows })
    part.committed?.()
    this.#cursor = part.cursor
    this.isEnd = part.isEnd
    for (const record of part.records) this.#take(record)
  }

  /** What the pipeline reads behind the feed: the change log from where the group stands. */
  async rest(): Promise<void> {
    const group = this.groups.group('reader')!
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (const { shard, next } of group.readable()) {
        const page = await this.log.read(shard, next, { bytesMax: 1000 })
        for (const chunk of page.chunks) {
          const cursor = new ChunkCursor(chunk)
          while (cursor.next()) if (cursor.sequence >= next) this.#take(cursor.record())
        }
        const position = { shard, next: page.next, ended: page.ended }
        await this.commit.submit({ rows: group.rowsFor([position]) })
        group.moved([position])
        isBusy ||= page.chunks.length > 0 || page.ended
      }
    }
  }

  /** An insert wants that there is nothing, the others that the old image is there. */
  #take({ kind, body }: NewRecord): void {
    const { keys, newImage, oldImage } = decodeChange(body)
    const key = keys.toString()
    expect(this.brought.get(key), `${RecordKind.insert === kind ? 'insert' : 'change'} of ${key}`).toBe(
      oldImage && numberOf(oldImage),
    )
    if (newImage) this.brought.set(key, numberOf(newImage))
    else this.brought.delete(key)
  }
}

/** Three partition keys with sort keys of their own, so that pages end within a partition. */
const itemOf = (key: number, n: number) => ({
  id: { S: `id-${key % 3}` },
  line: { S: `line-${key}` },
  n: { N: String(n) },
})
const nameOf = (key: number): string => {
  const { id, line } = itemOf(key, 0)
  return JSON.stringify({ id, line })
}
const numberOf = (image: Buffer): string => (JSON.parse(image.toString()) as { n: { N: string } }).n.N

describe('a snapshot of a table', () => {
  it('gives a sequence of changes that is consistent, in every interleaving with writes, splits, merges and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anyKey, { maxLength: keys }),
        fc.integer({ min: 1, max: 7 }),
        fc.array(step, { maxLength: 60 }),
        async (before, itemsMax, steps) => {
          const world = await World.open(before, itemsMax)
          for (const each of steps) await world.do(each)
          while (!world.isEnd) await world.part()
          await world.rest()
          expect(Object.fromEntries(world.brought)).toEqual(Object.fromEntries(world.items))
          await world.tables.close()
          await world.commit.close()
        },
      ),
      { numRuns: process.env.MILLRACE_LONG ? 5000 : 150 },
    )
  }, 3_600_000)
})
