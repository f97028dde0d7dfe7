// How long a daemon takes to be ready after SIGKILL, with much stored and a write-ahead log that is as full as it gets.
//   npm run bench -- restart [--gigabytes 10] [--rounds 3]
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { BenchDaemon } from './daemon.mjs'
import { printMachine, temporaryFolder } from './measure.mjs'
import { batchOf } from './records.mjs'

const { values: flags } = parseArgs({
  options: { gigabytes: { type: 'string', default: '10' }, rounds: { type: 'string', default: '3' } },
})
const folder = temporaryFolder('restart')
await printMachine(folder)
const data = join(folder, 'daemon')
const store = join(data, 'store')
const env = { MILLRACE_SPLIT_ENABLED: 'false' }
const bytesOf = (end) =>
  readdirSync(store)
    .filter((name) => name.endsWith(end))
    .reduce((sum, name) => sum + statSync(join(store, name)).size, 0)

let daemon = await BenchDaemon.start(data, env)
const emptySeconds = daemon.readySeconds
await daemon.v1('POST', 'streams', { name: 'bench', shards: 64 })
const batch = batchOf(1000)
const requests = Math.ceil((Number(flags.gigabytes) * 1e9) / batch.length)
let begun = 0
await daemon.append('bench', batch, 8, () => ++begun > requests)
const rows = [{ stored: 'nothing', 'write-ahead log, MB': 0, 'ready after s': Number(emptySeconds.toFixed(2)) }]
for (let round = 0; round < Number(flags.rounds); round++) {
  // A write buffer has 64 MiB: the log is nearly full when the next flush is near.
  await daemon.append('bench', batch, 8, () => bytesOf('.log') > 56e6)
  const log = bytesOf('.log')
  await daemon.kill()
  const stored = bytesOf('.sst')
  daemon = await BenchDaemon.start(data, env)
  rows.push({
    stored: `${(stored / 1e9).toFixed(1)} GB`,
    'write-ahead log, MB': Math.round(log / 1e6),
    'ready after s': Number(daemon.readySeconds.toFixed(2)),
  })
}
console.table(rows)
await daemon.stop()
process.exit(0)
