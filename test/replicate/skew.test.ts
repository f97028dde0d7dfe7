import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Rooms } from '../../src/daemon/index.js'
import { replicaMetrics } from '../../src/server/replica-metrics.js'
import type { Region } from './region-world.js'
import { eu, replicate, us, useThreeRegions, world } from './three-regions.js'

useThreeRegions()

/** The samples of a region's metrics, by name and labels. */
async function metrics({ replication }: Region): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  const looks: Promise<void>[] = []
  replicaMetrics((name, _kind, _help, _labels, look) => {
    const take = async (): Promise<void> => {
      for (const { labels, value } of await look({ replication } as Rooms))
        found[[name, ...Object.values(labels ?? {})].join(' ')] = value
    }
    looks.push(take())
  })
  await Promise.all(looks)
  return found
}

test('clocks that are a minute apart: what is ahead wins where it was not known, and never against what was written over it', async () => {
  await us.create('todo')
  await replicate(us, eu)
  eu.clock.wall += 60_000
  world.cut(us, eu)
  await eu.put('todo', 'both', 'first, of eu')
  await world.pass(1_000)
  await us.put('todo', 'both', 'second, of us')
  world.heal()
  await world.pass(10_000)
  for (const region of [us, eu]) expect(await region.items('todo')).toEqual({ both: 'first, of eu' })
  for (const region of [us, eu])
    expect((await metrics(region))[`replica_held ${region === us ? 'todo eu-west-1' : 'todo us-east-1'}`]).toBe(0)
  // Us knows the version of eu now, whose stamp is of the next minute there.
  await us.put('todo', 'both', 'third, of us')
  await us.delete('todo', 'both')
  await us.put('todo', 'both', 'fourth, of us')
  await world.pass(10_000)
  for (const region of [us, eu]) expect(await region.items('todo')).toEqual({ both: 'fourth, of us' })
})

test('a stamp more than five minutes ahead: the link is held, the alarm rings on both sides, and all is over with the skew', async () => {
  await us.create('todo')
  await replicate(us, eu)
  us.clock.wall += 320_000
  await us.put('todo', 'a', 'ahead')
  await world.pass(2_000)
  expect(await eu.items('todo')).toEqual({})
  expect((await metrics(us))['replica_held todo eu-west-1']).toBe(1)
  expect((await metrics(eu))['replica_clock_ahead_seconds todo us-east-1']).toBeGreaterThan(300)
  const rules = readFileSync('config/prometheus/rules/streams.yml', 'utf8')
  expect(rules).toMatch(/alert: MillraceReplicaHeld\n\s+expr: millrace_replica_held == 1\n/)
  // The other way goes on.
  await eu.put('todo', 'b', 'of eu')
  await world.until('us has it', async () => (await us.value('todo', 'b')) === 'of eu')
  eu.clock.wall += 320_000
  await world.until('eu has it', async () => (await eu.value('todo', 'a')) === 'ahead')
  expect((await metrics(us))['replica_held todo eu-west-1']).toBe(0)
  await us.put('todo', 'c', 'after it')
  await world.until('eu has that, too', async () => (await eu.value('todo', 'c')) === 'after it')
  expect((await metrics(eu))['replica_clock_ahead_seconds todo us-east-1']).toBe(0)
})
