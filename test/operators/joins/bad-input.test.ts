import { describe, expect, it } from 'vitest'
import { pipeline, stream, table } from '../../../src/index.js'

const flow = (name = 's') =>
  pipeline('p')
    .from(stream<number>(name))
    .keyBy((record) => record.key)
const changes = () =>
  pipeline('p')
    .from(table('t'))
    .keyBy((change) => String(change.keys.id))

const refusal = (run: () => unknown): { code: string; message: string; remedy: string } => {
  try {
    run()
  } catch (error) {
    const { code, message, remedy } = error as { code: string; message: string; remedy: string }
    return { code, message, remedy }
  }
  throw new Error('It was not refused.')
}

const join = (options: object) => () => flow().join('j', flow('other'), options as never, () => 1)
const joinTable = (options: object) => () => flow().joinTable('j', changes(), options as never, () => 1)

describe('a join that cannot be', () => {
  for (const [what, run, message] of [
    ['no bound', join({}), 'Step 2 of p (join) has no bound'],
    ['for ever without max', join({ within: 'forever' }), 'keeps its rows for ever, without a bound'],
    ['for ever and outer', join({ within: 'forever', max: 5, type: 'left' }), 'would never know'],
    ['for ever and lateness', join({ within: 'forever', max: 5, allowedLateness: '1s' }), 'no row is late'],
    ['a bad duration', join({ within: '10 parsecs' }), '"10 parsecs" is no duration for within of step 2'],
    ['half an interval', join({ within: { before: '1s' } }), 'is no duration for within.after of'],
    ['a bad type', join({ within: '1s', type: 'full' }), 'has the type "full"'],
    ['a bad max', join({ within: '1s', max: 0 }), '0 is no max of'],
    ['no options', join(undefined as never), 'has no options'],
    ['no function', () => flow().join('j', flow(), { within: 1 }, undefined as never), 'has no function that makes'],
    ['no other flow', () => flow().join('j', {} as never, { within: 1 }, () => 1), 'something that is no flow'],
    ['no keep', joinTable({ mode: 'asOf' }), 'has no bound: it says not how long older versions are kept'],
    [
      'keep without asOf',
      joinTable({ keep: '1h' }),
      "is of mode 'latest', which keeps one row per key; keep has no meaning",
    ],
    ['a bad mode', joinTable({ mode: 'sometimes' }), 'has the mode "sometimes"'],
    ['a bad row', joinTable({ row: 5 }), 'has no function as row'],
    ['an outer table', joinTable({ type: 'outer' }), 'has the type "outer"'],
    ['a bad time to live', joinTable({ ttl: 'soon' }), 'is no duration for the ttl of'],
  ] as const)
    it(`is refused by name: ${what}`, () => {
      const { code, message: given, remedy } = refusal(run)
      expect(code).toBe('PIPELINE_INVALID')
      expect(given.toLowerCase()).toContain(message.toLowerCase())
      expect(remedy).toMatch(/[.>)]$/)
    })

  it('is refused when both flows are of different pipelines, or without a key', () => {
    const other = pipeline('q')
      .from(stream<number>('s'))
      .keyBy((record) => record.key)
    expect(refusal(() => flow().join('j', other, { within: 1 }, () => 1)).message).toContain('the pipeline q')
    const unkeyed = pipeline('p').from(stream('s')) as unknown as ReturnType<typeof flow>
    expect(refusal(() => unkeyed.join('j', flow(), { within: 1 }, () => 1)).message).toContain('keeps state per key')
  })
})
