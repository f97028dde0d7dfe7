import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { Counters } from '../../src/commit/index.js'
import { ShardedLog } from '../../src/log/index.js'
import { silentLogger } from '../../src/runtime/index.js'
import { checkQuery } from '../../src/search/index.js'
import { type IndexHost, IndexSession } from '../../src/search/index-session.js'
import { SearchIndexes } from '../../src/search/search-indexes.js'
import { Tables } from '../../src/tables/index.js'
import { open } from '../commit/open-memory.js'
import { logLimits } from '../log/open-log.js'
import { ManualClock } from '../manual-clock.js'
import { MemoryStorage } from '../memory-storage.js'

const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const settings = { indexesMax: 4, documentsMax: 100, bytesMax: 1_000_000, heapBytesMax: 1 << 26, indexes: {} }

/** Waits for what other turns of the event loop bring. */
async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; !isTrue(); i++) {
    if (i > 20_000) throw new Error('it does not come')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** A table, its indexes, and hosts that the test can hold up or end. */
class World {
  readonly clock = new ManualClock()
  readonly items = new Map<string, string>()
  /** Batches wait while it is set. */
  held: Promise<void> | undefined
  hosts = 0
  lose: (error: Error) => void = () => {}

  private constructor(
    readonly tables: Tables,
    readonly log: ShardedLog,
    readonly search: SearchIndexes,
  ) {}

  static async open(): Promise<World> {
    const storage = new MemoryStorage()
    let world: World
    const clock = new ManualClock()
    const { commit } = await open(storage, mkdtempSync(join(folder, 'store-')), { clock })
    const counters = await Counters.open(storage)
    const log = await ShardedLog.open({ storage, commit, counters, limits: logLimits })
    const names = { region: 'here', accountId: '123456789012', eventIdPrefix: () => 'e', streamRetentionMs: 86_400_000 }
    const tables = await Tables.open({ storage, commit, counters, log, clock, logger: silentLogger, ...names })
    const search = new SearchIndexes({
      commit,
      tables,
      log,
      clock,
      logger: silentLogger,
      settings,
      stored: [],
      openHost: (given, onLost) => {
        world.hosts++
        world.lose = onLost as (error: Error) => void
        const session = new IndexSession(given)
        const host: IndexHost = {
          apply: async (batch) => {
            await world.held
            return session.apply(batch)
          },
          search: (query) => session.search(query),
          close: () => session.close(),
        }
        return host
      },
    })
    world = new World(tables, log, search)
    Object.assign(world, { clock })
    search.start()
    return world
  }

  async aws(operation: string, input: object): Promise<unknown> {
    return this.tables.execute('DynamoDB_20120810', operation, Buffer.from(JSON.stringify(input)))
  }

  async table(): Promise<void> {
    await this.aws('CreateTable', {
      TableName: 'todo',
      AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
  }

  async put(id: string, title: string): Promise<void> {
    await this.aws('PutItem', { TableName: 'todo', Item: { id: { S: id }, title: { S: title } } })
    this.items.set(id, title)
  }

  async remove(id: string): Promise<void> {
    await this.aws('DeleteItem', { TableName: 'todo', Key: { id: { S: id } } })
    this.items.delete(id)
  }

  async split(at: number): Promise<void> {
    const open = this.log.openShards(this.log.streamNamed('table:todo')!.id)
    await this.log.split(open[at % open.length]!.shard.id)
  }

  create(): Promise<unknown> {
    return this.search.create({ name: 'words', table: 'todo', fields: ['title'] })
  }

  get phase(): string {
    return this.search.index('words').phase
  }

  ready(): Promise<void> {
    return until(() => this.phase === 'ready')
  }

  /** Ids by what is found of everything written so far. */
  async found(q: string): Promise<string[]> {
    const wait = { sequence: this.log.nextSequence() - 1, ms: 1000 }
    const { hits, sequence } = await this.search.index('words').search(checkQuery({ q, limit: '1000' }), wait)
    expect(sequence).toBeGreaterThanOrEqual(wait.sequence)
    return hits.map(({ key }) => (key.id as { S: string }).S).sort()
  }

  expected(word: string): string[] {
    return [...this.items]
      .filter(([, title]) => title.split(' ').includes(word))
      .map(([id]) => id)
      .sort()
  }
}

type Step =
  | { readonly kind: 'put'; readonly id: number; readonly word: string }
  | { readonly kind: 'remove'; readonly id: number }
  | { readonly kind: 'split'; readonly at: number }
  | { readonly kind: 'turn' }
  | { readonly kind: 'search' }
  | { readonly kind: 'rebuild' }

const words = ['milk', 'eggs', 'tea']
const anyId = fc.nat(19)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('put' as const), id: anyId, word: fc.constantFrom(...words) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), id: anyId }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('split' as const), at: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.constantFrom({ kind: 'turn' as const }, { kind: 'search' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'rebuild' as const }) },
)

