// Replay over loopback: everything of a stream, as it lies in the log, to one client that walks the headers of all
// records. One stream was written in batches of 1,000 records of 200 bytes, another one record at a time.
//   npm run bench -- replay [--megabytes 2000] [--singles 200000] [--rounds 3]
import { get } from 'node:http'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ChunkCursor, ExportReader } from '../dist/log/index.js'
import { BenchDaemon } from './daemon.mjs'
import { inTurn, median, printMachine, temporaryFolder } from './measure.mjs'
import { batchOf, recordBytes } from './records.mjs'

const { values: flags } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '2000' },
    singles: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '3' },
  },
})
const folder = temporaryFolder('replay')
await printMachine(folder)
const daemon = await BenchDaemon.start(join(folder, 'daemon'), { MILLRACE_SPLIT_ENABLED: 'false' })

async function fill(stream, count, requests, connections) {
  await daemon.v1('POST', 'streams', { name: stream, shards: 1 })
  let begun = 0
  await daemon.append(stream, batchOf(count), connections, () => ++begun > requests)
}
await fill('batches', 1000, Math.ceil((Number(flags.megabytes) * 1e6) / (1000 * recordBytes)), 8)
await fill('singles', 1, Number(flags.singles), 64)

/** Reads an export to its end. */
async function replay(stream) {
  const began = performance.now()
  const reader = new ExportReader()
  let records = 0
  let bytes = 0
  const response = await new Promise((resolve, reject) =>
    get(
      {
        port: daemon.port,
        path: `/v1/streams/${stream}/export`,
        headers: { accept: 'application/octet-stream', 'x-millrace': '1' },
      },
      resolve,
    ).on('error', reject),
  )
  for await (const piece of response) {
    bytes += piece.length
    for (const part of reader.push(piece)) {
      if (part.kind !== 'chunk') continue
      const cursor = new ChunkCursor(part.chunk)
      while (cursor.next()) records++
    }
  }
  reader.finish()
  const elapsed = (performance.now() - began) / 1000
  return { records, perSecond: records / elapsed, megabytes: bytes / 1e6 / elapsed }
}

const results = await inTurn(Number(flags.rounds), {
  batches: () => replay('batches'),
  singles: () => replay('singles'),
})
console.table(
  [...results].map(([stream, runs]) => ({
    'written in': stream === 'batches' ? 'batches of 1,000' : 'one record a request',
    records: runs[0].records,
    'records/s': Math.round(median(runs.map(({ perSecond }) => perSecond))),
    'MB/s': Math.round(median(runs.map(({ megabytes }) => megabytes))),
  })),
)
await daemon.stop()
process.exit(0)
