// Orders and their payments: two streams that are joined by a pipeline, and a reminder for each order that is not paid in time.
//   node examples/payments/run.mjs [--json]
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { linesOf, recordsOf, withDaemon } from '../daemon.mjs'
import { evening, outcomesOf } from './input.mjs'

const isJson = process.argv.includes('--json')
const pipeline = fileURLToPath(new URL('pipeline.ts', import.meta.url))

const summary = await withDaemon('payments', async (millrace) => {
  const input = evening()
  const outcomes = outcomesOf(input)
  const [unpaid, paid] = [outcomes.filter(({ method }) => method === null), outcomes.filter(({ method }) => method)]
  for (const stream of ['orders', 'payments', 'reminders', 'settled']) millrace(['streams', 'create', stream])
  millrace(['pipelines', 'deploy', pipeline])
  // All payments first: for the times at which things happened it makes no difference.
  millrace(['append', 'payments'], linesOf(input.payments))
  millrace(['append', 'orders'], linesOf(input.orders))
  const inOrder = (all) => [...all].sort((a, b) => (a.order < b.order ? -1 : 1))
  const of = async (stream, expected) =>
    inOrder((await recordsOf(millrace, stream, expected.length)).map(({ value }) => value))
  assert.deepEqual(await of('reminders', unpaid), inOrder(unpaid))
  assert.deepEqual(await of('settled', paid), inOrder(paid))
  return { orders: outcomes.length, settled: paid.length, reminders: unpaid.length }
})

if (isJson) console.log(JSON.stringify(summary))
else {
  console.log(`of ${summary.orders} orders ${summary.settled} were paid within half an hour`)
  console.log(`${summary.reminders} reminders are sent, as a recount in plain code finds too`)
}
