import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide } from '../../src/balance/decide.js'
import { heaviestMax, piecesMax } from '../../src/balance/plan-split.js'
import { ShardMeter } from '../../src/balance/shard-meter.js'
import { isChanging, shardPhases } from '../../src/balance/shard-phase.js'
import type { OpenShard, ShardLoad, ShardSamples } from '../../src/balance/types.js'
import { splitSchema } from '../../src/config/index.js'
import { type ShardId, splitCutsMax } from '../../src/log/index.js'
import { compareHash, type Hash64, hashAfter, hashBefore, hashMax, hashMin } from '../../src/runtime/index.js'

const idle: ShardLoad = new ShardMeter().load
const policy = splitSchema.parse({})
const now = 10_000_000

/** A load that lasts long enough to be acted upon. */
const hot = (u: number): ShardLoad => ({
  ...idle,
  u1: u,
  u10: u,
  u60: u,
  u60Max: u,
  demand: u,
  hotMs: 5000,
  surgeMs: 0,
  ageMs: 3_600_000,
})
const cold = (u: number): ShardLoad => ({ ...hot(u), hotMs: 0 })

const hash = fc.record({
  hi: fc.integer({ min: 0, max: 0xffff_ffff }),
  lo: fc.constantFrom(0, 1, 0xffff_ffff, 0x8000_0000),
})

/** Neighbouring shards that cover every hash. */
const layouts = fc.uniqueArray(hash, { maxLength: 8, selector: ({ hi, lo }) => `${hi}:${lo}` }).map((cuts) => {
  const starts = [hashMin, ...cuts.filter((cut) => compareHash(cut, hashMin) > 0).sort(compareHash)]
  return starts.map((low, i): OpenShard => {
    const next = starts[i + 1]
    return { id: (i + 1) as ShardId, low, high: next ? hashBefore(next) : hashMax }
  })
})

const within = ({ low, high }: OpenShard, each: Hash64) => compareHash(low, each) <= 0 && compareHash(each, high) <= 0

/** Samples of one shard: points anywhere in it, some of them again and again. */
function samplesOf(shard: OpenShard, points: readonly Hash64[], repeats: readonly number[]): ShardSamples {
  const inside = points
    .filter((point) => within(shard, point))
    .flatMap((point, i) => Array.from({ length: repeats[i % repeats.length]! }, () => point))
  const all = [shard.low, shard.high, ...inside].sort(compareHash)
  const counts = new Map<string, { hash: Hash64; count: number }>()
  for (const each of all) {
    const name = `${each.hi}:${each.lo}`
    counts.set(name, { hash: each, count: (counts.get(name)?.count ?? 0) + 1 })
  }
  const heavy = [...counts.values()].map(({ hash: at, count }) => ({
    hash: at,
    key: Buffer.from('key'),
    share: count / all.length,
  }))
  return { points: all, heavy: heavy.sort((a, b) => b.share - a.share) }
}

const cases = fc.record({
  shards: layouts,
  points: fc.array(hash, { minLength: 10, maxLength: 80 }),
  repeats: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
  loads: fc.array(fc.double({ min: 0, max: 40, noNaN: true }), { minLength: 1, maxLength: 8 }),
  shardsMax: fc.integer({ min: 1, max: 30 }),
})

function decisionsOf({
  shards,
  points,
  repeats,
  loads,
  shardsMax,
}: typeof cases extends fc.Arbitrary<infer Case> ? Case : never) {
  const load = new Map(shards.map((shard, i) => [shard.id, hot(loads[i % loads.length]!)]))
  for (const [id, of] of load) if (of.u10 <= 1) load.set(id, cold(of.u10))
  const samples = new Map(shards.map((shard) => [shard.id, samplesOf(shard, points, repeats)]))
  const layout = { shards, isMergeable: true, mergedAtMs: undefined, shardsMax }
  return { load, samples, decisions: decide(layout, load, samples, policy, now) }
}

