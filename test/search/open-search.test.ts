import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { CommitPath, EffectSet } from '../../src/commit/index.js'
import type { Group, Position } from '../../src/groups/index.js'
import type { Sequence, Shard, StreamId } from '../../src/log/index.js'
import { describePlan, openSearch, pipeline, planOf, stream, withoutSecrets } from '../../src/operators/index.js'
import { openSearchEntry } from '../../src/operators/open-search-entry.js'
import type { OpenSearchSinkPlan } from '../../src/operators/plan/index.js'
import { type Clock, systemClock, Wake } from '../../src/runtime/index.js'
import { Breaker } from '../../src/sinks/delivery/breaker.js'
import { batchOf, type OutboxRecord } from '../../src/sinks/delivery/deliverer.js'
import { bulkOutcome, newestOfEach } from '../../src/sinks/delivery/open-search/bulk.js'
import { timeMs } from '../../src/sinks/delivery/open-search/gc-deletes.js'
import { OpenSearchDeliverer } from '../../src/sinks/delivery/open-search/open-search-deliverer.js'
import type { ShardDelivered } from '../../src/sinks/delivery/outbox-rows.js'
import { ShardDelivery } from '../../src/sinks/delivery/shard-delivery.js'
import { newAuthority } from '../kafka/certificates.js'
import { MemoryLog, newRecord } from '../kafka/memory.js'
import { FakeSearchServer, type Fault } from './fake-search-server.js'

// The sink for search servers against one in memory, which fails in every way that a real one does.
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'))
let server: FakeSearchServer
let warnings: string[]

