// `npm run bench -- NAME [ARGS]`: runs bench/NAME.mjs. Without a name: lists them.
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** What benchmarks share. */
const parts = [
  'run.mjs',
  'measure.mjs',
  'raw-client.mjs',
  'daemon.mjs',
  'records.mjs',
  'store.mjs',
  'load.mjs',
  'bridge-load.mjs',
  'bridge-latency.mjs',
  'bridge-away.mjs',
  'kafka-peer.mjs',
  'process.mjs',
  'pipeline-daemon.mjs',
  'table-loads.mjs',
  'table-server.mjs',
]
const folder = dirname(fileURLToPath(import.meta.url))
const name = process.argv[2]
const file = join(folder, `${name}.mjs`)
if (!name || !existsSync(file)) {
  const names = readdirSync(folder).filter((entry) => entry.endsWith('.mjs') && !parts.includes(entry))
  console.error(`usage: npm run bench -- NAME\n${names.map((entry) => `  ${entry.slice(0, -4)}`).join('\n')}`)
  process.exit(2)
}
process.argv.splice(2, 1)
await import(pathToFileURL(file).href)
