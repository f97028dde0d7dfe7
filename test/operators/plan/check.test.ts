import { describe, expect, it } from 'vitest'
import { file, http, kafka, listState, pipeline, sink, stream, table, typed, valueState } from '../../../src/index.js'
import { describePlan, planOf } from '../../../src/operators/plan/index.js'
import { planMark } from '../../../src/operators/types.js'
import { MillraceError } from '../../../src/runtime/index.js'

const from = () => pipeline('p').from(stream<{ user: string; n: number }>('s'))
const keyed = () => from().keyBy((record) => record.value.user)
const out = () => file('f')
/** What plain JavaScript may give, where TypeScript would refuse it. */
const odd = (value: unknown) => value as never

describe('a pipeline that cannot run is refused with a sentence that names the step and the remedy', () => {
  it.each<[string, () => unknown, RegExp, RegExp]>([
    ['nothing', () => undefined, /exports no pipeline/, /export default pipeline/],
    ['an empty list of ends', () => [], /exports no pipeline/, /export default pipeline/],
    ['something else', () => ({}), /exports no pipeline/, /export default/],
    ['no sink', () => keyed().count('n'), /p has no sink/, /\.to\(table/],
    ['a bad name', () => pipeline('a b').from(stream('s')).to(out()), /"a b" is no name/, /letters/],
    [
      'a bad onError',
      () => pipeline('p').onError(odd('skip')).from(stream('s')).to(out()),
      /p has onError\("skip"\)/,
      /'park'/,
    ],
    [
      'two ways to fail',
      () =>
        pipeline('p')
          .onError('stop')
          .from(stream('s'))
          .merge(pipeline('p').onError('park').from(stream('t')))
          .to(out()),
      /p is begun with onError\('stop'\) and with onError\('park'\)/,
      /once/,
    ],
    ['no source', () => pipeline('p').from(odd(out())), /p reads from something that is no source/, /stream\(name\)/],
    ['a source without a name', () => pipeline('p').from(stream('')).to(out()), /source of p has no name/, /Name/],
    [
      'a source as a sink',
      () => from().to(odd(stream('s'))),
      /Step 1 of p sends to something that is no sink/,
      /Give to/,
    ],
    ['a sink without a name', () => from().to(file('')), /Step 1 of p \(sink\) has no path/, /Name where/],
    [
      'a table sink whose function is none',
      () => from().to({ sink: { kind: 'table', name: 't', run: odd(5) } }),
      /Step 1 of p \(sink\) has no function/,
      /item or record/,
    ],
    [
      'a filter without a function',
      () => from().filter(odd(5)),
      /Step 1 of p \(filter\) has no function/,
      /Give it one/,
    ],
    ['a sum without a function', () => keyed().sum('n', odd(undefined)), /Step 2 of p \(sum\) has no function/, /Give/],
    [
      'an aggregate without its beginning',
      () => keyed().aggregate('n', odd(0), () => 0),
      /Step 2 of p \(aggregate\) has no function that gives its first state/,
      /initial/,
    ],
    [
      'a process step without onRow',
      () => keyed().process('n', odd({})),
      /Step 2 of p \(process\) has no function/,
      /Give/,
    ],
    [
      'a piece of state that begins with a value',
      () => keyed().process('n', { state: { n: valueState(odd(0)) }, onRow: () => {} }),
      /Step 2 of p \(process\) gives the state n an initial value that is no function/,
      /valueState\(\(\) => 0\)/,
    ],
    [
      'a piece of state that is none',
      () => keyed().process('n', { state: { n: odd(0) }, onRow: () => {} }),
      /Step 2 of p \(process\) declares the state n as something that is no piece of state/,
      /valueState\(\), listState\(\) or mapState\(\)/,
    ],
    [
      'a count without a key',
      () =>
        odd(from() as unknown as { count(name: string): unknown }) &&
        (from() as unknown as { count(name: string): unknown }).count('n'),
      /Step 1 of p \(count\) keeps state per key, but nothing says which key/,
      /\.keyBy/,
    ],
    [
      'state without a name',
      () => keyed().count(odd(undefined)).to(out()),
      /Step 2 of p \(count\) has no name for its state/,
      /\.count\('perKey'\)/,
    ],
    [
      'two steps with one name',
      () =>
        keyed()
          .count('a')
          .sum('a', (n) => n)
          .to(out()),
      /Step 3 of p \(sum\) has the name a, which step 2 has/,
      /each step its own/,
    ],
    [
      'two branches with one name',
      () => {
        const [left, right] = keyed().branch(() => true)
        return [left.count('a').to(out()), right.count('a').to(out())]
      },
      /has the name a/,
      /each step its own/,
    ],
    [
      'a bad duration',
      () => from().eventTime((record) => record.time, { outOfOrder: '5 minutes' }),
      /"5 minutes" is no duration for outOfOrder of Step 1 of p \(eventTime\)/,
      /'5m'/,
    ],
    [
      'a duration below nothing',
      () => from().asyncMap((record) => record, { timeout: -5 }),
      /-5 is no duration for the timeout of Step 1 of p \(asyncMap\)/,
      /'10s'/,
    ],
    [
      'a bad ttl',
      () => keyed().count('n', { ttl: 'soon' }),
      /"soon" is no duration for the ttl of step 2 of p \(count\)/,
      /'7d'/,
    ],
    [
      'a version of nothing',
      () => keyed().count('n', { version: 0 }),
      /Step 2 of p \(count\) has 0 as the version/,
      /from 1/,
    ],
    [
      'a migrate that is no function',
      () => keyed().count('n', { migrate: odd(5) }),
      /Step 2 of p \(count\) was given a migrate/,
      /fromVersion/,
    ],
    [
      'a concurrency of nothing',
      () => from().asyncMap((record) => record, { concurrency: 0 }),
      /Step 1 of p \(asyncMap\) has a concurrency of 0/,
      /from 1 to/,
    ],
    [
      'a branch without functions',
      () => from().branch(),
      /Step 1 of p \(branch\) has 0 functions/,
      /one for each output/,
    ],
    [
      'a merge with nothing',
      () => from().merge(),
      /Step 1 of p \(merge\) has nothing to merge with/,
      /one flow or several/,
    ],
    [
      'a merge with no flow',
      () => from().merge(odd(5)),
      /Step 1 of p \(merge\) was given something that is no flow/,
      /same pipeline/,
    ],
    [
      'a merge with another pipeline',
      () => from().merge(pipeline('q').from(stream('s'))),
      /pipeline p \(merge\) takes a flow of the pipeline q/,
      /one name/,
    ],
    [
      'ends of two pipelines',
      () => [from().to(out()), pipeline('q').from(stream('s')).to(out())],
      /two pipelines, p and q/,
      /one name/,
    ],
    [
      'a top of nothing',
      () => keyed().topN('t', 0, { by: () => 1 }),
      /0 is no n of Step 2 of p \(topN\)/,
      /at least 1/,
    ],
    [
      'a top that keeps less than it shows',
      () => keyed().topN('t', 5, { by: () => 1, id: () => 1, max: 4 }),
      /4 is no max of Step 2 of p \(topN\)/,
      /at least 5/,
    ],
    ['a top without a score', () => keyed().topN('t', 5, odd({})), /Step 2 of p \(topN\) has no function/, /Give/],
    [
      'a distinct without a bound',
      () => keyed().distinct('d', undefined, { max: Infinity }),
      /Infinity is no max of Step 2 of p \(distinct\)/,
      /whole number/,
    ],
    [
      'a deduplicate that never forgets',
      () => keyed().deduplicate('d', { by: (record) => record.key }),
      /Step 2 of p \(deduplicate\) would remember every value/,
      /within: '1h'.*ttl/,
    ],
    [
      'a side output that is not there',
      () => keyed().count('n').side(odd('late')),
      /Step 3 of p \(side\) takes the output late/,
      /right behind/,
    ],
    ['an address that is none', () => from().to(http('example')), /"example" is no URL/, /http:\/\//],
    [
      'Kafka without brokers',
      () => from().to(kafka('t', () => null, odd({ brokers: [] }))),
      /Kafka sink t has no brokers/,
      /host:9092/,
    ],
    [
      'a Kafka source without a topic',
      () => pipeline('p').from(kafka(odd(''))),
      /Kafka source {2}has no topic/,
      /letters/,
    ],
    [
      'a Kafka source that begins nowhere',
      () => pipeline('p').from(kafka('t', odd({ start: 'middle' }))),
      /Kafka source t begins at "middle"/,
      /oldest/,
    ],
    [
      "a sink of one's own without write",
      () => from().to(sink(odd({ name: 'mine' }))),
      /The sink mine has no write function/,
      /Give/,
    ],
    [
      'a CSV file without columns',
      () => from().to(file('f', undefined, { format: 'csv' })),
      /file sink f has no columns/,
      /columns: \[/,
    ],
    [
      'a file that rolls never',
      () => from().to(file('f', undefined, { roll: {} })),
      /rolls, but is not told when/,
      /bytesMax/,
    ],
    ['a plan of the future', () => ({ [planMark]: { version: 3, name: 'p' } }), /made for version 3/, /this version/],
  ])('%s', (_what, make, says, remedy) => {
    let error: unknown
    try {
      planOf(make())
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(MillraceError)
    expect(error).toMatchObject({
      code: 'PIPELINE_INVALID',
      message: expect.stringMatching(says),
      remedy: expect.stringMatching(remedy),
    })
  })

  it('more steps than may be', () => {
    let flow = from()
    for (let i = 0; i < 250; i++) flow = flow.filter(() => true)
    expect(() => planOf(flow.to(out()))).toThrow('p has 252 steps; 200 are allowed.')
  })
})

describe('a plan', () => {
  it('is a graph in which inputs come first and what flows share is there once', () => {
    const records = from().filter((record) => record.value.n > 0)
    const [big, rest] = records.branch((record) => record.value.n > 5)
    const counted = big
      .merge(rest)
      .keyBy((record) => record.value.user)
      .count('n')
    const plan = planOf([counted.to(out()), rest.to(file('rest')), records.to(file('all')), records.to(file('all'))])
    expect(describePlan(plan)).toEqual({
      version: 2,
      name: 'p',
      nodes: [
        { kind: 'source', inputs: [], source: { kind: 'stream', name: 's' } },
        { kind: 'filter', inputs: [0] },
        { kind: 'branch', inputs: [1], outputs: 2 },
        { kind: 'output', inputs: [2], output: '0' },
        { kind: 'output', inputs: [2], output: '1' },
        { kind: 'merge', inputs: [3, 4] },
        { kind: 'keyBy', inputs: [5] },
        {
          kind: 'keyed',
          inputs: [6],
          operator: 'count',
          name: 'n',
          sides: [],
          state: { version: 1, canMigrate: false },
          bound: 'per key: one number',
        },
        { kind: 'sink', inputs: [7], name: 'file:f', sink: { kind: 'file', target: 'f', format: 'ndjson' } },
        { kind: 'sink', inputs: [4], name: 'file:rest', sink: { kind: 'file', target: 'rest', format: 'ndjson' } },
        { kind: 'sink', inputs: [1], name: 'file:all', sink: { kind: 'file', target: 'all', format: 'ndjson' } },
        { kind: 'sink', inputs: [1], name: 'file:all#2', sink: { kind: 'file', target: 'all', format: 'ndjson' } },
      ],
    })
  })

  it('describes everything without a function, as JSON', () => {
    const delivery = {
      batchMax: 100,
      batchBytesMax: 1024 * 1024,
      lingerMs: 0,
      timeoutMs: 10_000,
      retryMs: 200,
      retryMsMax: 30_000,
      breakerFailures: 5,
      breakerMs: 30_000,
    }
    const flow = pipeline('p')
      .from(table('t', { snapshot: true }))
      .eventTime(undefined, { outOfOrder: '5s', idleAfter: '2m' })
      .peek(() => {})
      .asyncMap((change) => change.type, { concurrency: 2, ordered: false, timeout: '1s' })
      .through('middle', (type) => ({ key: type, value: type }))
      .keyByPartition()
      .process(
        'mine',
        {
          state: { n: valueState(() => 0), list: listState<string>({ max: 3 }) },
          sides: { odd: typed<string>() },
          onRow: () => {},
        },
        { version: 2, migrate: (state) => state, ttl: '1h' },
      )
    const plan = planOf([
      flow.to(
        file('f.csv', () => [1], { format: 'csv', columns: ['a'], roll: { every: '1h', bytesMax: 5 } }),
        'named',
      ),
      flow.side('odd').to(http('http://a/b')),
      flow.to(kafka('topic', () => null, { brokers: 'a:1' })),
      flow.to(sink({ name: 'own', write: () => {} })),
    ])
    const description = describePlan(plan)
    expect(JSON.parse(JSON.stringify(description))).toEqual(description)
    expect(description.nodes.slice(1)).toEqual([
      { kind: 'eventTime', inputs: [0], outOfOrderMs: 5000, idleMs: 120_000 },
      { kind: 'peek', inputs: [1] },
      { kind: 'asyncMap', inputs: [2], concurrency: 2, isOrdered: false, timeoutMs: 1000 },
      { kind: 'through', inputs: [3], stream: 'middle' },
      { kind: 'keyByPartition', inputs: [4] },
      {
        kind: 'keyed',
        inputs: [5],
        operator: 'process',
        name: 'mine',
        sides: ['odd'],
        state: { version: 2, canMigrate: true, ttlMs: 3_600_000 },
        bound: 'per key: n, list (3 entries)',
      },
      {
        kind: 'sink',
        inputs: [6],
        name: 'named',
        sink: {
          kind: 'file',
          target: 'f.csv',
          format: 'csv',
          columns: ['a'],
          roll: { everyMs: 3_600_000, bytesMax: 5 },
        },
      },
      { kind: 'output', inputs: [6], output: 'odd' },
      {
        kind: 'sink',
        inputs: [8],
        name: 'http:http://a/b',
        sink: { kind: 'http', target: 'http://a/b', delivery, http: { method: 'POST', headers: {}, format: 'json' } },
      },
      {
        kind: 'sink',
        inputs: [6],
        name: 'kafka:topic',
        sink: {
          kind: 'kafka',
          target: 'topic',
          delivery: { ...delivery, batchMax: 500, batchBytesMax: 512 * 1024, timeoutMs: 30_000 },
          kafka: { brokers: ['a:1'], compression: 'none' },
        },
      },
      { kind: 'sink', inputs: [6], name: 'user:own', sink: { kind: 'user', target: 'own', delivery } },
    ])
    expect(description.nodes[0]).toEqual({
      kind: 'source',
      inputs: [],
      source: { kind: 'table', name: 't', snapshot: true },
    })
  })

  it('of an array with one end is that of the end', () => {
    const flow = keyed().count('n').to(out())
    expect(describePlan(planOf([flow]))).toEqual(describePlan(planOf(flow)))
  })
})

describe('onError of a pipeline', () => {
  it('is part of the plan, goes over every step, and is absent where nothing is said', () => {
    const stopping = pipeline('p').onError('stop')
    const one = stopping.from(stream('s')).filter(() => true)
    const two = pipeline('p').from(stream('t'))
    expect(describePlan(planOf(one.to(out()))).onError).toBe('stop')
    expect(describePlan(planOf(two.merge(one).to(out()))).onError).toBe('stop')
    expect(describePlan(planOf([two.to(out()), one.to(out())])).onError).toBe('stop')
    expect(describePlan(planOf(two.to(out())))).not.toHaveProperty('onError')
  })
})