beforeAll(async () => {
  server = await FakeSearchServer.start()
})
beforeEach(() => {
  server.clear()
  server.fault = server.otherFault = () => undefined
  server.isBad = () => false
  server.remembersDeletes = true
  server.gcDeletes = undefined
  warnings = []
})
afterAll(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

const quick = { retry: { first: '1ms', longest: '4ms' }, breaker: { failures: 3, pause: '2ms' }, linger: 0 }
type Options = Parameters<typeof openSearch>[2]
const planned = (options: Partial<Options> = {}): OpenSearchSinkPlan =>
  openSearch('tasks', () => null, { url: server.url, ...quick, ...options }).sink as OpenSearchSinkPlan

function deliverer(
  options: Partial<Options> = {},
  { nextVersion = 1e9, clock = systemClock }: { readonly nextVersion?: number; readonly clock?: Clock } = {},
) {
  const sink = planned(options)
  const logger = { warn: (_fields: object, text: string) => void warnings.push(text) }
  return new OpenSearchDeliverer(
    { ...sink, timeoutMs: sink.delivery.timeoutMs } as never,
    { clock, logger, nextVersion: () => nextVersion } as never,
  )
}

const record = (sequence: number, id: string, document: object | null): OutboxRecord => ({
  sequence: sequence as Sequence,
  id: `event ${sequence}`,
  time: 0,
  key: Buffer.from(id),
  body: Buffer.from(openSearchEntry({ id, document })),
})
const never = new AbortController().signal
const sendBy = (to: OpenSearchDeliverer, records: readonly OutboxRecord[]) => to.deliver(batchOf(records), 1, never)
async function send(records: readonly OutboxRecord[], options: Partial<Options> = {}, around = {}) {
  const to = deliverer(options, around)
  const outcome = await sendBy(to, records)
  await to.close()
  return outcome
}

interface Operation {
  readonly id: string
  /** undefined deletes. */
  readonly n: number | undefined
}
const documentOf = ({ n }: Operation) => (n === undefined ? null : { n })

/** An outbox in memory, delivered over kills until nothing is left in it. */
class Delivered {
  readonly dead: { id: string; document: { n: number } | null }[] = []
  readonly #log = new MemoryLog()
  readonly #shard = this.#log.shards()[0] as Shard
  #position = { shard: this.#shard.id, next: this.#shard.firstSequence, ended: false } as Position
  #delivered: ShardDelivered = { records: 0, bytes: 0, batchEnd: undefined }
  #stop = new AbortController()

  constructor(operations: readonly Operation[]) {
    this.#log.append(
      operations.map((each) => newRecord(each.id, openSearchEntry({ id: each.id, document: documentOf(each) }))),
    )
  }

  /** `isKilled` says of each commit whether the daemon goes before it. */
  async run(count: number, isKilled: () => boolean, options: Partial<Options>): Promise<void> {
    while (this.#delivered.records < count) {
      this.#stop = new AbortController()
      const to = deliverer(options, { nextVersion: this.#log.nextSequence() })
      try {
        await this.#delivery(to, count, isKilled, planned(options)).run()
      } catch (error) {
        if ((error as Error).message !== 'killed') throw error
      }
      await to.close()
    }
  }

  #delivery(to: OpenSearchDeliverer, count: number, isKilled: () => boolean, { delivery }: OpenSearchSinkPlan) {
    const group: Pick<Group, 'rowsFor' | 'moved'> = {
      rowsFor: () => [],
      moved: ([position]) => {
        this.#position = position as Position
      },
    }
    const commit: Pick<CommitPath, 'submit'> = {
      submit: async ({ records = [] }: EffectSet) => {
        if (isKilled()) throw new Error('killed')
        for (const effect of records)
          for (const { body } of 'records' in effect ? effect.records : [])
            this.dead.push(JSON.parse(String(body)).value)
        return {} as never
      },
    }
    return new ShardDelivery({
      pipeline: 1,
      outbox: 1,
      position: this.#position,
      delivered: this.#delivered,
      group: group as Group,
      deadLetters: 2 as StreamId,
      log: this.#log,
      commit,
      clock: systemClock,
      random: () => 0.5,
      idOf: String,
      plan: delivery,
      deliverer: to,
      breaker: new Breaker({ failuresMax: delivery.breakerFailures, pauseMs: delivery.breakerMs }),
      wake: new Wake(systemClock, this.#stop.signal),
      stop: this.#stop.signal,
      onAttempt: () => {},
      onDelivered: (_shard, delivered) => {
        this.#delivered = delivered
        if (delivered.records === count) this.#stop.abort()
      },
    })
  }
}

const operations = fc.array(
  fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd'), n: fc.constantFrom(undefined, undefined, 1, 2, 7) }),
  { minLength: 1, maxLength: 40 },
)
/** Choices of a run, again from the first when they are used up. */
const turns = <T>(choices: readonly T[]) => {
  let at = 0
  return () => choices[at++ % choices.length] as T
}

describe('whatever the server does, and over kills', () => {
  const fault = fc.oneof(
    fc.constantFrom<Fault | undefined>(undefined, undefined, 'cut', 'takeAndCut', { status: 429 }, { status: 503 }),
    fc.constant<Fault>({ status: 200, text: '{"items":[]}' }),
    fc.constant<Fault>({ status: 413 }),
    fc
      .array(fc.constantFrom(undefined, undefined, 429 as const, 503 as const), { minLength: 1, maxLength: 7 })
      .map((statuses): Fault => ({ items: (i) => statuses[i % statuses.length] })),
  )
  const expected = (all: readonly Operation[]) => {
    const last = new Map<string, unknown>()
    for (const each of all) if (each.n !== 7) last.set(each.id, documentOf(each))
    return Object.fromEntries([...last].filter(([, document]) => document !== null).sort())
  }
  const isSeven = (source: unknown) => (source as { n: number }).n === 7

  it('the index ends as the results say, also when the server forgets deletes at once; what it refuses is a dead letter, once', async () => {
    await fc.assert(
      fc.asyncProperty(
        operations,
        fc.array(fault, { minLength: 1, maxLength: 9 }),
        fc.array(fc.boolean(), { minLength: 2, maxLength: 9 }),
        fc.integer({ min: 1, max: 12 }),
        async (all, faults, kills, batchMax) => {
          server.clear()
          server.remembersDeletes = false
          server.isBad = isSeven
          const [nextFault, nextKill] = [turns([...faults, undefined]), turns([...kills, false, false])]
          // A single document that is too large would be a dead letter.
          server.fault = ({ body }) => {
            const chosen = nextFault()
            const isAlone = body.split('"version_type"').length === 2
            return isAlone && typeof chosen === 'object' && 'status' in chosen && chosen.status === 413
              ? undefined
              : chosen
          }
          const outbox = new Delivered(all)
          await outbox.run(all.length, nextKill, { batchMax })
          expect(server.found).toEqual(expected(all))
          // A bad document that a newer one of its id follows in its batch need not be sent; in any other case it is dead, once.
          const bad = all.filter(({ n }) => n === 7).map(({ id }) => id)
          const newest = new Map(all.map((each) => [each.id, each.n]))
          expect(outbox.dead.every(({ document }) => document?.n === 7)).toBe(true)
          const dead = outbox.dead.map(({ id }) => id)
          let at = 0
          for (const id of bad) if (dead[at] === id) at++
          expect(at).toBe(dead.length)
          for (const [id, n] of newest) if (n === 7) expect(dead).toContain(id)
          if (batchMax === 1) expect(dead).toEqual(bad)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('nobody is shown an old version behind a newer one, also when the server forgets deletes at once and crashes', async () => {
    const gentle = fault.filter((each) => typeof each !== 'object' || !('status' in each) || each.status !== 413)
    await fc.assert(
      fc.asyncProperty(
        operations,
        fc.array(fc.oneof(gentle, fc.constant<Fault>('takeAndCrash')), { minLength: 1, maxLength: 9 }),
        fc.array(fc.boolean(), { minLength: 2, maxLength: 9 }),
        fc.integer({ min: 1, max: 12 }),
        async (all, faults, kills, batchMax) => {
          server.clear()
          server.remembersDeletes = false
          const [nextFault, nextKill] = [turns([...faults, undefined]), turns([...kills, false, false])]
          server.fault = () => nextFault()
          await new Delivered(all).run(all.length, nextKill, { batchMax })
          expect(server.stale).toEqual([])
          const last = new Map(all.map((each) => [each.id, documentOf(each)]))
          expect(server.found).toEqual(Object.fromEntries([...last].filter(([, document]) => document !== null).sort()))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('requests that arrive long after their sender gave them up bring no old version back while deletes are remembered', async () => {
    await fc.assert(
      fc.asyncProperty(
        operations,
        fc.array(fc.constantFrom<Fault | undefined>(undefined, 'late', 'takeAndCut', { status: 429 }), {
          minLength: 1,
        }),
        async (all, faults) => {
          server.clear()
          const next = turns([...faults, undefined])
          server.fault = () => next()
          await new Delivered(all).run(all.length, () => false, { batchMax: 5 })
          server.carryOutLate()
          expect(server.found).toEqual(
            Object.fromEntries(
              [...new Map(all.map((each) => [each.id, documentOf(each)]))].filter(([, each]) => each !== null).sort(),
            ),
          )
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('one answer', () => {
  const three = [record(5, 'a', { n: 1 }), record(6, 'b', { n: 2 }), record(7, 'a', null)]

  it('a request has the version, the routing and the text of each document, and of each id the newest alone', async () => {
    const routed = {
      ...record(8, 'x', null),
      body: Buffer.from(openSearchEntry({ id: 9, document: { t: 'ü,"document":' }, routing: 'r' })),
    }
    expect(await send([...three, routed])).toEqual({ kind: 'delivered' })
    const [{ body, headers, path }] = server.bulks as [(typeof server.bulks)[0]]
    expect(body.split('\n')).toEqual([
      '{"index":{"_index":"tasks","_id":"b","version":6,"version_type":"external_gte"}}',
      '{"n":2}',
      '{"delete":{"_index":"tasks","_id":"a","version":7,"version_type":"external_gte"}}',
      '{"index":{"_index":"tasks","_id":"9","routing":"r","version":8,"version_type":"external_gte"}}',
      '{"t":"ü,\\"document\\":"}',
      '',
    ])
    expect(headers['content-type']).toBe('application/x-ndjson')
    expect(path).toContain('timeout=30000ms')
  })

  const item = (status: number, type?: string, reason = 'why') => ({
    index: { status, ...(type === undefined ? {} : { error: { type, reason } }) },
  })
  const conflict = (version: number) =>
    item(409, 'version_conflict_engine_exception', `[a]: version conflict, current version [${version}] is higher`)
  const judged = (items: readonly object[]) =>
    bulkOutcome(
      JSON.stringify({ errors: true, items }),
      { records: three.slice(0, items.length), sent: three.slice(0, items.length) },
      100,
    )

  it.each([
    ['a conflict', conflict(99)],
    ['the deletion of what is not there', item(404)],
    ['a new document', item(201)],
  ])('%s is through', (_what, one) => {
    expect(judged([one])).toEqual({ kind: 'delivered' })
  })

  it.each([
    [400, 'mapper_parsing_exception'],
    [400, 'strict_dynamic_mapping_exception'],
    [400, 'illegal_argument_exception'],
    [422, 'anything'],
  ])('%i %s is refused', (status, type) => {
    expect(judged([item(status, type)])).toEqual({
      kind: 'partly',
      refused: [{ record: three[0], why: `${status} ${type}: why` }],
      left: [],
      why: `${status} ${type}: why`,
    })
  })

  it.each([
    [429, 'rejected_execution_exception'],
    [429, 'cluster_block_exception'],
    [403, 'cluster_block_exception'],
    [403, 'security_exception'],
    [404, 'index_not_found_exception'],
    [400, 'index_closed_exception'],
    [400, 'validation_exception'],
    [503, 'unavailable_shards_exception'],
    [500, 'anything'],
  ])('%i %s is sent again', (status, type) => {
    expect(judged([item(status, type)])).toMatchObject({ kind: 'partly', refused: [], left: [three[0]] })
  })

  it('what comes behind a document that is left is sent again with it, of its id alone, and is no dead letter yet', () => {
    expect(judged([item(429, 'busy'), item(400, 'bad'), item(400, 'bad')])).toMatchObject({
      refused: [{ record: three[1] }],
      left: [three[0], three[2]],
    })
  })

  it('what was not sent for the sake of a newer one is through with that, and comes again where that is left or refused', () => {
    const sent = newestOfEach(three, new Set())
    expect(sent).toEqual([three[1], three[2]])
    const outcome = (last: object) =>
      bulkOutcome(JSON.stringify({ errors: true, items: [item(429, 'busy'), last] }), { records: three, sent }, 100)
    expect(outcome(item(200))).toMatchObject({ refused: [], left: [three[1]] })
    expect(outcome(item(429, 'busy'))).toMatchObject({ refused: [], left: three })
    expect(outcome(item(400, 'bad'))).toMatchObject({ refused: [{ record: three[2] }], left: [three[0], three[1]] })
    expect(newestOfEach(three, new Set(['a']))).toEqual(three)
  })

  it('a version that this daemon never gave is no conflict of its own: it waits and says why', () => {
    const outcome = judged([conflict(100)])
    expect(outcome).toMatchObject({ kind: 'partly', left: [three[0]], refused: [] })
    expect(outcome).toMatchObject({ why: expect.stringContaining('This daemon never gave that version') })
  })

  it.each(['', 'null', '<html>', '{"items":[]}', '{"took":1}'])('%j is no answer', (text) => {
    expect(bulkOutcome(text, { records: three, sent: three }, 100)).toMatchObject({ kind: 'failed' })
  })
})

describe('the whole request', () => {
  const one = [record(1, 'a', { n: 1 })]

  it.each([
    [
      { status: 429, headers: { 'retry-after': '3' } },
      { kind: 'failed', afterMs: 3000 },
    ],
    [
      { status: 503, text: 'no master' },
      { kind: 'failed', why: '503 no master' },
    ],
    [{ status: 401 }, { kind: 'failed' }],
    [{ status: 403, text: 'cluster_block_exception' }, { kind: 'failed' }],
    [{ status: 400, text: 'no handler' }, { kind: 'failed' }],
    [{ status: 413 }, { kind: 'refused' }],
  ] as const)('%j', async (fault, outcome) => {
    server.fault = () => fault
    expect(await send(one)).toMatchObject(outcome)
  })

  it('is given up when there is no answer in time, and at the stop', async () => {
    server.fault = () => 'hang'
    expect(await send(one, { timeout: '30ms' })).toMatchObject({ why: `${server.url}: No answer within 30 ms.` })
    const to = deliverer()
    const stop = new AbortController()
    const sent = to.deliver(batchOf(one), 1, stop.signal)
    stop.abort()
    expect(await sent).toMatchObject({ kind: 'failed' })
    await to.close()
  })

  it('goes again at once on a new connection when the one that was idle is closed, and after it was cut once more fails', async () => {
    const to = deliverer()
    expect(await sendBy(to, one)).toEqual({ kind: 'delivered' })
    let cuts = 1
    server.fault = () => (cuts-- > 0 ? 'cut' : undefined)
    expect(await sendBy(to, one)).toEqual({ kind: 'delivered' })
    cuts = 2
    expect(await sendBy(to, one)).toMatchObject({ kind: 'failed' })
    await to.close()
  })

  it('goes to the next node when one is away, and puts the template there again', async () => {
    const other = await FakeSearchServer.start()
    const to = deliverer({ url: [server.url, `${other.url}/`] })
    expect(await sendBy(to, one)).toEqual({ kind: 'delivered' })
    server.fault = () => 'cut'
    expect(await sendBy(to, one)).toMatchObject({ kind: 'failed' })
    expect(await sendBy(to, one)).toEqual({ kind: 'delivered' })
    expect([...other.templates.keys()]).toEqual(['millrace-tasks'])
    await to.close()
    await other.close()
  })
})

describe('before the first write', () => {
  const one = [record(1, 'a', { n: 1 })]

  it('the template is put, once, with gc_deletes above the longest attempt', async () => {
    const mappings = { properties: { n: { type: 'long' } } }
    const to = deliverer({ template: { mappings, settings: { number_of_replicas: 0 } }, timeout: '4m' })
    await sendBy(to, one)
    await sendBy(to, [record(2, 'a', { n: 2 })])
    expect(server.all.map(({ method }) => method)).toEqual(['PUT', 'GET', 'POST', 'POST'])
    expect(server.templates.get('millrace-tasks')).toEqual({
      index_patterns: ['tasks'],
      priority: 200,
      template: { settings: { 'index.gc_deletes': '480004ms', number_of_replicas: 0 }, mappings },
    })
    expect(warnings).toEqual([])
    await to.close()
  })

  it('nothing is written while the template is not taken', async () => {
    server.otherFault = () => ({ status: 400, text: 'no such type' })
    expect(await send(one)).toMatchObject({ kind: 'failed', why: 'The index template is not taken: 400 no such type' })
    expect(server.bulks).toEqual([])
  })

  it.each([
    ['59s', {}, 1],
    ['61s', {}, 0],
    ['59s', { template: false as const }, 1],
    [undefined, { template: false as const }, 1],
  ])('an index that forgets after %s is warned of with what to do', async (gcDeletes, options, count) => {
    server.gcDeletes = gcDeletes
    const to = deliverer({ ...options, timeout: '30s' })
    await sendBy(to, one)
    server.fault = () => 'cut'
    await sendBy(to, one)
    server.fault = () => undefined
    expect(await sendBy(to, one)).toEqual({ kind: 'delivered' })
    expect(warnings.map((text) => text.includes('PUT /tasks/_settings {"index.gc_deletes":"300000ms"}'))).toEqual(
      Array.from({ length: count }, () => true),
    )
    await to.close()
  })

  it.each([
    ['60s', 60_000],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    ['-1', undefined],
  ])('%s is %s ms', (text, ms) => expect(timeMs(text)).toBe(ms))
})

describe('who it says it is', () => {
  const one = [record(1, 'a', { n: 1 })]
  const file = join(folder, 'secret')

  it.each([
    [{ username: 'u', passwordFile: file }, `Basic ${Buffer.from('u:from a file').toString('base64')}`],
    [
      { username: 'u', passwordVariable: 'MILLRACE_TEST_SECRET' },
      `Basic ${Buffer.from('u:of env').toString('base64')}`,
    ],
    [{ apiKeyFile: file }, 'ApiKey from a file'],
    [{ apiKeyVariable: 'MILLRACE_TEST_SECRET' }, 'ApiKey of env'],
  ])('%j', async (auth, header) => {
    writeFileSync(file, 'from a file\nmore')
    vi.stubEnv('MILLRACE_TEST_SECRET', 'of env')
    onTestFinished(() => void vi.unstubAllEnvs())
    await send(one, { auth })
    expect(server.bulks[0]?.headers.authorization).toBe(header)
  })

  it('a secret that was changed is read again after the server refused the old one; one that is missing is said', async () => {
    writeFileSync(file, 'old')
    const to = deliverer({ auth: { apiKeyFile: file } })
    server.otherFault = ({ headers }) => (headers.authorization === 'ApiKey new' ? undefined : { status: 401 })
    expect(await sendBy(to, one)).toMatchObject({ kind: 'failed' })
    writeFileSync(file, 'new')
    expect(await sendBy(to, one)).toEqual({ kind: 'delivered' })
    await to.close()
    expect(await send(one, { auth: { apiKeyVariable: 'MILLRACE_TEST_NONE' } })).toMatchObject({
      why: "The daemon's environment has no MILLRACE_TEST_NONE.",
    })
  })

  it('a server is known by its certificate', async () => {
    const authority = newAuthority('an authority')
    const secure = await FakeSearchServer.start(authority.issue('search', ['127.0.0.1']))
    const caFile = join(folder, 'ca.pem')
    writeFileSync(caFile, authority.cert)
    const url = secure.url
    expect(await send(one, { url })).toMatchObject({ kind: 'failed', why: expect.stringMatching(/certificate/) })
    expect(await send(one, { url, tls: { caFile } })).toEqual({ kind: 'delivered' })
    writeFileSync(caFile, newAuthority('another').cert)
    expect(await send(one, { url, tls: { caFile } })).toMatchObject({ kind: 'failed' })
    await secure.close()
  })

  it('no secret is in a plan, and a plan has what a delivery needs', () => {
    const flow = pipeline('p')
      .from(stream('s'))
      .to(openSearch('tasks', () => null, { url: 'http://a:9200', auth: { username: 'u', passwordFile: '/run/pw' } }))
    const { nodes } = withoutSecrets(describePlan(planOf(flow)))
    expect(nodes[1]).toMatchObject({
      name: 'openSearch:tasks',
      sink: {
        openSearch: { urls: ['http://a:9200'], auth: { username: 'u', passwordFile: '/run/pw' }, gcDeletesMs: 300_000 },
      },
    })
  })
})

describe('bad input', () => {
  const url = 'http://a:9200'
  it.each<[string, Record<string, unknown> | undefined, RegExp]>([
    ['Tasks', { url }, /has no index/],
    ['_tasks', { url }, /has no index/],
    ['a b', { url }, /has no index/],
    ['tasks', undefined, /has no options/],
    ['tasks', {}, /has no URL/],
    ['tasks', { url: [] }, /has no URL/],
    ['tasks', { url: 'ftp://a' }, /has no URL/],
    ['tasks', { url: 'http://u:p@a' }, /holds a name or a password/],
    ['tasks', { url: 'http://a?x=1' }, /has a query/],
    ['tasks', { url, urls: url }, /no member urls/],
    ['tasks', { url, auth: { username: 'u', password: 'p' } }, /auth that is none/],
    ['tasks', { url, auth: { apiKeyFile: '' } }, /auth that is none/],
    ['tasks', { url, tls: { caFile: 1 } }, /tls that is none/],
    ['tasks', { url, tls: { ca: 'x' } }, /no member ca/],
    ['tasks', { url, tls: { certFile: 'x' } }, /only one of certFile and keyFile/],
    ['tasks', { url, template: { mapping: {} } }, /no member mapping/],
    ['tasks', { url, template: { mappings: 'x' } }, /mappings that are no object/],
    ['tasks', { url, template: { priority: -1 } }, /priority/],
    ['tasks', { url, template: { settings: { index: { gc_deletes: '1s' } } } }, /sets gc_deletes/],
    ['tasks', { url, gcDeletes: '1m' }, /less than the .* that an attempt of it may last/],
    ['tasks', { url, batchMax: 0 }, /batchMax/],
  ])('%s %j is refused', (index, options, message) => {
    expect(() => openSearch(index, () => null, options as never)).toThrow(message)
  })

  it.each([
    [7, /takes \{id, document/],
    [{ id: '', document: {} }, /1 to 512 bytes/],
    [{ id: 'ü'.repeat(257), document: {} }, /1 to 512 bytes/],
    [{ id: {}, document: {} }, /text or a number/],
    [{ id: 'a' }, /as document an object/],
    [{ id: 'a', document: 'x' }, /as document an object/],
    [{ id: 'a', document: [] }, /as document an object/],
    [{ id: 'a', document: {}, routing: '' }, /routing/],
  ])('%j fails its record', (given, message) => {
    expect(() => openSearchEntry(given)).toThrow(message)
  })
})
