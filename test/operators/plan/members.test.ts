import { describe, expect, it } from 'vitest'
import {
  file,
  files,
  hopping,
  http,
  kafka,
  listState,
  mapState,
  openSearch,
  pattern,
  pipeline,
  session,
  sink,
  sliding,
  stream,
  table,
  tumbling,
  typed,
} from '../../../src/index.js'
import { testPipeline } from '../../../src/testing/index.js'

const flow = () => pipeline('p').from(stream<number>('s'))
const keyed = () => flow().keyBy((record) => record.key)
const changes = () =>
  pipeline('p')
    .from(table('t'))
    .keyBy((change) => String(change.keys.id))
const windows = () => keyed().window(tumbling('1m'))
const one = () => 1
const item = () => ({ id: '1' })
const url = 'http://localhost:9'
const step = pattern<{ readonly value: number }>().begin('a', () => true)
const test = () =>
  testPipeline(changes().to(table('out', item)), { tables: { t: { hash: 'id' }, out: { hash: 'id' } } })

/** What each door takes, as it is: what it is given beside its known members it refuses, with the name of the place. */
const doors: readonly [place: string, open: (beside: never) => unknown, known: object][] = [
  ['The source table t', (given) => table('t', given), { snapshot: true }],
  ['The source of files a.csv', (given) => files('a.csv', given), { format: 'csv', key: 'k', time: 't' }],
  ['The Kafka source t', (given) => kafka('t', given), { start: 'oldest', brokers: 'b:1', cluster: undefined }],
  ['The Kafka sink t', (given) => kafka('t', one as never, given), { compression: 'gzip', linger: 5, retry: {} }],
  ['The file sink f', (given) => file('f', one, given), { format: 'csv', columns: ['a'], roll: undefined }],
  ['roll of The file sink f', (roll) => file('f', one, { roll }), { bytesMax: 1, every: '1h' }],
  ['The HTTP sink http://localhost:9', (given) => http(url, given), { method: 'PUT', headers: { a: 'b' }, body: one }],
  ['retry of The HTTP sink', (retry) => http(url, { retry }), { first: '1s', longest: '2s' }],
  ['breaker of The HTTP sink', (breaker) => http(url, { breaker }), { failures: 1, pause: '2s' }],
  ['The OpenSearch sink i', (given) => openSearch('i', one as never, given), { url, gcDeletes: '1h', breaker: {} }],
  ['tls of The OpenSearch sink i', (tls) => openSearch('i', one as never, { url, tls }), { caFile: 'ca.pem' }],
  ['The template of The OpenSearch', (template) => openSearch('i', one as never, { url, template }), { priority: 1 }],
  ['The sink s', (given) => sink(given), { name: 's', write: one, open: undefined, batchMax: 5 }],
  ['(eventTime)', (given) => flow().eventTime(undefined, given), { outOfOrder: '1s', idleAfter: '1m' }],
  ['(asyncMap)', (given) => flow().asyncMap(one, given), { concurrency: 2, ordered: false, timeout: '1s' }],
  ['(asyncMap)', (given) => keyed().asyncMap(one, given), { concurrency: 2, ordered: false, timeout: '1s' }],
  ['(count)', (given) => keyed().count('c', given), { combine: true, ttl: '1d', version: 2, migrate: one }],
  ['(sum)', (given) => keyed().sum('c', one, given), { combine: true, ttl: '1d' }],
  ['(min)', (given) => keyed().min('c', one, given), { ttl: '1d' }],
  ['(max)', (given) => keyed().max('c', one, given), { ttl: '1d' }],
  ['(average)', (given) => keyed().average('c', one, given), { ttl: undefined }],
  ['(distinct)', (given) => keyed().distinct('c', one, given), { max: 5, ttl: '1d' }],
  ['(topN)', (given) => keyed().topN('c', 3, given), { by: one, id: one, max: 5 }],
  ['(reduce)', (given) => keyed().reduce('c', (a) => a, given), { combine: true }],
  ['(aggregate)', (given) => keyed().aggregate('c', one, one, given), { version: 2 }],
  ['(deduplicate)', (given) => keyed().deduplicate('c', given), { by: one, within: '1h' }],
  [
    '(process)',
    (given) => keyed().process('c', given),
    { state: {}, sides: {}, emits: typed(), onRow() {}, onTimer() {} },
  ],
  ['(process)', (given) => keyed().process('c', { onRow() {} }, given), { ttl: '1d' }],
  ['listState', (given) => listState(given), { max: 5 }],
  ['mapState', (given) => mapState(given), { max: 5 }],
  ['(window)', (given) => keyed().window(tumbling('1m'), given), { allowedLateness: '1s', early: undefined }],
  ['early of Step 2', (early) => keyed().window(tumbling('1m'), { early }), { every: '1s', count: 5 }],
  ['(window), in its tumbling', (given) => keyed().window(tumbling('1m', given)), { time: 'event', offset: '1s' }],
  ['(window), in its hopping', (given) => keyed().window(hopping('1m', '1s', given)), { offset: '1s' }],
  ['(window), in its sliding', (given) => keyed().window(sliding('1m', given)), { time: 'processing' }],
  ['(window), in its session', (given) => keyed().window(session('1m', given)), { time: 'processing' }],
  ['(tumbling.count)', (given) => windows().count('c', given), { version: 2, migrate: one }],
  ['(tumbling.sum)', (given) => windows().sum('c', one, given), { version: 2 }],
  ['(tumbling.min)', (given) => windows().min('c', one, given), { version: 2 }],
  ['(tumbling.max)', (given) => windows().max('c', one, given), { version: 2 }],
  ['(tumbling.average)', (given) => windows().average('c', one, given), { version: 2 }],
  ['(tumbling.distinct)', (given) => windows().distinct('c', one, given), { max: 5 }],
  ['(tumbling.topN)', (given) => windows().topN('c', 3, given), { by: one, id: one, max: 5 }],
  ['(tumbling.reduce)', (given) => windows().reduce('c', (a) => a, given), { version: 2 }],
  ['(tumbling.aggregate)', (given) => windows().aggregate('c', one, one, given), { merge: one }],
  ['(tumbling.process)', (given) => windows().process('c', one, given), { max: 5 }],
  ['(join)', (given) => keyed().join('j', keyed(), given, one), { within: '1s', type: 'left', allowedLateness: 0 }],
  ['within of Step 2', (within) => keyed().join('j', keyed(), { within }, one), { before: '1s', after: '2s' }],
  ['(joinTable)', (given) => keyed().joinTable('j', changes(), given, one), { mode: 'asOf', keep: '1h', row: one }],
  ['(joinTables)', (given) => changes().joinTables('j', changes(), given, one), { row: one, otherRow: one }],
  ['(pattern)', (given) => keyed().pattern('p', step, given), { skip: 'none', partialMax: 5, waitingMax: 5, ttl: 5 }],
]

