/**
 * The daemon's rooms on a disk that loses what was not synced, with clients, crashes and clocks, in an order that follows
 * from a seed; then a checker that shares no code with them (checker.ts).
 *
 * A failure names its seed and path:
 *   MILLRACE_TEST_SIMULATION_SEED=... MILLRACE_TEST_SIMULATION_PATH=... npx vitest run test/simulation
 * plays that run again, and its shrunk form.
 */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { plans } from './actions.js'
import { play } from './run.js'

const runs = Number(process.env.MILLRACE_TEST_SIMULATION_RUNS ?? (process.env.MILLRACE_LONG ? 12_000 : 1000))
const seed = Number(process.env.MILLRACE_TEST_SIMULATION_SEED ?? Date.now() & 0x7fff_ffff)
const path = process.env.MILLRACE_TEST_SIMULATION_PATH
/** Looking for the smallest failing run takes longer than finding one. */
const shrinks = process.env.MILLRACE_TEST_SIMULATION_SHRINK !== 'no'

it(`${runs} runs of appends, splits, groups, crashes and clocks (seed ${seed}): nothing is lost, duplicated or reordered`, {
  timeout: 3_600_000,
}, async () => {
  const total = { records: 0, given: 0, crashes: 0, shards: 0 }
  await fc.assert(
    fc.asyncProperty(plans, async (plan) => {
      const { faults, trace, seen } = await play(plan)
      if (faults.length > 0) throw new Error(`${faults.slice(0, 20).join('\n')}\n\nthe way there:\n${trace.join('\n')}`)
      for (const what of Object.keys(total) as (keyof typeof total)[]) total[what] += seen[what]
    }),
    { numRuns: runs, seed, endOnFailure: !shrinks, ...(path === undefined ? {} : { path }) },
  )
  console.log(`${runs} runs: ${JSON.stringify(total)}`)
  if (path !== undefined) return
  // A simulation in which nothing happens would pass too.
  expect(total.records).toBeGreaterThan(runs * 10)
  expect(total.given).toBeGreaterThan(runs * 3)
  expect(total.crashes).toBeGreaterThan(runs)
  expect(total.shards).toBeGreaterThan(runs * 4)
})
