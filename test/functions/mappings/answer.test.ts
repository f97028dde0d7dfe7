/** What a function's answer says of its batch. */
import { describe, expect, it } from 'vitest'
import { outcomeOf } from '../../../src/functions/mappings/answer.js'
import { placeOf as placeAmong } from '../../../src/functions/mappings/shard-delivery.js'

const answer = (payload: string, functionError?: 'Unhandled') => ({
  requestId: 'request',
  payload,
  durationMs: 1,
  logTail: '',
  ...(functionError === undefined ? {} : { functionError }),
})
const batch = ['one', 'two', 'three']
const placeOf = (identifier: string): number | undefined => {
  const place = batch.indexOf(identifier)
  return place < 0 ? undefined : place
}
const read = (payload: string, asked: { reports?: boolean; isAggregating?: boolean } = {}) =>
  outcomeOf(answer(payload), { placeOf, reports: asked.reports ?? true, isAggregating: asked.isAggregating ?? false })

describe('a report of failures', () => {
  it.each(['', 'null', '""', '[]', '{}', '{"batchItemFailures":[]}', '{"batchItemFailures":null}', '{"other":1}'])(
    'says with %s that everything has succeeded',
    (payload) => expect(read(payload)).toEqual({ kind: 'succeeded' }),
  )

  it.each([
    '{"batchItemFailures":[{"itemIdentifier":""}]}',
    '{"batchItemFailures":[{"itemIdentifier":null}]}',
    '{"batchItemFailures":[{"itemIdentifier":2}]}',
    '{"batchItemFailures":[{}]}',
    '{"batchItemFailures":[{"foo":"two"}]}',
    '{"batchItemFailures":[{"foo":null}]}',
    '{"batchItemFailures":[{"itemIdentifier":"unknown"}]}',
    '{"batchItemFailures":[{"itemIdentifier":"two"},{"itemIdentifier":"unknown"}]}',
    '{"batchItemFailures":[null]}',
    '{"batchItemFailures":{"itemIdentifier":"two"}}',
    '{"batchItemFailures":"two"}',
    '"done"',
    '7',
    '[{"itemIdentifier":"two"}]',
    'no JSON',
  ])('is with %s the failure of the whole batch', (payload) => {
    expect(read(payload)).toEqual({ kind: 'failed', last: { requestId: 'request', functionError: null } })
  })

  it('goes by the first record that it names', () => {
    const reported = (...items: string[]) =>
      read(JSON.stringify({ batchItemFailures: items.map((itemIdentifier) => ({ itemIdentifier })) }))
    expect(reported('three', 'two')).toMatchObject({ kind: 'partial', from: 1 })
    expect(reported('one')).toMatchObject({ kind: 'failed' })
  })

  it('is not read unless the mapping says so, and no answer counts behind an error', () => {
    expect(read('{"batchItemFailures":[{"itemIdentifier":"two"}]}', { reports: false })).toEqual({ kind: 'succeeded' })
    expect(outcomeOf(answer('{}', 'Unhandled'), { placeOf, reports: true, isAggregating: false })).toEqual({
      kind: 'failed',
      last: { requestId: 'request', functionError: 'Unhandled' },
    })
  })
})

describe('the state of a tumbling window', () => {
  it('comes with the answer, also with one that reports failures', () => {
    expect(read('{"state":{"n":1}}', { reports: false, isAggregating: true })).toEqual({
      kind: 'succeeded',
      state: '{"n":1}',
    })
    expect(
      read('{"state":{"n":1},"batchItemFailures":[{"itemIdentifier":"two"}]}', { isAggregating: true }),
    ).toMatchObject({ kind: 'partial', from: 1, state: '{"n":1}' })
  })

  it.each(['null', '{}', '{"state":null}', '{"state":[]}', '{"state":"x"}', '7'])('is missing in %s', (payload) => {
    expect(read(payload, { reports: false, isAggregating: true })).toMatchObject({ kind: 'failed' })
  })
})

it('finds each record that an answer names in few looks, however many it names', () => {
  let looks = 0
  const records = Array.from({ length: 10_000 }, (_, i) => ({
    get sequence() {
      looks++
      return 3 * i + 5
    },
  }))
  for (const [sequence, place] of [
    [5, 0],
    [8, 1],
    [30_002, 9999],
    [4, undefined],
    [6, undefined],
    [30_003, undefined],
  ] as const) {
    looks = 0
    expect(placeAmong(records, sequence)).toBe(place)
    expect(looks).toBeLessThan(20)
  }
  expect(placeAmong([], 1)).toBeUndefined()
})