const testDoors: readonly [place: string, open: (beside: never) => Promise<unknown>, known: object][] = [
  ['testPipeline', (given) => testPipeline(flow().to(file('f')), given), { seed: 2, shards: 1, tasks: 1, now: 5 }],
  ['faults of testPipeline', (faults) => testPipeline(flow().to(file('f')), { faults }), { crash: 0, split: 0 }],
  ['The key of the table t', (t) => testPipeline(flow().to(file('f')), { tables: { t } }), { hash: 'a', range: 'b' }],
  [
    'A key attribute of the table t',
    (hash) => testPipeline(flow().to(file('f')), { tables: { t: { hash } } }),
    { name: 'a', type: 'N' },
  ],
  ['A change of the table t', async (given) => (await test()).push('t', given), { type: 'insert', new: item() }],
  [
    'A record of s',
    async (given) => (await testPipeline(flow().to(file('f')))).push('s', given),
    { key: 'a', value: 1, time: 5 },
  ],
  ['expectSameAs', async (given) => (await test()).expectSameAs(() => [], given), { sink: 'out', isOrdered: true }],
]

const all = [
  ...doors.map((door) => [...door, 'PIPELINE_INVALID'] as const),
  ...testDoors.map((door) => [...door, 'BAD_REQUEST'] as const),
]

describe('an unknown member', () => {
  it.each(all)('of %s is refused, with those that there are', async (place, open, known, code) => {
    const names = Object.keys(known)
    await (async () => open(known as never))()
    const unknown = `${names[0]}x`
    const refused = (async () => open({ ...known, [unknown]: undefined } as never))()
    await expect(refused).rejects.toMatchObject({
      code,
      message: expect.stringContaining(`has no member ${unknown}; is ${names[0]} meant?`),
      remedy: expect.stringMatching(/^Those it has: .*\.$/),
    })
    await expect(refused).rejects.toThrow(place)
  })

  it('is named without another one where none is near', () => {
    expect(() => keyed().window(tumbling('1m'), { lateness: '1s' } as never)).toThrow(/has no member lateness\.$/)
  })

  it('of an object of a class of its own is its own affair', () => {
    class Counting {
      calls = 0
      onRow() {
        this.calls++
      }
    }
    expect(() => keyed().process('c', new Counting())).not.toThrow()
  })

  it('has no place in what is no object', () => {
    expect(() => keyed().count('c', '1d' as never)).toThrow('was given options that are no object')
    expect(() => keyed().count('c', null as never)).not.toThrow()
  })
})