test('what is found is what was written before, whatever is written, split or built again meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const world = await World.open()
      await world.table()
      for (const id of [1, 2, 3]) await world.put(`id-${id}`, 'milk eggs')
      await world.create()
      const check = async () => {
        for (const word of words) expect(await world.found(word)).toEqual(world.expected(word))
      }
      for (const each of steps) {
        if (each.kind === 'put') await world.put(`id-${each.id}`, `${each.word} bread`)
        else if (each.kind === 'remove') await world.remove(`id-${each.id}`)
        else if (each.kind === 'rebuild') await world.search.rebuild('words')
        else if (each.kind === 'search') await check()
        else if (each.kind === 'turn') await new Promise((resolve) => setImmediate(resolve))
        else if (world.log.streamNamed('table:todo')) await world.split(each.at)
      }
      await check()
      expect(world.search.show('words').documents).toBe(world.items.size)
      await world.search.close()
    }),
    { numRuns: 25 },
  )
})

test('an index is shown only when everything up to the end of its items is in', async () => {
  const world = await World.open()
  await world.table()
  await world.put('one', 'milk')
  let go = () => {}
  world.held = new Promise((resolve) => {
    go = resolve
  })
  await world.create()
  await until(() => world.phase === 'building')
  await world.put('one', 'eggs')
  const index = world.search.index('words')
  await expect(index.search(checkQuery({ q: 'milk' }))).rejects.toMatchObject({ code: 'SEARCH_NOT_READY' })
  go()
  world.held = undefined
  expect(await world.found('eggs')).toEqual(['one'])
  expect(await world.found('milk')).toEqual([])
  await world.search.close()
})

test('a wait ends with an error when the index does not come so far in time, or the number was not given yet', async () => {
  const world = await World.open()
  await world.table()
  await world.create()
  await world.ready()
  const index = world.search.index('words')
  const query = checkQuery({ q: 'milk' })
  world.held = new Promise(() => {})
  await world.put('one', 'milk')
  const sequence = world.log.nextSequence() - 1
  const waiting = index.search(query, { sequence, ms: 500 })
  const refused = expect(waiting).rejects.toMatchObject({ code: 'SEARCH_NOT_READY', retryable: true })
  await new Promise((resolve) => setImmediate(resolve))
  world.clock.advance(500)
  await refused
  await expect(index.search(query, { sequence: sequence + 1, ms: 500 })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  // Without a wait the answer says how far it is.
  expect((await index.search(query)).sequence).toBeLessThan(sequence)
})

test('a table that goes takes what is found along, and one of the same name is indexed anew', async () => {
  const world = await World.open()
  await world.table()
  await world.put('one', 'milk')
  await world.create()
  await world.ready()
  await world.aws('DeleteTable', { TableName: 'todo' })
  world.items.clear()
  await until(() => world.phase === 'waiting' && world.search.show('words').reason !== undefined)
  await expect(world.search.index('words').search(checkQuery({ q: 'milk' }))).rejects.toMatchObject({
    code: 'SEARCH_NOT_READY',
  })
  await world.table()
  await world.put('two', 'milk')
  world.clock.advance(1000)
  await world.ready()
  expect(await world.found('milk')).toEqual(['two'])
  await world.search.close()
})

test('an index whose thread is lost is built again after a pause; one that is full stays so until it is asked', async () => {
  const world = await World.open()
  await world.table()
  await world.put('one', 'milk')
  await world.create()
  await world.ready()
  const index = world.search.index('words')
  world.lose(new Error('gone'))
  await until(() => world.phase === 'failed')
  await expect(index.search(checkQuery({ q: 'milk' }))).rejects.toMatchObject({
    code: 'SEARCH_FAILED',
    retryable: true,
  })
  world.clock.advance(1000)
  await world.ready()
  expect(await world.found('milk')).toEqual(['one'])
  expect(world.hosts).toBe(2)

  for (let i = 0; i < 100; i++) await world.put(`id-${i}`, 'milk')
  await until(() => world.phase === 'full')
  await expect(index.search(checkQuery({ q: 'milk' }))).rejects.toMatchObject({ code: 'SEARCH_FULL', retryable: false })
  expect(world.search.show('words')).toMatchObject({ documents: 0, reason: expect.stringContaining('documentsMax') })
  await world.remove('id-1')
  await world.search.rebuild('words')
  await world.ready()
  expect(await world.found('milk')).toHaveLength(100)
  await world.search.close()
})

test('what may be asked of the manager', async () => {
  const world = await World.open()
  await expect(world.create()).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await world.table()
  await world.create()
  await expect(world.create()).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
  await world.ready()
  const search = (q: string, fields: string) => world.search.index('words').search(checkQuery({ q, fields }))
  await expect(search('a', 'note')).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await world.search.delete('words')
  await expect(world.search.delete('words')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  for (const wrong of [
    { q: ' ' },
    { q: 'a', limit: '0' },
    { q: 'a', fuzzy: '3' },
    { q: 'a', prefix: 'yes' },
    { q: 'a', match: 'some' },
  ])
    expect(() => checkQuery(wrong), JSON.stringify(wrong)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
})
