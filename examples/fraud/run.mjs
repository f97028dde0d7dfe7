// Fraud on cards: a pipeline that finds small charges followed by a large one within ten minutes.
//   node examples/fraud/run.mjs [--json]
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { linesOf, recordsOf, withDaemon } from '../daemon.mjs'
import { alertsOf, charges } from './input.mjs'

const isJson = process.argv.includes('--json')
const pipeline = fileURLToPath(new URL('pipeline.ts', import.meta.url))

const summary = await withDaemon('fraud', async (millrace) => {
  const records = charges()
  const expected = alertsOf(records)
  for (const stream of ['charges', 'alerts']) millrace(['streams', 'create', stream])
  millrace(['pipelines', 'deploy', pipeline])
  millrace(['append', 'charges'], linesOf(records))
  const alerts = (await recordsOf(millrace, 'alerts', expected.length)).map(({ value }) => value)
  const inOrder = (all) => [...all].sort((a, b) => a.at - b.at || (a.card < b.card ? -1 : 1))
  assert.deepEqual(inOrder(alerts), inOrder(expected))
  return { charges: records.length, alerts: alerts.length, cards: new Set(alerts.map(({ card }) => card)).size }
})

if (isJson) console.log(JSON.stringify(summary))
else console.log(`${summary.charges} charges, ${summary.alerts} alerts: the same as a search in plain code finds`)
