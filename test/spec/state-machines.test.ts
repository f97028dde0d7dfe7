/** Every table of states answers every event in every state; one that forgets an event does not pass the type checker. */
import { describe, expect, it } from 'vitest'
import { shardPhases } from '../../src/balance/shard-phase.js'
import { daemonLifecycle } from '../../src/daemon/daemon-lifecycle.js'
import { mappingLifecycle } from '../../src/functions/index.js'
import { holdingTransitions } from '../../src/groups/holding.js'
import { shardLifecycle } from '../../src/log/shard-lifecycle.js'
import { pipelineLifecycle } from '../../src/pipelines/pipeline-lifecycle.js'
import { producerLifecycle, producerTransition } from '../../src/producers/producer-lifecycle.js'
import { indexLifecycle } from '../../src/search/index-lifecycle.js'
import { windowLifecycle } from '../../src/tables/streams/window-lifecycle.js'

type Table = Readonly<Record<string, Readonly<Record<string, string | { readonly to: string } | undefined>>>>

/** Each with the state that something begins in and those that it ends in. */
const machines: Readonly<Record<string, { table: Table; first: string; last: readonly string[] }>> = {
  shard: { table: shardLifecycle, first: 'open', last: ['sealed'] },
  'shard for the balancer': { table: shardPhases, first: 'calm', last: ['gone'] },
  lease: { table: holdingTransitions, first: 'free', last: [] },
  producer: { table: producerLifecycle, first: 'empty', last: ['unknown'] },
  daemon: { table: daemonLifecycle, first: 'starting', last: ['stopping'] },
  pipeline: { table: pipelineLifecycle, first: 'starting', last: ['stopped'] },
  'search index': { table: indexLifecycle, first: 'waiting', last: ['stopped'] },
  'event source mapping': { table: mappingLifecycle, first: 'Creating', last: ['Deleting'] },
  'AWS stream': { table: windowLifecycle, first: 'enabled', last: ['expired'] },
}

const targetsOf = (row: Table[string]): Set<string> =>
  new Set(Object.values(row).flatMap((to) => (to === undefined ? [] : typeof to === 'string' ? to : to.to)))

describe.each(Object.entries(machines))('the states of a %s', (_, { table, first, last }) => {
  it('answer the same events, and lead to states that there are', () => {
    const events = Object.keys(table[first] ?? {}).sort()
    expect(events.length).toBeGreaterThan(2)
    for (const row of Object.values(table)) {
      expect(Object.keys(row).sort()).toEqual(events)
      for (const to of targetsOf(row)) expect(Object.keys(table)).toContain(to)
    }
  })

  it('are all reached from the first, and those at the end are never left', () => {
    const reached = new Set([first])
    for (const state of reached) for (const to of targetsOf(table[state] ?? {})) reached.add(to)
    expect([...reached].sort()).toEqual(Object.keys(table).sort())
    for (const state of last) expect([...targetsOf(table[state] ?? {})].filter((to) => to !== state)).toEqual([])
  })
})

it('a table that forgets a state or an event is refused by the type checker', () => {
  const { stop: _, ...forgetful } = daemonLifecycle.ready
  // @ts-expect-error An event is missing.
  const event: typeof daemonLifecycle = { ...daemonLifecycle, ready: forgetful }
  const { expired: __, ...without } = windowLifecycle
  // @ts-expect-error A state is missing.
  const state: typeof windowLifecycle = without
  expect([event, state]).toHaveLength(2)
})

it('what cannot happen is a fault, and said', () => {
  expect(() => producerTransition('empty', 'again')).toThrow('a producer that is empty cannot meet again')
})
