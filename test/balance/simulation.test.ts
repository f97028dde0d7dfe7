import { describe, expect, it } from 'vitest'
import { Simulation } from './simulation.js'
import { clusteredKeys, type KeyLoad, seeded, zipfKeys } from './zipf.js'

const keysCount = 100_000
const target = { recordsPerSecond: 10_000 }

const loads: Record<string, (random: () => number) => KeyLoad[]> = {
  uniform: () => zipfKeys(keysCount, 0),
  'Zipf 0.99': () => zipfKeys(keysCount, 0.99),
  'Zipf 1.2': () => zipfKeys(keysCount, 1.2),
  'Zipf 1.5': () => zipfKeys(keysCount, 1.5),
  '80 % of the keys in 2 % of the range': (random) => clusteredKeys(keysCount, 0.8, 0.02, random),
}

describe('from one shard, in virtual time', () => {
  for (const [name, make] of Object.entries(loads)) {
    for (const times of [10, 40]) {
      it(`${name}, up to ${times} times a target in 5 s: balanced within 30 s, few cold shards`, () => {
        const random = seeded(times)
        const peak = times * target.recordsPerSecond
        const rate = (second: number) => peak * Math.min(1, (second + 1) / 5)
        const simulation = new Simulation({ keys: make(random), rate, random, policy: { target } })
        let balancedAt: number | undefined
        for (let second = 0; second < 45; second++) {
          simulation.step()
          if (!simulation.isBalanced()) balancedAt = undefined
          else balancedAt ??= simulation.second
        }
        const shards = simulation.loads()
        const cold = shards.filter(({ load }) => load < 0.1).length
        expect(balancedAt, 'seconds to balance').toBeLessThanOrEqual(30)
        expect(cold, 'cold shards').toBeLessThanOrEqual(Math.max(3, 0.05 * shards.length))
      })
    }
  }
})

describe('a load that comes and goes every 10 minutes, over a virtual day', () => {
  const keys = zipfKeys(1000, 0.5)
  const target = { recordsPerSecond: 200 }
  const waves: Record<string, (second: number) => number> = {
    sine: (second) => 1 + 0.9 * Math.sin((second * 2 * Math.PI) / 600),
    square: (second) => (second % 600 < 300 ? 1.9 : 0.1),
  }
  for (const [name, wave] of Object.entries(waves)) {
    for (const times of [1, 3]) {
      it(`${name}, around ${times} targets: a few splits in the first hour, then none`, () => {
        const rate = (second: number) => times * target.recordsPerSecond * wave(second)
        const simulation = new Simulation({ keys, rate, random: seeded(times), policy: { target } })
        for (let second = 0; second < 86_400; second++) simulation.step()
        expect(simulation.count('split')).toBeGreaterThan(0)
        if (times === 1) expect(simulation.count('split')).toBeLessThanOrEqual(5)
        const late = simulation.decisions.filter(({ second, decision }) => second > 3600 && decision.kind !== 'park')
        expect(late).toEqual([])
      })
    }
  }

  it('merges again what a burst has split, down to shardsMin, one a minute', () => {
    const rate = (second: number) => (second < 60 ? 2000 : 20)
    const simulation = new Simulation({ keys, rate, random: seeded(7), policy: { target, shardsMin: 2 } })
    for (let second = 0; second < 7200; second++) simulation.step()
    expect(simulation.count('split')).toBeGreaterThan(1)
    expect(simulation.loads()).toHaveLength(2)
    const merges = simulation.decisions.filter(({ decision }) => decision.kind === 'merge').map(({ second }) => second)
    for (let i = 1; i < merges.length; i++) expect(merges[i]! - merges[i - 1]!).toBeGreaterThanOrEqual(60)
  })
})

describe('one hot key', () => {
  it('gets a shard of its own, which is parked as unsplittable with its key, for longer and longer', () => {
    const cool = zipfKeys(1000, 0).map((key) => ({ ...key, share: key.share * 0.4 }))
    const hot = { ...zipfKeys(1001, 0)[1000]!, share: 0.6 }
    const rate = () => 5 * 10_000
    const policy = { target: { recordsPerSecond: 10_000 } }
    const simulation = new Simulation({ keys: [...cool, hot], rate, random: seeded(1), policy })
    for (let second = 0; second < 3600; second++) simulation.step()
    const [first, ...later] = simulation.decisions
    expect(first!.decision).toMatchObject({ kind: 'split', plan: { isolated: [{ key: hot.key }] } })
    const parks = later.map(({ decision }) => decision)
    const pauses = parks.map((park) => (park.kind === 'park' ? park.park.ms / 1000 : 0)).filter((ms) => ms > 0)
    expect(pauses.slice(0, 6)).toEqual([60, 120, 240, 480, 900, 900])
    for (const park of parks)
      if (park.kind === 'park') expect(park).toMatchObject({ reason: 'unsplittable', key: { key: hot.key, share: 1 } })
    expect(simulation.loads().filter(({ isOneKey, load }) => isOneKey && load > 2.9)).toHaveLength(1)
    expect(simulation.isBalanced()).toBe(true)
  })
})