describe('decide', () => {
  it('is pure: the same input gives the same answer', () => {
    fc.assert(
      fc.property(cases, (input) => {
        expect(decisionsOf(input).decisions).toEqual(decisionsOf(input).decisions)
      }),
    )
  })

  it('cuts inside of the shard, ascending, within every bound, and only hot shards', () => {
    fc.assert(
      fc.property(cases, (input) => {
        const { load, decisions } = decisionsOf(input)
        let open = input.shards.length
        for (const decision of decisions) {
          if (decision.kind === 'merge') continue
          const shard = input.shards.find(({ id }) => id === decision.shard)!
          expect(load.get(shard.id)!.u10).toBeGreaterThan(1)
          if (decision.kind === 'park') continue
          const { cuts, pieces, isolated } = decision.plan
          expect(cuts.length).toBeGreaterThan(0)
          expect(cuts.length).toBeLessThanOrEqual(splitCutsMax)
          expect(cuts.length + 1 - isolated.length).toBeLessThanOrEqual(piecesMax + isolated.length + 1)
          cuts.forEach((cut, i) => {
            expect(compareHash(cut, i === 0 ? shard.low : cuts[i - 1]!)).toBeGreaterThan(0)
            expect(compareHash(cut, shard.high)).toBeLessThanOrEqual(0)
          })
          expect(pieces).toHaveLength(cuts.length + 1)
          open += cuts.length
        }
        expect(open).toBeLessThanOrEqual(Math.max(input.shards.length, input.shardsMax))
      }),
      { numRuns: 500 },
    )
  })

  it('gives each isolated key exactly its own hash, and a split without one always helps', () => {
    fc.assert(
      fc.property(cases, (input) => {
        const { load, decisions } = decisionsOf(input)
        for (const decision of decisions) {
          if (decision.kind !== 'split') continue
          const shard = input.shards.find(({ id }) => id === decision.shard)!
          const starts = [shard.low, ...decision.plan.cuts]
          for (const key of decision.plan.isolated) {
            const at = starts.findIndex((start) => compareHash(start, key.hash) === 0)
            expect(at).toBeGreaterThanOrEqual(0)
            const next = starts[at + 1]
            if (next) expect(next).toEqual(hashAfter(key.hash))
            else expect(key.hash).toEqual(shard.high)
            expect(key.share * load.get(shard.id)!.u10).toBeGreaterThanOrEqual(policy.isolateAbove)
          }
          if (decision.plan.isolated.length === 0)
            expect(Math.max(...decision.plan.pieces)).toBeLessThan(heaviestMax * load.get(shard.id)!.u10)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('leaves alone what is young, parked, switched off, or hot for too short a time', () => {
    const shards: OpenShard[] = [{ id: 1 as ShardId, low: hashMin, high: hashMax }]
    const points = Array.from({ length: 64 }, (_, i) => ({ hi: (i << 24) >>> 0, lo: 0 })).sort(compareHash)
    const samples = new Map([[1 as ShardId, { points, heavy: [] }]])
    const ask = (load: ShardLoad, shard: Partial<OpenShard> = {}, with_ = policy) =>
      decide(
        { shards: [{ ...shards[0]!, ...shard }], isMergeable: true, mergedAtMs: undefined, shardsMax: 256 },
        new Map([[1 as ShardId, load]]),
        samples,
        with_,
        now,
      ).map(({ kind }) => kind)
    expect(ask(hot(3))).toEqual(['split'])
    expect(ask({ ...hot(3), hotMs: 4999 })).toEqual([])
    expect(ask({ ...hot(3), hotMs: 0, surgeMs: 2000 })).toEqual(['split'])
    expect(ask({ ...hot(3), ageMs: 4999 })).toEqual([])
    expect(ask(hot(3), { park: { untilMs: now + 1, ms: 60_000 } })).toEqual([])
    expect(ask(hot(3), { park: { untilMs: now, ms: 60_000 } })).toEqual(['split'])
    expect(ask(hot(3), {}, { ...policy, enabled: false })).toEqual([])
    expect(ask(hot(3), {}, { ...policy, shardsMax: 1 })).toEqual(['park'])
  })

  it('merges the coldest neighbours, and none of a table, none that are young, none below shardsMin', () => {
    const quarter = (i: number): OpenShard => ({
      id: (i + 1) as ShardId,
      low: { hi: i * 0x4000_0000, lo: 0 },
      high: { hi: (i + 1) * 0x4000_0000 - 1, lo: 0xffff_ffff },
    })
    const shards = [0, 1, 2, 3].map(quarter)
    const ask = (us: readonly number[], change: object = {}, with_ = policy, age = 600_000) =>
      decide(
        { shards, isMergeable: true, mergedAtMs: undefined, shardsMax: 256, ...change },
        new Map(us.map((u, i) => [(i + 1) as ShardId, { ...cold(u), ageMs: age }])),
        new Map(),
        with_,
        now,
      )
    expect(ask([0.3, 0.15, 0.2, 0.1])).toMatchObject([{ kind: 'merge', left: 3, right: 4 }])
    expect(ask([0.3, 0.1, 0.3, 0.1])).toEqual([])
    expect(ask([0.1, 0.1, 0.1, 0.1], { isMergeable: false })).toEqual([])
    expect(ask([0.1, 0.1, 0.1, 0.1], { mergedAtMs: now - 59_999 })).toEqual([])
    expect(ask([0.1, 0.1, 0.1, 0.1], {}, { ...policy, shardsMin: 4 })).toEqual([])
    expect(ask([0.1, 0.1, 0.1, 0.1], {}, { ...policy, merge: false })).toEqual([])
    expect(ask([0.1, 0.1, 0.1, 0.1], {}, policy, 599_999)).toEqual([])
    const burst = new Map(
      shards.map(({ id }) => [id, { ...cold(0.05), u1: id === 2 ? 3 : 0, u10: id === 2 ? 0.6 : 0 }]),
    )
    const layout = { shards, isMergeable: true, mergedAtMs: undefined, shardsMax: 256 }
    expect(decide(layout, burst, new Map(), policy, now)).toMatchObject([{ kind: 'merge', left: 3, right: 4 }])
  })
})

describe('the phases of a shard', () => {
  it('lead out of every phase, and out of gone nowhere', () => {
    for (const [from, events] of Object.entries(shardPhases)) {
      expect(Object.keys(events).sort()).toEqual(['cool', 'merge', 'park', 'refused', 'sealed', 'split', 'warm'])
      expect(events.sealed).toBe('gone')
      for (const to of Object.values(events)) if (from === 'gone' && to) expect(to).toBe('gone')
      if (isChanging(from as never))
        for (const event of ['split', 'merge', 'park'] as const) expect(events[event]).toBeUndefined()
    }
  })
})
