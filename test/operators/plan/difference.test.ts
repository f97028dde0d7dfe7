import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  file,
  hopping,
  type KeyedFlow,
  pipeline,
  session,
  stream,
  tumbling,
  type WindowOptions,
} from '../../../src/index.js'
import {
  checkRedeploy,
  describePlan,
  differenceText,
  diffPlans,
  type PlanDescription,
  planOf,
  topologyText,
} from '../../../src/operators/plan/index.js'
import { MillraceError } from '../../../src/runtime/index.js'
import { runs } from '../keyed/rows.js'

const keyed = () =>
  pipeline('p')
    .from(stream<{ user: string }>('s'))
    .keyBy((record) => record.value.user)
const described = (flow: object): PlanDescription => describePlan(planOf(flow))
const counted = (options?: object) => described(keyed().count('n', options).to(file('f')))
const migrate = (state: unknown) => state as number

describe('the difference of two versions', () => {
  it('names what was added, removed and changed, and what becomes of state', () => {
    const older = described(
      keyed()
        .filter(() => true)
        .count('a')
        .sum('b', (n) => n)
        .to(file('f'))
        .to(file('g')),
    )
    const newer = described(
      keyed()
        .peek(() => {})
        .count('a', { version: 2, migrate })
        .max('c')
        .to(file('f')),
    )
    expect(differenceText(diffPlans(older, newer)).split('\n')).toEqual([
      '  0 stream s',
      '  1 keyBy',
      '+ 2 peek',
      '~ 3 count a  (per key: one number → per key: one number; state version 2)  [state migrated]',
      '+ 4 max c  [state new]',
      '  5 to file f',
      '- 2 filter',
      '- 4 sum b  [state dropped]',
      '- 6 to file g',
    ])
  })

  it('finds a step by its name wherever it went, and the same operator under another name not', () => {
    const older = described(keyed().count('a').count('b').to(file('f')))
    const newer = described(keyed().count('b').count('a').count('z').to(file('f')))
    const states = diffPlans(older, newer).flatMap(({ label, state }) => (state ? [`${label} ${state}`] : []))
    expect(states).toEqual(['count b kept', 'count a kept', 'count z new'])
  })

  const steps: Record<string, (flow: KeyedFlow<unknown, string>) => KeyedFlow<unknown, string>> = {
    filter: (flow) => flow.filter(() => true),
    map: (flow) => flow.map((value) => value),
    peek: (flow) => flow.peek(() => {}),
  }
  const made = (kinds: readonly string[]) =>
    described(kinds.reduce<KeyedFlow<unknown, string>>((flow, kind) => steps[kind]!(flow), keyed()).to(file('f')))
  const kinds = fc.array(fc.constantFrom(...Object.keys(steps)), { maxLength: 8 })

  it('accounts for every step of both, and is empty for the same', () => {
    fc.assert(
      fc.property(kinds, kinds, (before, after) => {
        const [older, newer] = [made(before), made(after)]
        const changes = diffPlans(older, newer)
        const of = (...kind: string[]) => changes.filter(({ change }) => kind.includes(change))
        expect(of('added', 'changed', 'same').map(({ step }) => step)).toEqual([...newer.nodes.keys()])
        const same = of('changed', 'same').length
        expect(of('removed').length + same).toBe(older.nodes.length)
        // No more than needed is said to be removed: as many as in the shortest edit.
        expect(same - 3).toBe(commonLength(before, after))
        expect(diffPlans(older, older).every(({ change }) => change === 'same')).toBe(true)
      }),
      runs(300),
    )
  })
})

/** Longest common subsequence, by trying everything. */
function commonLength(a: readonly string[], b: readonly string[]): number {
  const [first, ...rest] = a
  if (first === undefined || b.length === 0) return 0
  const at = b.indexOf(first)
  return Math.max(commonLength(rest, b), at < 0 ? 0 : 1 + commonLength(rest, b.slice(at + 1)))
}

describe('a redeploy', () => {
  it.each<[string, PlanDescription, PlanDescription]>([
    ['the same', counted(), counted()],
    ['a raised version with a migrate', counted(), counted({ version: 3, migrate })],
    ['the same version, migrate left in', counted({ version: 2, migrate }), counted({ version: 2, migrate })],
    ['the same version, migrate taken out', counted({ version: 2, migrate }), counted({ version: 2 })],
    ['a ttl taken away', counted({ ttl: '1h' }), counted()],
    ['a state under a new name', counted(), described(keyed().count('m', { version: 2 }).to(file('f')))],
  ])('with %s may go on', (_what, older, newer) => {
    expect(() => checkRedeploy(older, newer)).not.toThrow()
  })

  it.each<[string, PlanDescription, PlanDescription, string, string]>([
    [
      'a raised version without a migrate',
      counted(),
      counted({ version: 2 }),
      'Step 2 of p (count) raises the state n from version 1 to 2 without a migrate function.',
      'migrate: (state, fromVersion) => newState',
    ],
    [
      'a lower version',
      counted({ version: 2 }),
      counted(),
      'Step 2 of p (count) has version 1 of the state n, but version 2 is stored.',
      'Raise the version',
    ],
    [
      'another kind of state under the name',
      counted(),
      described(keyed().distinct('n').to(file('f'))),
      'Step 2 of p (distinct) has the name n, under which count has kept its state',
      'another name',
    ],
  ])('with %s is refused with the step and the remedy', (_what, older, newer, says, remedy) => {
    expect(() => checkRedeploy(older, newer)).toThrow(MillraceError)
    try {
      checkRedeploy(older, newer)
    } catch (error) {
      expect(error).toMatchObject({
        code: 'PIPELINE_INVALID',
        message: expect.stringContaining(says),
        remedy: expect.stringContaining(remedy),
      })
    }
  })
})

