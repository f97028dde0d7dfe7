// Visits of users: a day of clicks, cut into sessions by a pipeline that runs over all of it and ends.
//   node examples/sessions/run.mjs [--json]
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { linesOf, recordsOf, withDaemon } from '../daemon.mjs'
import { clicks, visitsOf } from './input.mjs'

const isJson = process.argv.includes('--json')
const pipeline = fileURLToPath(new URL('pipeline.ts', import.meta.url))

const summary = await withDaemon('sessions', async (millrace) => {
  const records = clicks()
  const expected = visitsOf(records)
  millrace(['streams', 'create', 'clicks', '--shards', '2'])
  millrace(['streams', 'create', 'visits'])
  millrace(['append', 'clicks'], linesOf(records))
  // Its end is the end of all time: every session gives its result.
  millrace(['pipelines', 'run', pipeline])
  const visits = (await recordsOf(millrace, 'visits', expected.length)).map(({ value }) => value)
  const inOrder = (all) => [...all].sort((a, b) => a.from - b.from || (a.user < b.user ? -1 : 1))
  assert.deepEqual(inOrder(visits), inOrder(expected))
  const bought = visits.filter(({ exit }) => exit === '/thanks').length
  const longest = Math.max(...visits.map(({ from, to }) => to - from)) / 60_000
  return { clicks: records.length, visits: visits.length, bought, longestMinutes: Math.round(longest) }
})

if (isJson) console.log(JSON.stringify(summary))
else {
  console.log(`${summary.clicks} clicks are ${summary.visits} visits, as a recount in plain code finds too`)
  console.log(`${summary.bought} of them ended at /thanks; the longest took ${summary.longestMinutes} minutes`)
}