describe('the topology as text', () => {
  it('draws a line as a line, and branches and merges as a tree with each step once', () => {
    const records = pipeline('p').from(stream<number>('s')).eventTime()
    const [small, rest] = records.branch((record) => record.value < 5)
    const all = small.merge(rest, pipeline('p').from(stream<number>('other'))).to(file('all'))
    const text = topologyText(described([all, rest.keyByPartition().count('n', { ttl: '90s' }).to(file('n'))]))
    expect(text.split('\n')).toEqual([
      '0 stream s',
      '1 eventTime  (out of order 0ms, idle after 1m)',
      '2 branch',
      '├─ 3 case 1',
      '│  6 merge',
      '│  7 to file all  (exactly once)',
      '└─ 4 rest',
      '   ├─ → 6 merge',
      '   └─ 8 keyByPartition',
      '      9 count n  (per key: one number; ttl 1m 30s)',
      '      10 to file n  (exactly once)',
      '5 stream other',
      '→ 6 merge',
    ])
  })
})

describe('the keys of state that is kept', () => {
  const start = pipeline('p')
  const record = (name: string) => start.from(stream<{ user: string }>(name))
  const byUser = (flow: ReturnType<typeof record>) => flow.keyBy(({ value }) => value.user)
  const sunk = (flow: KeyedFlow<unknown, never>) => described(flow.to(file('f')))
  const counts = sunk(byUser(record('s')).count('n') as never)

  it.each([
    [
      'the partition key in place of keyBy',
      sunk(record('s').keyByPartition().count('n') as never),
      /kept its state by keyBy/,
    ],
    ['another source', sunk(byUser(record('t')).count('n') as never), /stream s gave, which it reads no more/],
  ])('%s is refused, with what to do, and said to be in the difference', (_what, newer, says) => {
    expect(() => checkRedeploy(counts, newer)).toThrow(says)
    expect(differenceText(diffPlans(counts, newer))).toMatch(/ count n .*\[refused\]$/m)
  })

  it('the partition key of two sources is another key than that of one', () => {
    const one = sunk(record('s').keyByPartition().count('n') as never)
    const two = sunk(record('s').merge(record('t')).keyByPartition().count('n') as never)
    expect(() => checkRedeploy(one, two)).toThrow('the partition key of its source')
  })

  it('further sources, steps before, and another name are allowed', () => {
    const more = sunk(
      byUser(
        record('s')
          .filter(() => true)
          .merge(record('t')),
      ).count('n') as never,
    )
    expect(() => checkRedeploy(counts, more)).not.toThrow()
    const renamed = sunk(record('t').keyByPartition().count('other') as never)
    expect(() => checkRedeploy(counts, renamed)).not.toThrow()
  })
})

describe('a redeploy that could not go on with what is there', () => {
  const windowed = (spec: ReturnType<typeof tumbling>, options: WindowOptions = {}, name = 'n') =>
    described(keyed().window(spec, options).count(name).to(file('f')))
  const refused = (older: PlanDescription, newer: PlanDescription): MillraceError => {
    try {
      checkRedeploy(older, newer)
    } catch (error) {
      return error as MillraceError
    }
    throw new Error('It was not refused.')
  }

  it('has other windows under the name of a step: it is told to rename it or to deploy a shadow', () => {
    const older = windowed(tumbling('10m'))
    const cases = [
      [tumbling('1h'), 'tumbling windows of 1h', {}],
      [tumbling('10m', { offset: '5m' }), 'with an offset of 5m', {}],
      [tumbling('10m', { time: 'processing' }), 'of processing time', {}],
      [tumbling('10m'), 'with early results', { early: { count: 2 } }],
    ] as const
    for (const [spec, text, options] of cases) {
      const error = refused(older, windowed(spec, options))
      expect(error.code).toBe('PIPELINE_INVALID')
      expect(error.message).toContain(text)
      expect(error.message).toContain('tumbling windows of 10m have kept their state under the name n')
      expect(error.remedy).toMatch(/another name.*--shadow/)
    }
    for (const spec of [hopping('10m', '5m'), session('10m')])
      expect(refused(older, windowed(spec)).message).toContain('n')
    checkRedeploy(older, windowed(tumbling(600_000), { allowedLateness: '1m' }))
    checkRedeploy(older, windowed(tumbling('1h'), {}, 'another'))
    // What an earlier version stored says nothing of its windows.
    const before = older.nodes.map((node) => {
      const { windows: _, ...rest } = node as typeof node & { windows?: string }
      return rest as typeof node
    })
    checkRedeploy({ ...older, nodes: before }, windowed(tumbling('1h')))
  })

  it('writes lines of another form into a file that stays', () => {
    const csv = (...columns: string[]) =>
      described(
        keyed()
          .count('n')
          .to(file('f', undefined, { format: 'csv', columns })),
      )
    const error = refused(csv('a', 'b'), csv('a', 'c'))
    expect(error.message).toBe(
      'Step 3 of p (sink): the file f has the columns a, b, and would go on with the columns a, c.',
    )
    expect(error.remedy).toBe('Give the newer sink a file of its own.')
    expect(refused(csv('a'), counted()).message).toContain('would go on with ndjson lines')
    checkRedeploy(csv('a'), csv('a'))
  })
})
